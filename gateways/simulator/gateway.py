"""A Ruuvi Gateway's firmware: what it posts, how it signs it, and when it posts next.

Times called `now_s` and `..._at_s` are simulated Unix seconds; `wall_now_s` is the real clock.
"""

import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateways.simulator.client import Answer
from gateways.simulator.custom import Custom
from gateways.simulator.decoding import decoded_fields
from gateways.simulator.radio import Link
from gateways.simulator.world import GatewayIdentity

DEFAULT_PERIOD_S = 10  # gateway firmware: until the server sets another
MAX_PERIOD_S = 3600
RETRY_AFTER_FAILURE_S = 67  # gateway firmware: after any failed post, 429 included
MAX_KEY_LENGTH = 63  # gateway firmware: a longer key is refused and the old one stays
NONCES = 1 << 32
USER_AGENT = "Ruuvi Gateway HTTP Client/1.0"


@dataclass(frozen=True, slots=True)
class Heard:
    """The newest advertisement of one sensor, as a record in the body."""

    mac: str
    rssi_dbm: int
    received_at: int  # Unix seconds, gateway clock
    ble_phy: str
    ble_chan: int
    ble_tx_power_dbm: int | None
    data: bytes


@dataclass(frozen=True, slots=True)
class Post:
    """A request ready to send; `readings` is the number of records in it."""

    headers: Mapping[str, str]
    body: bytes
    readings: int


def build_body(
    *,
    coordinates: str,
    timestamp: int,
    nonce: int,
    gw_mac: str,
    heard: Iterable[Heard],
    body_format: str = "ruuvi",
) -> bytes:
    """The exact bytes a gateway posts: two spaces, LF, no newline at the end."""
    data = {
        "coordinates": coordinates,
        "timestamp": timestamp,
        "nonce": nonce,
        "gw_mac": gw_mac,
        "tags": {record.mac: _tag(record, body_format) for record in heard},
    }
    return json.dumps({"data": data}, indent=2, ensure_ascii=False).encode()


def sign(body: bytes, key: str) -> str:
    """HMAC-SHA-256 of the body as 64 lower-case hex digits."""
    return hmac.digest(key.encode(), body, "sha256").hex()


def request_headers(body: bytes, key: str) -> dict[str, str]:
    """All headers of a post but Host and Content-Length, which the HTTP client adds."""
    return {
        "User-Agent": USER_AGENT,
        "Content-Type": "application/json",
        "Ruuvi-HMAC-SHA256": sign(body, key),
    }


def period_from_header(value: str | None, current_s: int) -> int:
    """The posting period in seconds after an answer with this X-Ruuvi-Gateway-Rate.

    Without the header the period stays; a value outside 1-3600 means 10 s, not the old period.
    """
    if value is None:
        return current_s
    digits = re.fullmatch(r"0*([0-9]{1,4})", value)
    period_s = int(digits[1]) if digits else 0
    return period_s if 1 <= period_s <= MAX_PERIOD_S else DEFAULT_PERIOD_S


def key_from_header(value: str | None, current: str) -> str:
    """The HMAC key for the next request after an answer with this Ruuvi-HMAC-KEY."""
    return current if value is None or len(value) > MAX_KEY_LENGTH else value


def next_post_at(
    *, started_at_s: float, ended_at_s: float, succeeded: bool, period_s: int
) -> float:
    """A period after the start of a successful post, 67 s after the end of a failed one."""
    if not succeeded:
        return ended_at_s + RETRY_AFTER_FAILURE_S
    return max(ended_at_s, started_at_s + period_s)


class Gateway:
    """One gateway from being switched on. `nonce`: the random number to start with."""

    def __init__(
        self,
        identity: GatewayIdentity,
        links: Sequence[Link],
        *,
        nonce: int,
        period_s: int = DEFAULT_PERIOD_S,
        custom: Custom = Custom(),  # noqa: B008  # it cannot be changed
    ) -> None:
        self.custom = custom
        self.mac = identity.mac
        self.period_s = period_s
        self._coordinates = identity.coordinates
        self._key = identity.key
        self._links = links
        self._nonce = nonce % NONCES
        self._heard_until_s: float | None = None

    def next_post(self, now_s: float, *, wall_now_s: float, speed: float) -> Post:
        """Everything heard since the last post, which is forgotten whether or not it arrives."""
        heard = self._take_heard(now_s, wall_now_s, speed)
        body = build_body(
            coordinates=self._coordinates,
            timestamp=int(wall_now_s),
            nonce=self._nonce,
            gw_mac=self.mac,
            heard=heard,
            body_format=self.custom.body_format,
        )
        self._nonce = (self._nonce + 1) % NONCES
        headers = request_headers(body, self._key) | self.custom.headers()
        return Post(headers, body, readings=len(heard))

    def obey(self, answer: Answer) -> None:
        """Take over the key and the period an answer asks for, whatever its status."""
        self._key = key_from_header(answer.headers.get("ruuvi-hmac-key"), self._key)
        rate = answer.headers.get("x-ruuvi-gateway-rate")
        self.period_s = period_from_header(rate, self.period_s)

    def _take_heard(self, now_s: float, wall_now_s: float, speed: float) -> list[Heard]:
        since_s, self._heard_until_s = self._heard_until_s, now_s
        if since_s is None:
            return []  # gateway firmware: the list is cleared right before the first post
        return [
            Heard(
                mac=packet.mac,
                rssi_dbm=packet.rssi_dbm,
                received_at=int(wall_now_s - (now_s - packet.sent_at_s) / speed),
                ble_phy=packet.ble_phy,
                ble_chan=packet.ble_chan,
                ble_tx_power_dbm=packet.ble_tx_power_dbm,
                data=packet.data,
            )
            for packet in (link.newest(since_s, now_s) for link in self._links)
            if packet is not None
        ]


def _tag(heard: Heard, body_format: str) -> dict[str, Any]:
    tag: dict[str, Any] = {
        "rssi": heard.rssi_dbm,
        "timestamp": heard.received_at,
        "ble_phy": heard.ble_phy,
        "ble_chan": heard.ble_chan,
    }
    if heard.ble_tx_power_dbm is not None:
        # Gateway firmware: negative powers appear as unsigned 32-bit numbers.
        tag["ble_tx_power"] = heard.ble_tx_power_dbm % (1 << 32)
    if body_format != "ruuvi_decoded":
        tag["data"] = heard.data.hex().upper()
    return tag if body_format == "ruuvi" else tag | decoded_fields(heard.data)
