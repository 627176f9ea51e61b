"""The physical world as pure functions of simulated time (Unix seconds, UTC).

Nothing here has memory: any instant can be asked in any order and gives the same answer again,
so thousands of gateways need no common clockwork and two of them hear the same sample alike.
"""

import math
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Protocol

DAY_S = 86_400
YEAR_S = 365.2425 * DAY_S
COLDEST_DAY_S = 25 * DAY_S  # 25 January
WARMEST_HOUR_S = 13 * 3600  # UTC; mid-afternoon in Helsinki
_MASK_64 = 0xFFFF_FFFF_FFFF_FFFF


class Climate(NamedTuple):
    """Air at one place."""

    temperature_c: float
    humidity_pct: float


class Place(Protocol):
    """Somewhere a sensor can hang."""

    def climate(self, at_s: float) -> Climate: ...


def salt(*names: object) -> int:
    """64 bits which name one stream of chance; the same names always give the same stream."""
    return int.from_bytes(sha256("/".join(map(str, names)).encode()).digest()[:8])


def chance(stream: int, n: int) -> float:
    """A number in [0, 1) for event `n` of a stream (splitmix64: quick, and needs no state)."""
    z = (stream + n * 0x9E37_79B9_7F4A_7C15) & _MASK_64
    z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK_64
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK_64
    return ((z ^ (z >> 31)) >> 11) / 2**53


def drift(stream: int, at_s: float, step_s: float) -> float:
    """A smooth wander between -1 and 1 with a new direction about every `step_s` seconds."""
    n, part = divmod(at_s / step_s, 1.0)
    here, there = chance(stream, int(n)), chance(stream, int(n) + 1)
    ease = part * part * (3 - 2 * part)
    return 2 * (here + (there - here) * ease) - 1


def daily_wave(at_s: float) -> float:
    """1 at the warmest hour of the day, -1 twelve hours away from it."""
    return math.cos(2 * math.pi * (at_s - WARMEST_HOUR_S) / DAY_S)


@dataclass(frozen=True, slots=True)
class Weather:
    """The weather of one town, near 60 degrees north: seasons, days, passing fronts."""

    stream: int

    def climate(self, at_s: float) -> Climate:
        """Outdoor air: humidity goes against the temperature of the day."""
        season_c = 6 - 12 * math.cos(2 * math.pi * (at_s - COLDEST_DAY_S) / YEAR_S)
        front_c = 4 * drift(self.stream, at_s, 3 * DAY_S)
        of_the_day_c = 4 * daily_wave(at_s) + drift(self.stream + 1, at_s, 2 * 3600)
        humidity_pct = 72 - 4 * of_the_day_c + 8 * drift(self.stream + 2, at_s, 8 * 3600)
        return Climate(season_c + front_c + of_the_day_c, min(100.0, max(25.0, humidity_pct)))

    def pressure_pa(self, at_s: float) -> float:
        slow_pa = 1800 * drift(self.stream + 3, at_s, 4 * DAY_S)
        return 101_200 + slow_pa + 200 * drift(self.stream + 4, at_s, 8 * 3600)


@dataclass(frozen=True, slots=True)
class Room:
    """A heated room; each has its own favourite temperature."""

    stream: int

    def climate(self, at_s: float) -> Climate:
        favourite_c = 19.5 + 3 * chance(self.stream, -1)
        temperature_c = favourite_c + 0.6 * daily_wave(at_s) + 0.4 * drift(self.stream, at_s, 5400)
        return Climate(temperature_c, 40 + 7 * drift(self.stream + 1, at_s, 4 * 3600))


@dataclass(frozen=True, slots=True)
class Freezer:
    """A freezer at -18 °C whose door is once left open for two minutes.

    The air at the sensor passes -10 °C about 35 s after the door opens, reaches some +3 °C, and
    is below -10 °C again about four minutes after the door is shut.
    """

    stream: int
    opened_at_s: float

    SET_POINT_C = -18.0
    KITCHEN_C = 20.0
    OPEN_FOR_S = 120
    WARMING_S = 150  # time constant with the door open
    COOLING_S = 240  # time constant after it is shut
    COMPRESSOR_CYCLE_S = 1500

    def climate(self, at_s: float) -> Climate:
        warmth = self._warmth(at_s - self.opened_at_s)
        rest_c = self.SET_POINT_C + 0.7 * math.sin(2 * math.pi * at_s / self.COMPRESSOR_CYCLE_S)
        temperature_c = rest_c + warmth * (self.KITCHEN_C - rest_c)
        return Climate(temperature_c, 62 + 35 * warmth + 2 * drift(self.stream, at_s, 600))

    def _warmth(self, since_opened_s: float) -> float:
        """0 is the cold freezer, 1 the kitchen."""
        open_s = min(max(0.0, since_opened_s), self.OPEN_FOR_S)
        shut_s = max(0.0, since_opened_s - self.OPEN_FOR_S)
        return (1 - math.exp(-open_s / self.WARMING_S)) * math.exp(-shut_s / self.COOLING_S)
