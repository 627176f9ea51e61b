"""What the gateways of the benchmark post: signed bodies, each of which stores 24 new readings.

Body number k of a gateway is from minute k, the last minute of all ends when the benchmark
starts: every reading falls into a fresh slot of the dense history and is newer than the latest.
"""

import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from struct import Struct

from gateways.signature import sign
from gateways.simulator.gateway import USER_AGENT, Heard, build_body

GATEWAYS = 500
READINGS = 24  # a body
INTERVAL_S = 60  # between bodies of one gateway; the dense history keeps one reading in it

_FIELDS = Struct(">BhHHhhhHBH6s")  # data format 5, 24 bytes
_ADVERTISEMENT = bytes.fromhex("0201061BFF9904")
# Stand-ins that the template's holes are found by. All bodies have the same length.
_TIME, _RSSI, _DATA, _NONCE = 1_111_111_111, -101, b"\xde\xad" * 15 + b"\xde", 2_222_222_222


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading as it must lie in the database afterwards."""

    sensor: int
    measured_at: int
    gateway: int
    rssi_dbm: int
    payload: bytes


@dataclass(frozen=True)
class Gateway:
    number: int
    mac: int
    secret: str
    sensors: tuple[int, ...]

    def body(self, time_s: int, nonce: int = 0) -> tuple[bytes, list[Reading]]:
        """The body of that time, and the readings in it. The same again for the same time."""
        random = Random(f"{self.number} {time_s}")  # noqa: S311  # weather, not secrets
        readings = [
            Reading(
                sensor=sensor,
                measured_at=time_s,
                gateway=self.mac,
                rssi_dbm=random.getrandbits(5) - 90,
                payload=_advertisement(sensor, time_s // INTERVAL_S, random.getrandbits(48)),
            )
            for sensor in self.sensors
        ]
        holes: list[object] = [time_s, 1_000_000_000 + nonce]
        for reading in readings:
            holes += [reading.rssi_dbm, time_s, reading.payload.hex().upper().encode()]
        return self._template % tuple(holes), readings

    @cached_property
    def _template(self) -> bytes:
        # Filling this takes a tenth of the time that it takes to build a body.
        heard = [
            Heard(
                mac=spell(sensor),
                rssi_dbm=_RSSI,
                received_at=_TIME,
                ble_phy="1M",
                ble_chan=37 + sensor % 3,
                ble_tx_power_dbm=None,
                data=_DATA,
            )
            for sensor in self.sensors
        ]
        body = build_body(
            coordinates="", timestamp=_TIME, nonce=_NONCE, gw_mac=spell(self.mac), heard=heard
        )
        for stand_in in (str(_TIME), str(_RSSI), str(_NONCE)):
            body = body.replace(stand_in.encode(), b"%d")
        return body.replace(_DATA.hex().upper().encode(), b"%b")


def fleet() -> list[Gateway]:
    """The same gateways and sensors in every run; every sensor is heard by one gateway."""
    random = Random("fleet")  # noqa: S311  # addresses, not secrets
    # Random static addresses, scattered as real ones are.
    sensors = random.sample(range(0xC0 << 40, 1 << 48), GATEWAYS * READINGS)
    return [
        Gateway(
            number=number,
            mac=0xC8252D000000 + number,
            secret=random.randbytes(8).hex(":").upper(),
            sensors=tuple(sensors[number::GATEWAYS]),
        )
        for number in range(GATEWAYS)
    ]


def spell(mac: int) -> str:
    return mac.to_bytes(6, "big").hex(":").upper()


def head(gateway: Gateway, body: bytes) -> bytes:
    """The headers of a post that depend on its body, and the empty line."""
    return (
        f"Ruuvi-HMAC-SHA256: {sign(body, gateway.secret)}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()


# The headers that do not; what is left out is "Connection".
COMMON_HEAD = (
    "POST /record HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    f"User-Agent: {USER_AGENT}\r\nContent-Type: application/json\r\n"
)


@dataclass(frozen=True, slots=True)
class Magazine:
    """Ready requests without their common head, in a file for each thread of the load generator."""

    files: tuple[Path, ...]
    post_bytes: int
    posts: int  # in each file
    start_s: int = 0  # Unix time of the first round
    head: str = COMMON_HEAD


def write_magazine(folder: Path, *, posts: int, threads: int, gateways: int = GATEWAYS) -> Magazine:
    """Write at least `posts` posts, the gateways taking turns, each in the order of time."""
    rounds = -(-posts // gateways)
    start = int(time.time()) // INTERVAL_S * INTERVAL_S - INTERVAL_S * rounds
    files = tuple(folder / f"posts.{thread}" for thread in range(threads))
    with ProcessPoolExecutor() as pool:
        sizes = set(
            pool.map(_write, files, range(threads), [threads] * threads, [start] * threads,
                     [rounds] * threads, [gateways] * threads)
        )  # fmt: skip
    (post_bytes,) = sizes
    return Magazine(files, post_bytes, rounds * gateways // threads, start)


def _write(
    path: Path, thread: int, threads: int, start: int, rounds: int, gateways_in_all: int
) -> int:
    gateways = fleet()[:gateways_in_all][thread::threads]
    sizes = set()
    with path.open("wb") as file:
        for post in _posts(gateways, range(start, start + rounds * INTERVAL_S, INTERVAL_S)):
            sizes.add(file.write(post))
    (size,) = sizes  # the generator counts on it
    return size


def _posts(gateways: Iterable[Gateway], times: Iterable[int]) -> Iterator[bytes]:
    for nonce, time_s in enumerate(times):
        for gateway in gateways:
            body, _ = gateway.body(time_s, nonce)
            yield head(gateway, body) + body


def write_keys(path: Path) -> None:
    """The file that every contestant whitelists its gateways from."""
    path.write_text(json.dumps([[gateway.mac, gateway.secret] for gateway in fleet()]))


def _advertisement(sensor: int, sequence: int, noise: int) -> bytes:
    return _ADVERTISEMENT + _FIELDS.pack(
        5,
        4000 + (noise & 0x1FF),  # 20 to 22.56 °C
        16000 + (noise >> 9 & 0x3FF),  # 40 to 42.56 %
        51000 + (noise >> 19 & 0x1FF),
        (noise >> 28 & 31) - 16,
        (noise >> 33 & 31) - 16,
        1000 + (noise >> 38 & 31),
        (1300 << 5) + 22,  # 2900 mV, +4 dBm
        noise >> 43 & 31,
        sequence & 0xFFFF,
        sensor.to_bytes(6, "big"),
    )
