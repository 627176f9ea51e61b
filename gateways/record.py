"""`POST /record`: a gateway's body in, stored readings out. Knows no web framework."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.conf import settings
from django.db import InterfaceError, OperationalError

from gateways import wire
from gateways.directory import secret_of
from gateways.models import Gateway
from gateways.services import note_rejection
from gateways.shaping import Post, shape
from gateways.signature import is_signed
from gateways.writer import Unavailable, write_now
from ruuvinet.lib.api import error_body, success_body
from ruuvinet.lib.mac import Mac

_SUCCESS = msgspec.json.encode(success_body())


class Request(NamedTuple):
    """What a gateway sent.

    `headers` is asked for names in lower case; `received_at` is aware; `address` is where the
    post came from, empty when unknown.
    """

    body: bytes
    headers: Mapping[str, str]
    received_at: datetime
    address: str


class Reply(NamedTuple):
    """What to answer: HTTP status, JSON body, headers beside Content-Type and Content-Length."""

    status: int
    body: bytes
    headers: dict[str, str]


class Opened(NamedTuple):
    """A body that was read, and the gateway that it names. Nothing is verified yet."""

    mac: Mac
    upload: wire.Upload[Any]


class Malformed(Exception):
    """The body is not a gateway's. Its text may be shown to the sender."""


class Rejected(Exception):
    """The post is not by a whitelisted gateway, or not signed by it."""

    def __init__(self, mac: Mac, reason: Gateway.Rejection) -> None:
        super().__init__(reason)
        self.mac = mac
        self.reason = reason


class QueueFull(Exception):
    """As many posts are in hand as may be."""


# Whatever else is raised is a fault of ours.
REFUSALS = (Malformed, Rejected, QueueFull, Unavailable, OperationalError, InterfaceError)


def record(request: Request) -> Reply:
    """Judge and store one post of a gateway in this thread; its fast sister is `FastLane.record`.

    200 means committed. 400: not a gateway's body; 403: not whitelisted or not signed with the
    gateway's secret; 429: too many wait for the database; 503: it cannot be reached.
    """
    try:
        opened = open_body(request.body)
        write_now(accept(opened, request, secret_of(opened.mac)))
    except Rejected as rejection:
        note_rejection(
            mac=rejection.mac,
            reason=rejection.reason,
            address=request.address,
            at=request.received_at,
        )
        return refusal(rejection)
    except REFUSALS as error:
        return refusal(error)
    return success()


def open_body(body: bytes) -> Opened:
    """Raises Malformed."""
    try:
        upload = wire.read_body(body)
        return Opened(Mac.parse(upload.gw_mac), upload)
    except ValueError as error:
        raise Malformed(str(error)) from error


def accept(opened: Opened, request: Request, secret: str | None) -> Post:
    """The readings, if `secret` (None: the gateway has none) signed them. Raises Rejected."""
    signature = request.headers.get("ruuvi-hmac-sha256", "")
    if secret is None:
        raise Rejected(opened.mac, Gateway.Rejection.UNKNOWN)
    if not signature:
        raise Rejected(opened.mac, Gateway.Rejection.UNSIGNED)
    if not is_signed(request.body, signature, secret):
        raise Rejected(opened.mac, Gateway.Rejection.SIGNATURE)
    now = int(request.received_at.timestamp())
    batch = shape(opened.upload, gateway=opened.mac, now=now)
    return Post(opened.mac, request.address, request.received_at, batch)


def success() -> Reply:
    return _answer(200, _SUCCESS)


def refusal(error: Exception) -> Reply:
    """What to answer for one of REFUSALS."""
    match error:
        case Malformed():
            return refuse(400, str(error), "ER_INVALID_FORMAT")
        case Rejected():
            return refuse(403, "Unauthorized request.", "ER_UNAUTHORIZED")
        case QueueFull():
            return refuse(429, "Too many requests.", "ER_THROTTLED")
        case _:
            return refuse(503, "The database cannot be reached.", "ER_INTERNAL")


def refuse(status: int, message: str, code: str | None) -> Reply:
    """An error in the envelope; `code` is left out when none of the contract's fits."""
    return _answer(status, msgspec.json.encode(error_body(message, code)))


def _answer(status: int, body: bytes) -> Reply:
    return Reply(status, body, {"X-Ruuvi-Gateway-Rate": str(settings.GATEWAY_RATE_S)})
