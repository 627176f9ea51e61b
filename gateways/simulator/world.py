"""Who is in the simulated world, and what each sensor advertises at any instant.

All follows from the seed and the simulated time (Unix seconds, UTC). Sensors keep counting while
nobody simulates, so a second run with the same seed continues the first as real sensors would.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Protocol

from gateways.simulator.advertising import (
    NOT_AVAILABLE_16,
    NOT_AVAILABLE_24,
    AirSample,
    TagSample,
    encode_format_5,
    encode_format_e1,
)
from gateways.simulator.nature import (
    DAY_S,
    Climate,
    Freezer,
    Place,
    Room,
    Weather,
    chance,
    daily_wave,
    drift,
    salt,
)

MAX_SENSORS = 100  # gateway firmware: at most 100 tags in one body
TAG_INTERVAL_S = 1.285  # RuuviTag firmware: one measurement for each advertisement
AIR_INTERVAL_S = 1.0
TAG_TX_POWER_DBM = 4
AIR_TX_POWER_DBM = 8
DOOR_INTERVAL_S = 60  # the moved sensor is moved once in each such span, at a random instant
BATTERY_FALL_MV_PER_DAY = 0.8

_MAC_BITS = 46  # a random static BLE address: the two highest bits are set
_FIRST_GATEWAY_NUMBER = 50_000_001  # above any sensor's; odd, so that the MACs look unlike theirs


class Kind(StrEnum):
    FREEZER = "freezer"  # only in the first home
    OUTDOOR = "outdoor"  # in every second home this is the neighbour's, heard through the wall
    AIR = "air"  # a Ruuvi Air; all others are RuuviTags
    DOOR = "door"  # moved now and then
    ROOM = "room"


@dataclass(frozen=True, slots=True)
class GatewayIdentity:
    mac: str
    key: str  # HMAC key; the device id unless the user gave another
    coordinates: str


@dataclass(frozen=True, slots=True)
class SensorIdentity:
    mac: str
    kind: Kind


def gateway_identities(seed: int, count: int, *, key: str | None = None) -> list[GatewayIdentity]:
    """The first `count` gateways; `key` replaces the device id of every one of them."""
    return [
        GatewayIdentity(
            mac=_mac(seed, _FIRST_GATEWAY_NUMBER + number),
            key=_device_id(seed, number) if key is None else key,
            coordinates=_coordinates(seed, number),
        )
        for number in range(count)
    ]


def sensor_identities(seed: int, gateways: int, sensors: int) -> list[list[SensorIdentity]]:
    """The sensors heard by each gateway, `sensors` in each list (at most 100).

    Homes are neighbours two by two: the second of each pair hears the first one's outdoor sensor
    and has none of its own.
    """
    heard: list[list[SensorIdentity]] = []
    for home in range(gateways):
        kinds = _kinds(home)[:sensors] + [Kind.ROOM] * (sensors - len(_kinds(home)))
        own = [_identity(seed, home, slot, kind) for slot, kind in enumerate(kinds)]
        if home % 2 == 1:
            own = [_lent_by(heard[home - 1], sensor) for sensor in own]
        heard.append(own)
    return heard


def freezer_mac(seed: int) -> str:
    """The sensor in the freezer of the first home, whatever the number of gateways or sensors."""
    return _identity(seed, 0, 0, Kind.FREEZER).mac


class Sensor(Protocol):
    """A sensor which measures once every `interval_s` and advertises each sample once."""

    identity: SensorIdentity
    interval_s: float

    def number_at(self, at_s: float) -> int:
        """The number of the newest sample at that instant."""

    def measured_at_s(self, number: int) -> float:
        """When that sample was measured and sent, simulated Unix seconds."""

    def advertisement(self, number: int) -> bytes:
        """The advertising bytes of that sample: the same for every listener."""


class _Periodic:
    """Counts samples from the epoch, with a phase of its own."""

    def __init__(self, identity: SensorIdentity, stream: int, interval_s: float) -> None:
        self.identity = identity
        self.stream = stream
        self.interval_s = interval_s
        self._phase_s = chance(stream, -1) * interval_s
        self._first_number = int(chance(stream, -2) * NOT_AVAILABLE_16)

    def number_at(self, at_s: float) -> int:
        return math.floor((at_s - self._phase_s) / self.interval_s) + self._first_number

    def measured_at_s(self, number: int) -> float:
        return (number - self._first_number) * self.interval_s + self._phase_s

    def noise(self, number: int, size: float) -> float:
        """Measurement noise of one sample, up to `size` either way."""
        return size * (2 * chance(self.stream, number) - 1)


class Tag(_Periodic):
    """A RuuviTag: format 5."""

    def __init__(
        self,
        identity: SensorIdentity,
        stream: int,
        *,
        place: Place,
        weather: Weather,
        started_at_s: float,
    ) -> None:
        super().__init__(identity, stream, TAG_INTERVAL_S)
        self._place = place
        self._weather = weather
        self._started_at_s = started_at_s
        self._full_battery_mv = 2850 + 200 * chance(stream, -3)
        self._floor_pa = -36 * int(4 * chance(stream, -4))  # 36 Pa less on each floor up

    def advertisement(self, number: int) -> bytes:
        return encode_format_5(self.sample(number))

    def sample(self, number: int) -> TagSample:
        at_s = self.measured_at_s(number)
        air = self._place.climate(at_s)
        moves = self._moves_until(at_s)
        return TagSample(
            mac=self.identity.mac,
            temperature_c=air.temperature_c + self.noise(number, 0.02),
            humidity_pct=air.humidity_pct + self.noise(number + 1, 0.1),
            pressure_pa=self._weather.pressure_pa(at_s) + self._floor_pa + self.noise(number, 3),
            acceleration_mg=self._acceleration_mg(number, moves),
            battery_mv=self._battery_mv(at_s, air),
            tx_power_dbm=TAG_TX_POWER_DBM,
            movement_counter=moves % 0xFF,
            sequence=number % NOT_AVAILABLE_16,
        )

    def _battery_mv(self, at_s: float, air: Climate) -> int:
        """Falls with the days, and stands lower in the cold."""
        fallen_mv = BATTERY_FALL_MV_PER_DAY * (at_s - self._started_at_s) / DAY_S
        return round(self._full_battery_mv - fallen_mv + 4 * min(0.0, air.temperature_c))

    def _moves_until(self, at_s: float) -> int:
        """How often the sensor was moved; one on a wall only while it was put there."""
        if self.identity.kind is not Kind.DOOR:
            return int(0xFF * chance(self.stream, -5))
        span, into_s = divmod(at_s, DOOR_INTERVAL_S)
        moved_in_this_span = into_s >= chance(self.stream + 1, int(span)) * DOOR_INTERVAL_S
        return int(span) + moved_in_this_span

    def _acceleration_mg(self, number: int, moves: int) -> tuple[int, int, int]:
        """Gravity on Z; each move turns the sensor, so a door's X tells open from shut."""
        x = 90 if moves % 2 else -20
        return (
            x + round(self.noise(number, 4)),
            12 + round(self.noise(number + 1, 4)),
            1000 + round(self.noise(number + 2, 6)),
        )


