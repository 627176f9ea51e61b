"""The judge is pure: tables of rule, state and sample against verdict."""

from dataclasses import replace

import pytest

from alerts.models import AlertRule
from alerts.rules import (
    MOVEMENT,
    OFFLINE,
    QUANTITIES,
    Breach,
    Rule,
    State,
    Trigger,
    judge,
    judge_silence,
    sample_of,
)
from sensors.decoders import Reading, decode_advertisement

# 21.45 °C, 36.05 %, 98606 Pa, movement 184, 3.067 V
TAG = "0201061BFF99040510C23854BDDEFFE800000408B776B83020EF544AE71D9E"
MOVED = TAG.replace("76B830", "76B930")


def sample(payload: str = TAG, *, at: int = 1000, rssi_dbm: int = -76, **offsets: float):
    reading = decode_advertisement(bytes.fromhex(payload))
    assert reading
    return sample_of(reading, at=at, rssi_dbm=rssi_dbm, **offsets)


def judged(type_: str, low: float | None, high: float | None, **kwargs):
    return judge(Rule(type_, low, high), State(), sample(**kwargs), 1000)


@pytest.mark.parametrize(
    ("type_", "low", "high", "offsets", "trigger"),
    [
        ("humidity", 30, 100, {}, None),
        ("humidity", 25, 50, {"offset_humidity_pct": 30}, Trigger.OVER),
        ("humidity", 67, 120, {"offset_humidity_pct": 30}, Trigger.UNDER),
        ("temperature", 21, 22, {}, None),
        ("temperature", 0, 50, {"offset_temperature_c": 30}, Trigger.OVER),
        ("pressure", 98605, 98607, {}, None),
        ("pressure", 0, 98605, {}, Trigger.OVER),
        ("pressure", 0, 98607, {"offset_pressure_pa": 30}, Trigger.OVER),
        ("pressure", 98605, 1000000, {"offset_pressure_pa": -30}, Trigger.UNDER),
        ("signal", -77, -75, {}, None),
        ("signal", -75, 0, {}, Trigger.UNDER),
        ("signal", -78, -77, {}, Trigger.OVER),
        ("battery", 3.1, 4, {}, Trigger.UNDER),
        ("battery", 3, 3.1, {}, None),
        ("dewPoint", 0, 5, {}, Trigger.OVER),
        ("humidityAbsolute", 7, 20, {}, Trigger.UNDER),
    ],
)
def test_published_engine_vectors_hold(type_, low, high, offsets, trigger):
    breach = judged(type_, low, high, **offsets).breach
    assert (breach.trigger if breach else None) == trigger


def test_breach_tells_the_corrected_value_and_the_limit():
    breach = judged("temperature", 0, 50, offset_temperature_c=30).breach
    assert breach == Breach(Trigger.OVER, 51.45, 50)


def test_a_value_equal_to_a_limit_is_inside():
    assert judged("temperature", 21.45, 21.45).breach is None


def test_an_offset_does_not_push_a_value_over_a_limit_by_binary_rounding():
    assert judged("temperature", None, 51.45, offset_temperature_c=30).breach is None


def test_under_wins_when_limits_are_swapped():
    breach = judged("temperature", 50, 0).breach
    assert breach
    assert breach.trigger == Trigger.UNDER


def test_an_absent_limit_is_no_limit():
    assert judged("temperature", None, None).breach is None


@pytest.mark.parametrize("state", [State(), State(triggered=True, triggered_at=5)])
@pytest.mark.parametrize("type_", ["co2", "aqi", "pm25", "voc", "luminosity", "soundPeak"])
def test_a_missing_quantity_neither_triggers_nor_resolves(type_, state):
    verdict = judge(Rule(type_, 1e9, 1e9), state, sample(), 1000)
    assert verdict.state == state
    assert verdict.breach is None


AIR = Reading(
    data_format=0xE1,
    pm1_0_ug_m3=1.0,
    pm2_5_ug_m3=2.5,
    pm4_0_ug_m3=4.0,
    pm10_0_ug_m3=10.0,
    co2_ppm=600,
    voc_index=100,
    nox_index=1,
    luminosity_lx=250.0,
    sound_instant_dba=41.0,
    sound_average_dba=42.0,
    sound_peak_db_spl=43.0,
)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("pm10", 1.0),
        ("pm25", 2.5),
        ("pm40", 4.0),
        ("pm100", 10.0),
        ("co2", 600),
        ("voc", 100),
        ("nox", 1),
        ("luminosity", 250.0),
        ("sound", 42.0),
        ("soundInstant", 41.0),
        ("soundAverage", 42.0),
        ("soundPeak", 43.0),
    ],
)
def test_each_air_quantity_is_compared_with_its_own_reading(type_, value):
    verdict = judge(Rule(type_, None, value - 0.5), State(), sample_of(AIR, at=1, rssi_dbm=-50), 1)
    assert verdict.breach == Breach(Trigger.OVER, value, value - 0.5)


