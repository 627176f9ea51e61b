"""`POST /record`: a gateway's body in, stored readings out. Knows no web framework."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from django.conf import settings
from django.db import InterfaceError, OperationalError

from gateways import directory, wire
from gateways.guesses import Guesses
from gateways.models import Gateway
from gateways.notes import Note
from gateways.proof import Known, Proof, prove
from gateways.services import NOTE_INTERVAL, note_credential_used, note_key, note_rejection
from gateways.shaping import Post, shape
from gateways.writer import Unavailable, write_now
from ruuvinet.lib.api import error_body, success_body
from ruuvinet.lib.mac import Mac

_SUCCESS = msgspec.json.encode(success_body())
RATE = "X-Ruuvi-Gateway-Rate"
_REFUSED = "Unauthorized request."
MAX_PERIOD_S = 3600  # a gateway takes 10 s for whatever is longer

# In plain words: the gateway's own page shows them to whoever set it up.
REASONS = {
    Gateway.Rejection.UNKNOWN: "This gateway is not whitelisted here.",
    Gateway.Rejection.UNSIGNED: "The post is not signed, and this gateway must sign.",
    Gateway.Rejection.SIGNATURE: "The signature is wrong: the key stored for this gateway is not "
    "the one that it signs with.",
    Gateway.Rejection.NO_CREDENTIAL: "This gateway must present a credential.",
    Gateway.Rejection.CREDENTIAL: "The user, password, token or key is wrong, expired or revoked.",
    Gateway.Rejection.CERTIFICATE: "This gateway must present the client certificate that is "
    "bound to it.",
}
WITH_401 = {Gateway.Rejection.NO_CREDENTIAL, Gateway.Rejection.CREDENTIAL}
GUESSES = Guesses()


class Request(NamedTuple):
    """What a gateway sent.

    `headers` is asked for names in lower case, and those about certificates are a trusted proxy's;
    `received_at` is aware; `address` is where the post came from, empty when unknown; `query` is
    that of the URL, as it was sent.
    """

    body: bytes
    headers: Mapping[str, str]
    received_at: datetime
    address: str
    query: str = ""


class Reply(NamedTuple):
    """What to answer: HTTP status, JSON body, headers beside Content-Type and Content-Length."""

    status: int
    body: bytes
    headers: dict[str, str]


class Opened(NamedTuple):
    """A body that was read, and the gateway that it names. Nothing is verified yet."""

    mac: Mac
    upload: wire.Upload[Any]


class Accepted(NamedTuple):
    """A post that may be stored; then its `notes` are to be written and `reply` is the answer."""

    post: Post
    notes: tuple[Note, ...]
    reply: Reply


class Malformed(Exception):
    """The body is not a gateway's. Its text may be shown to the sender."""