class Air(_Periodic):
    """A Ruuvi Air in a room with people: format E1, extended advertising."""

    def __init__(self, identity: SensorIdentity, stream: int, *, weather: Weather) -> None:
        super().__init__(identity, stream, AIR_INTERVAL_S)
        self._room = Room(stream)
        self._weather = weather

    def advertisement(self, number: int) -> bytes:
        return encode_format_e1(self.sample(number))

    def sample(self, number: int) -> AirSample:
        at_s = self.measured_at_s(number)
        air = self._room.climate(at_s)
        people = (1 + drift(self.stream + 2, at_s, 2 * 3600)) / 2  # 0 nobody, 1 a party
        pm1_ugm3 = 1.5 + 9 * max(0.0, drift(self.stream + 3, at_s, 2400)) ** 2
        average_dba = 34 + 18 * people
        return AirSample(
            mac=self.identity.mac,
            temperature_c=air.temperature_c + self.noise(number, 0.02),
            humidity_pct=air.humidity_pct + self.noise(number + 1, 0.1),
            pressure_pa=self._weather.pressure_pa(at_s) + self.noise(number, 3),
            pm_ugm3=(pm1_ugm3, pm1_ugm3 * 1.2, pm1_ugm3 * 1.35, pm1_ugm3 * 1.4),
            co2_ppm=430 + 700 * people + self.noise(number + 2, 8),
            voc_index=round(100 + 60 * drift(self.stream + 4, at_s, 3600)),
            nox_index=1 + round(3 * max(0.0, drift(self.stream + 5, at_s, 3600))),
            sequence=number % NOT_AVAILABLE_24,
            luminosity_lux=300 * max(0.0, daily_wave(at_s)) + 120 * people,
            sound_instant_dba=average_dba + self.noise(number + 3, 5),
            sound_average_dba=average_dba,
            sound_peak_db=average_dba + 14 + self.noise(number + 4, 4),
        )


