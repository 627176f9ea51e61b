"""`POST /record`: a gateway's body in, stored readings out. Knows no web framework."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec
from django.conf import settings
from django.db import InterfaceError, OperationalError

from gateways import wire
from gateways.directory import secret_of
from gateways.models import Gateway
from gateways.services import note_rejection
from gateways.shaping import Post, shape
from gateways.signature import is_signed
from gateways.writer import QueueFull, Unavailable, Write, write_now
from ruuvinet.lib.api import error_body, success_body
from ruuvinet.lib.mac import Mac

_SUCCESS = msgspec.json.encode(success_body())


class Reply(NamedTuple):
    """What to answer: HTTP status, JSON body, headers beside Content-Type and Content-Length."""

    status: int
    body: bytes
    headers: dict[str, str]


def record(
    *,
    body: bytes,
    headers: Mapping[str, str],
    received_at: datetime,
    address: str,
    write: Write = write_now,
) -> Reply:
    """Judge and store one post of a gateway.

    `headers` is asked for `Ruuvi-HMAC-SHA256`, whatever its case; `received_at` is aware;
    `address` is where the post came from; `write` returns when the readings are committed.
    200 means committed. 400: not a gateway's body; 403: not whitelisted or not signed with the
    gateway's secret; 429: too many wait for the database; 503: it cannot be reached.
    """
    try:
        upload = wire.read_body(body)
        mac = Mac.parse(upload.gw_mac)
    except ValueError as error:
        return refuse(400, str(error), "ER_INVALID_FORMAT")
    try:
        signature = headers.get("Ruuvi-HMAC-SHA256", "")
        rejection = _why_reject(secret_of(mac), body, signature)
        if rejection:
            note_rejection(mac=mac, reason=rejection, address=address, at=received_at)
            return refuse(403, "Unauthorized request.", "ER_UNAUTHORIZED")
        batch = shape(upload, gateway=mac, now=int(received_at.timestamp()))
        write(Post(mac, address, received_at, batch))
    except QueueFull:
        return refuse(429, "Too many requests.", "ER_THROTTLED")
    except (Unavailable, OperationalError, InterfaceError):
        return refuse(503, "The database cannot be reached.", "ER_INTERNAL")
    return _answer(200, _SUCCESS)


def _why_reject(secret: str | None, body: bytes, signature: str) -> Gateway.Rejection | None:
    if secret is None:
        return Gateway.Rejection.UNKNOWN
    if not signature:
        return Gateway.Rejection.UNSIGNED
    if not is_signed(body, signature, secret):
        return Gateway.Rejection.SIGNATURE
    return None


def _answer(status: int, body: bytes) -> Reply:
    return Reply(status, body, {"X-Ruuvi-Gateway-Rate": str(settings.GATEWAY_RATE_S)})


def refuse(status: int, message: str, code: str | None) -> Reply:
    """An error in the envelope; `code` is left out when none of the contract's fits."""
    return _answer(status, msgspec.json.encode(error_body(message, code)))