def test_low_air_quality_is_under():
    bad = sample_of(Reading(data_format=6, pm2_5_ug_m3=60, co2_ppm=2300), at=1, rssi_dbm=-50)
    breach = judge(Rule("aqi", 50, None), State(), bad, 1).breach
    assert breach == Breach(Trigger.UNDER, 0, 50)


def test_humidity_beyond_100_by_an_offset_is_100_for_derived_quantities():
    wet = sample(offset_humidity_pct=90)
    assert wet.humidity_pct == pytest.approx(126.05)
    assert QUANTITIES["dewPoint"](wet) == pytest.approx(21.45, abs=0.02)


def test_every_type_of_the_wire_has_a_judge():
    assert set(AlertRule.Type.values) == {OFFLINE, *QUANTITIES}


# --- the state machine ---------------------------------------------------------------------
# What a row of a script says: at which second which value comes, whether the rule is triggered
# then, and whether people are told of it.
INSIDE, OUTSIDE, MISSING = 5.0, 9.5, None
TOLD, ON, OFF = "told", "on", "off"


def play(script, *, rule=None, state=None):
    """Judge a script of (second, value, expected) and say where it went otherwise."""
    rule, state = rule or Rule("temperature", None, 8.0), state or State()
    for at, value, expected in script:
        reading = Reading(data_format=5, temperature_c=value)
        verdict = judge(rule, state, sample_of(reading, at=at, rssi_dbm=-50), at)
        state = verdict.state
        found = TOLD if verdict.breach else ON if state.triggered else OFF
        assert (at, value, found) == (at, value, expected)
    return state


STATES = {
    "not triggered, false: nothing": [(0, INSIDE, OFF), (60, INSIDE, OFF)],
    "not triggered, true: triggers and tells once": [(0, OUTSIDE, TOLD)],
    "triggered, true: no repeat while it lasts": [
        (0, OUTSIDE, TOLD),
        (60, OUTSIDE, ON),
        (7200, OUTSIDE, ON),
    ],
    "triggered, false, five minutes not over: stays": [
        (0, OUTSIDE, TOLD),
        (60, INSIDE, ON),
        (359, INSIDE, ON),
    ],
    "triggered, false for five minutes: resolves silently": [
        (0, OUTSIDE, TOLD),
        (60, INSIDE, ON),
        (360, INSIDE, OFF),
    ],
    "a true sample starts the five minutes again": [
        (0, OUTSIDE, TOLD),
        (60, INSIDE, ON),
        (300, OUTSIDE, ON),
        (360, INSIDE, ON),
        (659, INSIDE, ON),
        (660, INSIDE, OFF),
    ],
    "within the hour: stays not triggered, then triggers if still true": [
        (0, OUTSIDE, TOLD),
        (60, INSIDE, ON),
        (420, INSIDE, OFF),
        (480, OUTSIDE, OFF),
        (3599, OUTSIDE, OFF),
        (3600, OUTSIDE, TOLD),
    ],
    "within the hour and well again after it: nothing": [
        (0, OUTSIDE, TOLD),
        (60, INSIDE, ON),
        (420, INSIDE, OFF),
        (480, OUTSIDE, OFF),
        (3600, INSIDE, OFF),
    ],
    "after the hour: triggers at once": [
        (0, OUTSIDE, TOLD),
        (60, INSIDE, ON),
        (420, INSIDE, OFF),
        (3700, OUTSIDE, TOLD),
    ],
    "a missing quantity neither resolves nor restarts the five minutes": [
        (0, OUTSIDE, TOLD),
        (60, INSIDE, ON),
        (120, MISSING, ON),
        (360, INSIDE, OFF),
    ],
}


@pytest.mark.parametrize("name", STATES)
def test_state(name):
    play(STATES[name])


DELAYS = {
    "true, but not for long enough: pending and invisible": [
        (0, OUTSIDE, OFF),
        (119, OUTSIDE, OFF),
    ],
    "true for as long as the delay: triggers": [
        (0, OUTSIDE, OFF),
        (60, OUTSIDE, OFF),
        (120, OUTSIDE, TOLD),
    ],
    "any false sample resets the delay": [
        (0, OUTSIDE, OFF),
        (60, INSIDE, OFF),
        (120, OUTSIDE, OFF),
        (180, OUTSIDE, OFF),
        (240, OUTSIDE, TOLD),
    ],
    "a missing quantity does not reset it": [
        (0, OUTSIDE, OFF),
        (60, MISSING, OFF),
        (120, OUTSIDE, TOLD),
    ],
}


@pytest.mark.parametrize("name", DELAYS)
def test_delay(name):
    play(DELAYS[name], rule=Rule("temperature", None, 8.0, delay_s=120))


def test_resolving_after_nothing_is_resolving_at_once():
    script = [(0, OUTSIDE, TOLD), (60, INSIDE, OFF)]
    play(script, rule=Rule("temperature", None, 8.0, resolved_after_s=0))