class World:
    """The sensors of one seed.

    `started_at_s`: simulated Unix seconds. `warm_up_after_s`: simulated seconds from then until
    the freezer's door is left open.
    """

    def __init__(self, seed: int, *, started_at_s: float, warm_up_after_s: float = 30) -> None:
        self._seed = seed
        self._started_at_s = started_at_s
        self._freezer = Freezer(salt(seed, "freezer"), started_at_s + warm_up_after_s)
        self._weather = Weather(salt(seed, "weather"))

    def sensor(self, identity: SensorIdentity) -> Sensor:
        stream = salt(self._seed, identity.mac)
        if identity.kind is Kind.AIR:
            return Air(identity, stream, weather=self._weather)
        return Tag(
            identity,
            stream,
            place=self._place(identity.kind, stream),
            weather=self._weather,
            started_at_s=self._started_at_s,
        )

    def _place(self, kind: Kind, stream: int) -> Place:
        if kind is Kind.FREEZER:
            return self._freezer
        return self._weather if kind is Kind.OUTDOOR else Room(stream)


def _kinds(home: int) -> list[Kind]:
    first = [Kind.FREEZER] if home == 0 else []
    return [*first, Kind.OUTDOOR, Kind.AIR, Kind.DOOR]


def _identity(seed: int, home: int, slot: int, kind: Kind) -> SensorIdentity:
    return SensorIdentity(mac=_mac(seed, home * MAX_SENSORS + slot), kind=kind)


def _lent_by(neighbours: Sequence[SensorIdentity], own: SensorIdentity) -> SensorIdentity:
    if own.kind is not Kind.OUTDOOR:
        return own
    return next((sensor for sensor in neighbours if sensor.kind is Kind.OUTDOOR), own)


def _mac(seed: int, number: int) -> str:
    """A MAC which no other number of this seed has: the odd factor keeps them apart."""
    bits = (salt(seed, "mac") + number * 0x9E37_79B9_7F4B) % (1 << _MAC_BITS)
    return (0b11 << _MAC_BITS | bits).to_bytes(6).hex(":").upper()


def _device_id(seed: int, number: int) -> str:
    """Eight bytes as printed under a gateway: upper-case hex with colons."""
    return sha256(f"{seed}/device id/{number}".encode()).digest()[:8].hex(":").upper()


def _coordinates(seed: int, number: int) -> str:
    """Somewhere in Helsinki, as a user would type it."""
    place = salt(seed, "coordinates", number)
    return f"{60.16 + 0.1 * chance(place, 0):.4f},{24.85 + 0.2 * chance(place, 1):.4f}"
