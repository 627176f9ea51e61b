"""The WSGI application that granian serves: a fast lane for gateways, Django for the rest.

The fast lane is `gateways.record` without Django's request cycle, with the group commit behind it.
`gateways.views.record` is the same behind Django, for its test client and `runserver`.
"""

import atexit
import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ruuvinet.settings")

django_application = get_wsgi_application()

# Django must be set up before anything with models is imported.
from django.conf import settings  # noqa: E402
from django.db import close_old_connections  # noqa: E402

from gateways.notifier import Notifier  # noqa: E402
from gateways.record import Reply, record, refuse  # noqa: E402
from gateways.wire import MAX_BODY_BYTES  # noqa: E402
from gateways.writer import Writer  # noqa: E402
from ruuvinet.lib.http import GATEWAY_PATHS, trust_proxies  # noqa: E402

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

writer = Writer(queue_limit=settings.QUEUE_LIMIT, woken=Notifier().notify)
atexit.register(writer.close)


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    if environ["PATH_INFO"] in GATEWAY_PATHS and environ["REQUEST_METHOD"] == "POST":
        return fast_lane(environ, start_response)
    return django_application(environ, start_response)


def fast_lane(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer a gateway's post."""
    reply = _reply_to(environ)
    headers = {
        **reply.headers,
        "Content-Type": "application/json",
        "Content-Length": str(len(reply.body)),  # the firmware sizes its buffer by it
    }
    start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", list(headers.items()))
    return [reply.body]


def _reply_to(environ: "WSGIEnvironment") -> Reply:
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal():
        return refuse(400, "Content-Length is not a number.", "ER_INVALID_FORMAT")
    if int(length) > MAX_BODY_BYTES:
        return refuse(413, "The body is too large.", "ER_INVALID_FORMAT")
    trust_proxies(environ)
    body = environ["wsgi.input"].read(int(length))
    close_old_connections()  # outside of Django's request cycle nobody else does
    try:
        return record(
            body=body,
            headers={"Ruuvi-HMAC-SHA256": environ.get("HTTP_RUUVI_HMAC_SHA256", "")},
            received_at=datetime.now(UTC),
            address=environ["REMOTE_ADDR"],
            write=writer.write,
        )
    except Exception:  # as Django does for its views: whatever it is, the gateway gets an answer
        log.exception("a post could not be handled")
        return refuse(500, "Internal error.", "ER_INTERNAL")
    finally:
        close_old_connections()
