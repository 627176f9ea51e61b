"""`POST /status`: what a gateway tells about itself each hour. Knows no web framework."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import F

from gateways import directory, wire
from gateways.models import Gateway, GatewayReset, GatewayStatus, Policy
from gateways.proof import Request
from gateways.record import (
    Malformed,
    Rejected,
    Reply,
    authenticate,
    notes_about,
    refusal,
    wishes,
)
from gateways.wire import Status, read_count, read_text
from ruuvinet.lib.mac import Mac

_TAKEN = b"{}"
MAX_INFO = 32_768  # characters of a register dump, which has kilobytes
MAX_TOLD = 65_536  # bytes of all that a status tells; a hundred sensors have a tenth
# Uptimes are whole seconds, and a status takes a while: the same boot within this.
SAME_BOOT = timedelta(minutes=10)


def receive(request: Request) -> Reply:
    """Store a status if its sender is believed; whoever is not is answered 200 and forgotten.

    400: not a status; 401: a known gateway with a wrong credential.
    """
    try:
        told, everything = wire.read_status(request.body)
        mac = Mac.parse(told.device_addr)
    except ValueError as error:
        return refusal(Malformed(str(error)))
    known = directory.find(mac)
    if known is not None and known.policy == Policy.BOTH:
        # A gateway's statistics page has no tokens: what it can always do is sign.
        known = known._replace(policy=Policy.SIGNATURE)
    try:
        proof = authenticate(mac, request, known)
    except Rejected as rejection:
        if known is not None:  # the console says why
            rejection.note.write()
        if rejection.reason == Gateway.Rejection.CREDENTIAL:
            return refusal(rejection)
        return Reply(200, _TAKEN, {})
    assert known is not None  # noqa: S101  # or there were no proof
    note_status(mac, told, everything, request)
    for note in notes_about(mac, request, known._replace(key_state="", offered_key=""), proof):
        note.write()
    headers = wishes(known, proof, request.received_at)
    return Reply(200, _TAKEN, {name: headers[name] for name in headers if name == "Ruuvi-HMAC-KEY"})


@transaction.atomic
def note_status(mac: Mac, told: Status, everything: dict[str, Any], request: Request) -> None:
    """Add to the gateway's history, once for each status, and keep a restart when first told."""
    Gateway.objects.select_for_update().get(mac=mac)  # two must not both see a new restart
    status = _status(mac, told, everything, request)
    nonce, uptime_s = status.nonce, status.uptime_s
    known = GatewayStatus.objects.filter(gateway_id=mac, nonce=nonce, uptime_s=uptime_s)
    if nonce is not None and known.exists():
        Gateway.objects.filter(mac=mac).update(replays=F("replays") + 1)
        return
    status.save()
    _note_reset(mac, told, status)


def _status(mac: Mac, told: Status, everything: dict[str, Any], request: Request) -> GatewayStatus:
    alive = told.nrf_status
    return GatewayStatus(
        gateway_id=mac,
        received_at=request.received_at,
        nonce=read_count(told.nonce),
        uptime_s=read_count(told.uptime),
        esp_firmware=read_text(told.esp_fw, 64),
        nrf_firmware=read_text(told.nrf_fw, 64),
        nrf_alive=alive if isinstance(alive, bool) else None,
        connection=read_text(told.connection, 32),
        connections_lost=read_count(told.num_conn_lost),
        free_bytes=read_count(told.total_free_bytes_internal),
        largest_free_block_bytes=read_count(told.largest_free_block_internal),
        sensors_seen=read_count(told.sensors_seen),
        told=_storable(everything),
    )


def _storable(everything: dict[str, Any]) -> dict[str, Any]:
    """Without the dump, which is kept beside; nothing at all of what no gateway sends."""
    rest = {name: value for name, value in everything.items() if name != "RESET_INFO"}
    encoded = msgspec.json.encode(rest)
    # PostgreSQL's JSON holds no NUL.
    return {} if len(encoded) > MAX_TOLD or b"\\u0000" in encoded else rest


def _note_reset(mac: Mac, told: Status, status: GatewayStatus) -> None:
    reason, count = read_text(told.reset_reason, 32), read_count(told.reset_cnt)
    info = read_text(told.reset_info, MAX_INFO)
    uptime_s = min(status.uptime_s or 0, 10**9)
    booted_at = status.received_at - timedelta(seconds=uptime_s)
    before = GatewayReset.objects.filter(gateway_id=mac).order_by("-seen_at", "-pk").first()
    if before and _is_same(before, booted_at, reason, count):
        if info and not before.info:
            before.info = info
            before.save(update_fields=["info"])
        return
    if not (reason or info or count):
        return
    GatewayReset.objects.create(
        gateway_id=mac, seen_at=status.received_at, booted_at=booted_at,
        reason=reason, count=count, info=info,
    )  # fmt: skip


def _is_same(before: GatewayReset, booted_at: datetime, reason: str, count: int | None) -> bool:
    """Whether a status tells again of the restart `before`."""
    return (
        (before.reason, before.count) == (reason, count)
        and before.booted_at is not None
        and abs(before.booted_at - booted_at) < SAME_BOOT
    )
