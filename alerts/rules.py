"""The pure judge: a rule, its state and one sample in; what changes out. No database, no clock."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from sensors.decoders import Reading
from sensors.derived import absolute_humidity_g_m3, air_quality_score, dew_point_c


class Trigger(StrEnum):
    """How a value broke its rule; the words are those of the messages."""

    OVER = "over"
    UNDER = "under"
    DIFFERENT = "different from"


@dataclass(frozen=True, slots=True)
class Sample:
    """One reception of a sensor, with the owner's offsets applied.

    `at` is Unix seconds (UTC), never ahead of the time of judging.
    """

    at: int
    rssi_dbm: int
    temperature_c: float | None
    humidity_pct: float | None
    pressure_pa: float | None
    reading: Reading

    @property
    def physical_humidity_pct(self) -> float | None:
        """For derived quantities: an offset must not push humidity out of 0 to 100 %."""
        return None if self.humidity_pct is None else min(max(self.humidity_pct, 0.0), 100.0)


def _corrected(value: float | None, offset: float) -> float | None:
    # Offsets are binary floats: without rounding, 21.45 + 30 would lie a hair over 51.45.
    return None if value is None else round(value + offset, 4)


def sample_of(
    reading: Reading,
    *,
    at: int,
    rssi_dbm: int,
    offset_temperature_c: float = 0,
    offset_humidity_pct: float = 0,
    offset_pressure_pa: float = 0,
) -> Sample:
    """A decoded reception as rules see it: offsets are added after decoding."""
    return Sample(
        at=at,
        rssi_dbm=rssi_dbm,
        temperature_c=_corrected(reading.temperature_c, offset_temperature_c),
        humidity_pct=_corrected(reading.humidity_pct, offset_humidity_pct),
        pressure_pa=_corrected(reading.pressure_pa, offset_pressure_pa),
        reading=reading,
    )


MOVEMENT = "movement"

# What each type compares with its limits, in the unit that limits have on the wire.
QUANTITIES: dict[str, Callable[[Sample], float | None]] = {
    "temperature": lambda s: s.temperature_c,
    "humidity": lambda s: s.humidity_pct,
    "humidityAbsolute": lambda s: absolute_humidity_g_m3(s.temperature_c, s.physical_humidity_pct),
    "dewPoint": lambda s: dew_point_c(s.temperature_c, s.physical_humidity_pct),
    "pressure": lambda s: s.pressure_pa,
    "signal": lambda s: s.rssi_dbm,
    "battery": lambda s: _volts(s.reading.battery_mv),
    "aqi": lambda s: air_quality_score(s.reading.pm2_5_ug_m3, s.reading.co2_ppm),
    "co2": lambda s: s.reading.co2_ppm,
    "pm10": lambda s: s.reading.pm1_0_ug_m3,
    "pm25": lambda s: s.reading.pm2_5_ug_m3,
    "pm40": lambda s: s.reading.pm4_0_ug_m3,
    "pm100": lambda s: s.reading.pm10_0_ug_m3,
    "voc": lambda s: s.reading.voc_index,
    "nox": lambda s: s.reading.nox_index,
    "luminosity": lambda s: s.reading.luminosity_lx,
    "sound": lambda s: s.reading.sound_average_dba,
    "soundInstant": lambda s: s.reading.sound_instant_dba,
    "soundAverage": lambda s: s.reading.sound_average_dba,
    "soundPeak": lambda s: s.reading.sound_peak_db_spl,
}


def _volts(millivolts: int | None) -> float | None:
    return None if millivolts is None else millivolts / 1000


@dataclass(frozen=True, slots=True)
class Rule:
    """What a person asked for. A limit of None is absent; limits are in the type's wire unit."""

    type: str
    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class State:
    """What a rule remembers between samples; times are Unix seconds (UTC)."""

    triggered: bool = False
    triggered_at: int | None = None
    counter: int = 0  # movement: the counter that means "not moved"


@dataclass(frozen=True, slots=True)
class Breach:
    """How a rule was broken; `value` and `threshold` in the type's wire unit."""

    trigger: Trigger
    value: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state after a sample and, when the rule has just triggered, by what."""

    state: State
    breach: Breach | None = None


def judge(rule: Rule, state: State, sample: Sample) -> Verdict:
    """Judge one sample. Samples must come in time order.

    Limits are strict. A quantity that the sample lacks neither triggers nor resolves.
    """
    if rule.type == MOVEMENT:
        return _judge_movement(state, sample)
    value = QUANTITIES[rule.type](sample)
    if value is None or math.isnan(value):
        return Verdict(state)
    breach = _breach(rule, value)
    if breach is None:
        return Verdict(replace(state, triggered=False))
    if state.triggered:
        return Verdict(state)
    return Verdict(replace(state, triggered=True, triggered_at=sample.at), breach)


def _breach(rule: Rule, value: float) -> Breach | None:
    # When both hold, since min and max may be swapped, "under" wins.
    if rule.min is not None and value < rule.min:
        return Breach(Trigger.UNDER, value, rule.min)
    if rule.max is not None and value > rule.max:
        return Breach(Trigger.OVER, value, rule.max)
    return None


def _judge_movement(state: State, sample: Sample) -> Verdict:
    """Any other counter is a movement: it wraps at 255 and starts again at power-up."""
    counter = sample.reading.movement_counter
    if counter is None:
        return Verdict(state)
    if counter == state.counter:
        return Verdict(replace(state, triggered=False))
    moved = State(triggered=True, triggered_at=sample.at, counter=counter)
    if state.triggered:
        return Verdict(moved)  # still the same movement: seen, not told again
    return Verdict(moved, Breach(Trigger.DIFFERENT, counter, state.counter))