class Rejected(Exception):
    """The post does not prove that it is by a whitelisted gateway."""

    def __init__(
        self, mac: Mac, reason: Gateway.Rejection, request: Request, *, is_slowed: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_slowed = is_slowed
        given = {"mac": mac, "reason": reason, "address": request.address}
        self.note = Note((mac, reason), note_rejection, given, request.received_at)


class QueueFull(Exception):
    """As many posts are in hand as may be."""


# Whatever else is raised is a fault of ours.
REFUSALS = (Malformed, Rejected, QueueFull, Unavailable, OperationalError, InterfaceError)


def record(request: Request) -> Reply:
    """Judge and store one post of a gateway in this thread; its fast sister is `FastLane.record`.

    200 means committed. 400: not a gateway's body; 401: without its credential; 403: not
    whitelisted, or not signed with the gateway's key; 429: too many wrong credentials from there,
    or too many posts wait for the database; 503: it cannot be reached.
    """
    try:
        opened = open_body(request.body)
        accepted = accept(opened, request, directory.find(opened.mac))
        write_now(accepted.post)
    except Rejected as rejection:
        rejection.note.write()
        return refusal(rejection)
    except REFUSALS as error:
        return refusal(error)
    for note in accepted.notes:
        note.write()
    return accepted.reply


def open_body(body: bytes) -> Opened:
    """Raises Malformed."""
    try:
        upload = wire.read_body(body)
        return Opened(Mac.parse(upload.gw_mac), upload)
    except ValueError as error:
        raise Malformed(str(error)) from error


def accept(opened: Opened, request: Request, known: Known | None) -> Accepted:
    """The readings, if the request proves that they are `known`'s. Raises Rejected.

    None: no such gateway is whitelisted.
    """
    proof = authenticate(opened.mac, request, known)
    assert known is not None  # noqa: S101  # or there were no proof
    now = int(request.received_at.timestamp())
    batch = shape(opened.upload, gateway=opened.mac, now=now)
    return Accepted(
        Post(opened.mac, request.address, request.received_at, batch),
        tuple(notes_about(opened.mac, request, known, proof)),
        Reply(200, _SUCCESS, wishes(known, proof, request.received_at)),
    )


def authenticate(mac: Mac, request: Request, known: Known | None) -> Proof:
    """What the request proves about the gateway that it names. Raises Rejected."""
    if known is None:
        raise Rejected(mac, Gateway.Rejection.UNKNOWN, request)
    address, at = request.address, request.received_at
    is_slowed = GUESSES.are_too_many(address, at)
    proof = prove(
        known,
        body=request.body,
        headers=request.headers,
        query=request.query,
        may_guess=not is_slowed or address == known.last_address,
    )
    if proof.fault is None:
        return proof
    if proof.fault == Gateway.Rejection.CREDENTIAL:
        GUESSES.add(address, at)
    raise Rejected(mac, proof.fault, request, is_slowed=is_slowed and proof.fault in WITH_401)


def notes_about(mac: Mac, request: Request, known: Known, proof: Proof) -> Iterator[Note]:
    """What an accepted request leaves to be noted."""
    at = request.received_at
    if (used := proof.credential) and not _is_recent(used.last_used_at, at):
        given: dict[str, Any] = {"credential_id": used.id, "address": request.address}
        yield Note(("credential", used.id), note_credential_used, given, at)
    state = _key_state(known, proof)
    if state != known.key_state:
        yield Note((mac, known.key_state, state), note_key, {"mac": mac, "state": state}, at)


def _is_recent(noted: datetime | None, at: datetime) -> bool:
    return noted is not None and at - noted < NOTE_INTERVAL


def _key_state(known: Known, proof: Proof) -> str:
    if not known.offered_key or proof.key is None:
        return known.key_state
    if proof.key == known.offered_key:
        return Gateway.KeyState.TAKEN
    # It had it: after a restart a gateway signs with its own key again.
    had_it = known.key_state in {Gateway.KeyState.TAKEN, Gateway.KeyState.DEFAULT}
    return Gateway.KeyState.DEFAULT if had_it else Gateway.KeyState.OFFERED


def wishes(known: Known, proof: Proof, at: datetime) -> dict[str, str]:
    """The headers by which the gateway is told its period, and its key if it has another."""
    period_s = known.period_s or settings.GATEWAY_RATE_S
    if known.last_seen_at:
        pause_s = (at - known.last_seen_at).total_seconds()
        if 0 <= pause_s < settings.GATEWAY_FASTEST_S:
            period_s = min(2 * period_s, MAX_PERIOD_S)
    told = {RATE: str(period_s)}
    if known.offered_key and proof.key != known.offered_key:
        told["Ruuvi-HMAC-KEY"] = known.offered_key
    return told


def refusal(error: Exception) -> Reply:
    """What to answer for one of REFUSALS."""
    match error:
        case Malformed():
            return refuse(400, str(error), "ER_INVALID_FORMAT")
        case Rejected(is_slowed=True):
            return refuse(429, "Too many wrong credentials; wait a minute.", "ER_THROTTLED")
        case Rejected():
            status = 401 if error.reason in WITH_401 else 403
            reply = refuse(status, f"{_REFUSED} {REASONS[error.reason]}", "ER_UNAUTHORIZED")
            if status == 401:  # never Digest: a gateway tries that ten times in a row
                reply.headers["WWW-Authenticate"] = "Bearer"
            return reply
        case QueueFull():
            return refuse(429, "Too many requests.", "ER_THROTTLED")
        case _:
            return refuse(503, "The database cannot be reached.", "ER_INTERNAL")


def reason_of(error: Exception) -> str:
    """By which name one of REFUSALS is counted: one of `gateways.tally.REASONS`."""
    match error:
        case Malformed():
            return "malformed"
        case Rejected(is_slowed=True):
            return "guessing"
        case Rejected():
            return error.reason.name.lower()
        case QueueFull():
            return "queue_full"
        case _:
            return "unavailable"


def refuse(status: int, message: str, code: str | None) -> Reply:
    """An error in the envelope; `code` is left out when none of the contract's fits."""
    body = msgspec.json.encode(error_body(message, code))
    return Reply(status, body, {RATE: str(settings.GATEWAY_RATE_S)})
