"""The pure judge: a rule, its state and one sample in; what changes out. No database, no clock."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

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

    `at` is Unix seconds (UTC), as the gateway's clock had it.
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


MOVEMENT, OFFLINE = "movement", "offline"
TOLD_AGAIN_AFTER_S = 3600
RESOLVED_AFTER_S = 300

# What each type compares with its limits, in the unit that limits have on the wire.
QUANTITIES: dict[str, Callable[[Sample], float | None]] = {
    MOVEMENT: lambda s: s.reading.movement_counter,
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


class Rule(NamedTuple):
    """What a person asked for. A limit of None is absent; limits are in the type's wire unit."""

    type: str
    min: float | None
    max: float | None
    delay_s: int = 0  # how long a limit must be broken before it counts
    resolved_after_s: int = RESOLVED_AFTER_S  # how long all must be well before that counts


class State(NamedTuple):
    """What a rule remembers between samples; times are Unix seconds (UTC)."""

    triggered: bool = False
    triggered_at: int | None = None
    told_at: int | None = None  # the trigger that people were told of: the next hour is quiet
    breached_since: int | None = None  # not triggered: a running delay
    clear_since: int | None = None  # triggered: all has been well since
    counter: int = 0  # movement: the counter that means "not moved"


class Breach(NamedTuple):
    """How a rule was broken; `value` and `threshold` in the type's wire unit."""

    trigger: Trigger
    value: float
    threshold: float


class Verdict(NamedTuple):
    """The state after a sample and, when somebody must be told, of what."""

    state: State
    breach: Breach | None = None


def judge(rule: Rule, state: State, sample: Sample, now: int) -> Verdict:
    """Judge one sample at `now` (Unix seconds). Samples must come in time order.

    Limits are strict. A quantity that the sample lacks neither triggers nor resolves. A sample
    from the future counts as one of now.
    """
    at = min(sample.at, now)
    if rule.type == OFFLINE:
        return _heard(rule, state, at, now)
    value = QUANTITIES[rule.type](sample)
    if value is None or math.isnan(value):
        return Verdict(state)
    if rule.type == MOVEMENT:
        moved = value != state.counter
        breach = Breach(Trigger.DIFFERENT, value, state.counter) if moved else None
    else:
        breach = _breach(rule, value)
    return _next(rule, state, at, breach)


def judge_silence(rule: Rule, state: State, silent_s: int, now: int) -> Verdict:
    """Judge an offline rule at `now`, when its sensor has been silent for `silent_s`.

    Ends no alert: only a sample does, in `judge`. A lower limit means nothing here.
    """
    if state.triggered:
        return Verdict(state)
    return _next(rule, state, now, _breach(rule._replace(min=None), silent_s))


def _heard(rule: Rule, state: State, at: int, now: int) -> Verdict:
    """A sample ends an offline alert, unless it only tells of the time before the silence."""
    if not state.triggered or at <= min(state.triggered_at or 0, now):
        return Verdict(state)
    return _next(rule, state, at, None)


def _breach(rule: Rule, value: float) -> Breach | None:
    # When both hold, since min and max may be swapped, "under" wins.
    if rule.min is not None and value < rule.min:
        return Breach(Trigger.UNDER, value, rule.min)
    if rule.max is not None and value > rule.max:
        return Breach(Trigger.OVER, value, rule.max)
    return None


def _next(rule: Rule, state: State, at: int, breach: Breach | None) -> Verdict:
    """The state machine."""
    state = _without_future(state, at)
    if breach is None:
        return Verdict(_clear(rule, state, at))
    if not state.triggered:
        since = at if state.breached_since is None else state.breached_since
        if at - since < rule.delay_s:
            return Verdict(state._replace(breached_since=since))
    elif rule.type != MOVEMENT:
        return Verdict(state if state.clear_since is None else state._replace(clear_since=None))
    quiet = state.told_at is not None and at - state.told_at < TOLD_AGAIN_AFTER_S
    if rule.type != MOVEMENT:
        if quiet:  # triggers at the first sample after the hour, if it is still so then
            return Verdict(state._replace(breached_since=since))
        return Verdict(State(True, at, at, counter=state.counter), breach)
    # Each movement is a trigger, seen if not told, and becomes what the next one is compared with.
    counter = int(breach.value)
    if quiet:
        return Verdict(State(True, at, state.told_at, counter=counter))
    return Verdict(State(True, at, at, counter=counter), breach)


def _clear(rule: Rule, state: State, at: int) -> State:
    if not state.triggered:
        return state if state.breached_since is None else state._replace(breached_since=None)
    since = at if state.clear_since is None else state.clear_since
    if at - since < rule.resolved_after_s:
        return state._replace(clear_since=since)
    return state._replace(triggered=False, clear_since=None)


def _without_future(state: State, at: int) -> State:
    """What is remembered of a time later than the sample comes from a clock that was set back.

    It counts as of the sample's time: otherwise an hour of silence would become two.
    """
    told_at, breached_since, clear_since = state.told_at, state.breached_since, state.clear_since
    if max(told_at or 0, breached_since or 0, clear_since or 0) <= at:
        return state
    return state._replace(
        told_at=None if told_at is None else min(told_at, at),
        breached_since=None if breached_since is None else min(breached_since, at),
        clear_since=None if clear_since is None else min(clear_since, at),
    )