def test_a_resolved_rule_keeps_when_it_triggered():
    assert play(STATES["triggered, false for five minutes: resolves silently"]) == State(
        triggered=False, triggered_at=0, told_at=0
    )


def test_a_sample_from_the_future_counts_as_one_of_now():
    verdict = judge(Rule("temperature", None, 20), State(), sample(at=1300), 1000)
    assert verdict.state.triggered_at == 1000


def test_a_clock_that_was_set_back_makes_the_quiet_hour_no_longer_than_an_hour():
    state = State(told_at=7200)
    play([(3600, OUTSIDE, OFF), (7199, OUTSIDE, OFF), (7200, OUTSIDE, TOLD)], state=state)


def test_a_clock_that_was_set_back_makes_no_delay_longer():
    rule = Rule("temperature", None, 8.0, delay_s=120)
    play([(0, OUTSIDE, OFF), (120, OUTSIDE, TOLD)], rule=rule, state=State(breached_since=3600))


# --- offline -------------------------------------------------------------------------------
SILENCE = Rule(OFFLINE, 0, 900)


def test_silence_for_longer_than_the_limit_is_over():
    verdict = judge_silence(SILENCE, State(), 901, 5000)
    assert verdict.breach == Breach(Trigger.OVER, 901, 900)
    assert verdict.state == State(True, 5000, 5000)


def test_silence_as_long_as_the_limit_is_inside():
    assert judge_silence(SILENCE, State(), 900, 5000).breach is None


def test_a_sample_resolves_silence_after_five_minutes():
    state = State(True, 5000, 5000)
    heard = judge(SILENCE, state, sample(at=5060), 5060).state
    assert heard == state._replace(clear_since=5060)
    assert not judge(SILENCE, heard, sample(at=5360), 5360).state.triggered


def test_a_sample_from_before_the_alert_does_not_end_silence():
    state = State(True, 5000, 5000)
    assert judge(SILENCE, state, sample(at=4999), 5060).state == state


def test_a_sample_never_triggers_silence():
    assert judge(SILENCE, State(), sample(at=1), 9000).state == State()


def test_silence_that_goes_on_is_told_once():
    state = State(True, 5000, 5000)
    assert judge_silence(SILENCE, state, 9000, 13_000) == (state, None)


# --- movement ------------------------------------------------------------------------------
MOVEMENT_RULE = Rule(MOVEMENT, None, None)


def test_another_movement_counter_triggers_and_becomes_the_reference():
    verdict = judge(MOVEMENT_RULE, State(counter=183), sample(at=1000), 1000)
    assert verdict.breach == Breach(Trigger.DIFFERENT, 184, 183)
    assert verdict.state == State(True, 1000, 1000, counter=184)


def test_the_same_movement_counter_is_rest():
    assert judge(MOVEMENT_RULE, State(counter=184), sample(), 1000) == (State(counter=184), None)


def test_further_movement_within_the_hour_is_noted_but_not_told():
    verdict = judge(
        MOVEMENT_RULE, State(True, 1000, 1000, counter=184), sample(MOVED, at=1060), 1060
    )
    assert verdict == (State(True, 1060, 1000, counter=185), None)


def test_movement_after_rest_within_the_hour_shows_but_is_not_told():
    state = State(False, 1000, 1000, counter=184)
    verdict = judge(MOVEMENT_RULE, state, sample(MOVED, at=1600), 1600)
    assert verdict == (State(True, 1600, 1000, counter=185), None)


def test_movement_after_the_hour_is_told_again():
    state = State(True, 4590, 1000, counter=184)
    verdict = judge(MOVEMENT_RULE, state, sample(MOVED, at=4600), 4600)
    assert verdict == (State(True, 4600, 4600, counter=185), Breach(Trigger.DIFFERENT, 185, 184))


def test_movement_resolves_when_the_sensor_rested_for_five_minutes():
    state = State(True, 1000, 1000, counter=184)
    resting = judge(MOVEMENT_RULE, state, sample(at=1060), 1060).state
    assert resting == State(True, 1000, 1000, clear_since=1060, counter=184)
    assert not judge(MOVEMENT_RULE, resting, sample(at=1360), 1360).state.triggered


def test_a_smaller_counter_is_movement_too():
    assert judge(MOVEMENT_RULE, State(counter=250), sample(), 1000).breach


def test_an_unavailable_movement_counter_is_no_sample():
    still = sample()
    blind = replace(still, reading=Reading(data_format=3, temperature_c=20.0))
    state = State(True, 1, 1, counter=3)
    assert judge(MOVEMENT_RULE, state, blind, 1000).state == state


def test_a_movement_rule_with_a_delay_waits_with_its_old_counter():
    rule = MOVEMENT_RULE._replace(delay_s=120)
    waiting = judge(rule, State(counter=183), sample(at=1000), 1000)
    assert waiting == (State(breached_since=1000, counter=183), None)
    assert judge(rule, waiting.state, sample(at=1120), 1120).breach
