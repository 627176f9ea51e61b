"""The ASGI application that granian serves: a fast lane for gateways, Django for the rest.

The fast lane is `gateways.record` on the event loop, with the group commit behind it: a client
that is slow, silent or one of thousands holds no thread. Everything else has its body read first,
and then a thread of a pool, in which Django works as it does behind WSGI.
"""

import asyncio
import gc
import logging
import os
import sys
from datetime import UTC, datetime
from typing import IO

import django
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ruuvinet.settings")
try:
    django.setup()
except ImproperlyConfigured as error:
    # In a process of granian's no excepthook is asked.
    sys.exit(f"Wrong settings: {error}")

# Django must be set up before anything with models is imported.
from django.conf import settings

from gateways.fast_lane import FastLane
from gateways.notifier import Notifier
from gateways.record import Reply, Request, refuse
from gateways.tally import INGEST
from gateways.wire import MAX_BODY_BYTES
from ruuvinet.health import LIVE
from ruuvinet.lib.asgi import (
    BodyTooLarge,
    BodyTooSlow,
    Disconnected,
    DjangoInThreads,
    Receive,
    Scope,
    Send,
    read_body,
    send_whole,
)
from ruuvinet.lib.http import GATEWAY_PATHS, HEALTH_PATHS, distrust_strangers

log = logging.getLogger(__name__)

GATEWAY_PATIENCE_S = 5.0
PATIENCE_S = 60.0
LARGEST_BYTES = 12_000_000  # a picture

BLOCKED = refuse(403, "Forbidden.", "ER_FORBIDDEN")
LIVE_HEADERS = [
    (b"Content-Type", b"application/json"),
    (b"Content-Length", str(len(LIVE)).encode()),
]
FAULT = refuse(500, "Internal error.", "ER_INTERNAL")


def _refuse_body(status: int, message: str) -> Reply:
    """Readable by every origin: Django, which sees to that, has not seen the request."""
    reply = refuse(status, message, "ER_INVALID_FORMAT")
    return reply._replace(headers=reply.headers | {"Access-Control-Allow-Origin": "*"})


TOO_LARGE = _refuse_body(413, "The body is too large.")
TOO_SLOW = _refuse_body(408, "The body did not arrive in time.")


class Application:
    """One for each process; its threads live from the server's start to its end."""

    def __init__(self) -> None:
        self._django = DjangoInThreads(settings.WEB_THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        # A name with an underscore would pass for one with a hyphen, which proxies guard. By this
        # one a gateway says whose configuration it downloads; its credential is what counts.
        scope["headers"] = [
            item for item in scope["headers"] if b"_" not in item[0] or item[0] == b"ruuvi_gw_mac"
        ]
        if scope["path"] in HEALTH_PATHS and scope["method"] in {"GET", "HEAD"}:
            await send_whole(send, 200, LIVE_HEADERS, b"" if scope["method"] == "HEAD" else LIVE)
            return
        is_gateway = scope["path"] in GATEWAY_PATHS and scope["method"] == "POST"
        try:
            await (self._fast_lane if is_gateway else self._slow_lane)(scope, receive, send)
        except BodyTooLarge:
            await _send_reply(send, TOO_LARGE)
        except BodyTooSlow:
            await _send_reply(send, TOO_SLOW)
        except Disconnected:
            log.debug("a client went away before its body was complete")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        notifier = Notifier()
        self._lane = FastLane(queue_limit=settings.QUEUE_LIMIT, woken=notifier.notify)
        await self._lane.warm_up()
        gc.collect()
        gc.freeze()  # what lives as long as the process need never be looked at again
        gc.set_threshold(20_000, 10, 10)  # posts leave nothing that only it can free
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._lane.close)  # meanwhile those who wait are answered
        await asyncio.to_thread(notifier.close)
        await asyncio.to_thread(self._django.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _slow_lane(self, scope: Scope, receive: Receive, send: Send) -> None:
        with await read_body(scope, receive, limit=LARGEST_BYTES, patience_s=PATIENCE_S) as body:
            await self._django.answer(scope, body, send)

    async def _fast_lane(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        peer = scope["client"][0] if scope.get("client") else ""
        address = distrust_strangers(headers, peer)
        if await self._lane.is_blocked(address):
            INGEST.refuse("blocked")
            await _send_reply(send, BLOCKED)
            return
        with await _read_post(scope, receive) as body:
            query = scope["query_string"].decode("latin-1")
            request = Request(body.read(), headers, datetime.now(UTC), address, query)
        try:
            reply = await self._lane.record(request)
        except Exception:  # as Django does for its views: whatever it is, the gateway is answered
            log.exception("a post could not be handled")
            INGEST.refuse("fault")
            reply = FAULT
        await _send_reply(send, reply)


async def _read_post(scope: Scope, receive: Receive) -> IO[bytes]:
    """Raises BodyTooLarge, BodyTooSlow and Disconnected."""
    try:
        return await read_body(scope, receive, limit=MAX_BODY_BYTES, patience_s=GATEWAY_PATIENCE_S)
    except BodyTooLarge:
        INGEST.refuse("too_large")
        raise
    except BodyTooSlow:
        INGEST.refuse("too_slow")
        raise


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def _send_reply(send: Send, reply: Reply) -> None:
    headers = {
        **reply.headers,
        "Content-Type": "application/json",
        "Content-Length": str(len(reply.body)),  # the firmware sizes its buffer by it
    }
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send_whole(send, reply.status, encoded, reply.body)


application = Application()
