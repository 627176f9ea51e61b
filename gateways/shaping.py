"""From a gateway's body to readings: pure judgement, tag by tag, without a database."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from gateways import decoded, wire
from ruuvinet.lib.mac import Mac
from sensors.models import MAX_PAYLOAD_BYTES
from sensors.partitions import oldest_open
from sensors.services import Reception

FUTURE_TOLERANCE_S = 300
CLOCK_TOLERANCE_S = 86400


class Post(NamedTuple):
    """An accepted post of the gateway `mac`, received `at` from `address`, ready to be stored."""

    mac: Mac
    address: str
    at: datetime
    batch: "Batch"


@dataclass(slots=True)
class Batch:
    """The readings of one body, one per sensor, and what was wrong with the rest."""

    receptions: dict[int, Reception] = field(default_factory=dict)
    clock_offset_s: int | None = None  # gateway clock minus ours, only when it is wrong
    sent_at_s: int | None = None  # by the gateway's clock, only when that is right
    nonce: int | None = None
    bad_tags: int = 0
    late_readings: int = 0


def shape(
    upload: wire.Upload[Any], *, gateway: int, now: int, newest_body_s: int | None = None
) -> Batch:
    """Read every tag on its own merits.

    Unix seconds: `now` is the time of reception, `newest_body_s` that of the gateway's newest body
    by its own clock, as far as that is known.
    """
    batch, stated = Batch(), _stated(upload.timestamp)
    if stated is not None:
        # No clock that was set goes back by itself: an old body came again, and its time is true.
        is_old = newest_body_s is not None and 0 <= stated < newest_body_s
        if is_old or -CLOCK_TOLERANCE_S <= stated - now <= FUTURE_TOLERANCE_S:
            batch.sent_at_s, batch.nonce = stated, wire.read_count(upload.nonce)
        else:
            batch.clock_offset_s = stated - now
    receptions = batch.receptions
    for reception in _readable(upload, batch, gateway=int(gateway), now=now):
        other = receptions.setdefault(reception.sensor, reception)
        # Two spellings of one MAC: the newer record counts.
        if other is not reception and reception.measured_at > other.measured_at:
            receptions[reception.sensor] = reception
    return batch


def _readable(
    upload: wire.Upload[Any], batch: Batch, *, gateway: int, now: int
) -> Iterator[Reception]:
    oldest, newest = oldest_open(now), now + FUTURE_TOLERANCE_S
    clock_is_wrong = batch.clock_offset_s is not None
    for text, raw in upload.tags.items():
        try:
            sensor, stated, rssi_dbm, payload = read_tag(text, raw)
        except ValueError:
            batch.bad_tags += 1
            continue
        if stated is not None and oldest <= stated <= newest:
            measured_at = stated
        # A time that cannot be true: with a wrong clock, as without one, ours is the best we know.
        elif stated is None or clock_is_wrong or stated > now:
            measured_at = now
        else:
            batch.late_readings += 1
            continue
        if payload:
            yield Reception(int(sensor), measured_at, gateway, rssi_dbm, payload)


# A gateway hears the same sensors again and again.
_sensor = lru_cache(50_000)(Mac.parse)


def read_tag(text: str, raw: Any) -> tuple[Mac, int | None, int, bytes]:
    """Sensor, stated time, signal and advertisement of a tag as `wire.read_body` left it.

    The advertisement is empty if there is none and nothing that gives one. Raises ValueError.
    """
    tag = wire.read_tag(raw)
    payload = _payload(tag.data) if tag.data else decoded.encode(wire.read_decoded(raw))
    return _sensor(text), wire.read_timestamp(tag.timestamp), _rssi(tag.rssi), payload


def _payload(text: str) -> bytes:
    """The advertisement. Raises ValueError."""
    payload = bytes.fromhex(text)
    if len(payload) > MAX_PAYLOAD_BYTES or len(payload) * 2 != len(text):
        raise ValueError("not the hex of an advertisement")
    return payload


def _rssi(rssi_dbm: int) -> int:
    if not -128 <= rssi_dbm <= 127:
        raise ValueError("RSSI does not fit a signed byte")
    return rssi_dbm


def _stated(timestamp: wire.Timestamp) -> int | None:
    """The time of the body; None where it says none, or none that can be read."""
    try:
        return wire.read_timestamp(timestamp)
    except ValueError:
        return None
