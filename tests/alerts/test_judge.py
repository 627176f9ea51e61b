"""The judge is pure: tables of rule, state and sample against verdict."""

from dataclasses import replace

import pytest

from alerts.models import AlertRule
from alerts.rules import MOVEMENT, QUANTITIES, Breach, Rule, State, Trigger, judge, sample_of
from sensors.decoders import Reading, decode_advertisement

# 21.45 °C, 36.05 %, 98606 Pa, movement 184, 3.067 V
TAG = "0201061BFF99040510C23854BDDEFFE800000408B776B83020EF544AE71D9E"
MOVED = TAG.replace("76B830", "76B930")


def sample(payload: str = TAG, *, at: int = 1000, rssi_dbm: int = -76, **offsets: float):
    reading = decode_advertisement(bytes.fromhex(payload))
    assert reading
    return sample_of(reading, at=at, rssi_dbm=rssi_dbm, **offsets)


def judged(type_: str, low: float | None, high: float | None, **kwargs):
    return judge(Rule(type_, low, high), State(), sample(**kwargs))


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


def test_a_rule_triggers_once_while_the_condition_lasts():
    rule = Rule("temperature", None, 20)
    first = judge(rule, State(), sample(at=1000))
    second = judge(rule, first.state, sample(at=1060))
    assert first.breach
    assert second.breach is None
    assert second.state == State(triggered=True, triggered_at=1000)


def test_a_rule_resolves_when_the_value_is_back_and_keeps_when_it_triggered():
    state = State(triggered=True, triggered_at=1000)
    verdict = judge(Rule("temperature", None, 30), state, sample(at=1060))
    assert verdict.state == State(triggered=False, triggered_at=1000)
    assert verdict.breach is None


@pytest.mark.parametrize("state", [State(), State(triggered=True, triggered_at=5)])
@pytest.mark.parametrize("type_", ["co2", "aqi", "pm25", "voc", "luminosity", "soundPeak"])
def test_a_missing_quantity_neither_triggers_nor_resolves(type_, state):
    verdict = judge(Rule(type_, 1e9, 1e9), state, sample())
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
    verdict = judge(Rule(type_, None, value - 0.5), State(), sample_of(AIR, at=1, rssi_dbm=-50))
    assert verdict.breach == Breach(Trigger.OVER, value, value - 0.5)


def test_low_air_quality_is_under():
    bad = sample_of(Reading(data_format=6, pm2_5_ug_m3=60, co2_ppm=2300), at=1, rssi_dbm=-50)
    breach = judge(Rule("aqi", 50, None), State(), bad).breach
    assert breach == Breach(Trigger.UNDER, 0, 50)


def test_humidity_beyond_100_by_an_offset_is_100_for_derived_quantities():
    wet = sample(offset_humidity_pct=90)
    assert wet.humidity_pct == pytest.approx(126.05)
    assert QUANTITIES["dewPoint"](wet) == pytest.approx(21.45, abs=0.02)


def test_every_type_of_the_wire_has_a_judge():
    assert set(AlertRule.Type.values) == {MOVEMENT, "offline", *QUANTITIES}


# --- movement ------------------------------------------------------------------------------
MOVEMENT_RULE = Rule(MOVEMENT, None, None)


def test_another_movement_counter_triggers_and_becomes_the_reference():
    verdict = judge(MOVEMENT_RULE, State(counter=183), sample(at=1000))
    assert verdict.breach == Breach(Trigger.DIFFERENT, 184, 183)
    assert verdict.state == State(triggered=True, triggered_at=1000, counter=184)


def test_the_same_movement_counter_is_rest():
    verdict = judge(MOVEMENT_RULE, State(counter=184), sample())
    assert verdict.breach is None
    assert not verdict.state.triggered


def test_further_movement_while_triggered_is_noted_but_not_told():
    state = State(triggered=True, triggered_at=1000, counter=184)
    verdict = judge(MOVEMENT_RULE, state, sample(MOVED, at=1060))
    assert verdict.breach is None
    assert verdict.state == State(triggered=True, triggered_at=1060, counter=185)


def test_movement_resolves_when_the_sensor_rests():
    state = State(triggered=True, triggered_at=1000, counter=184)
    verdict = judge(MOVEMENT_RULE, state, sample(at=1060))
    assert verdict.state == State(triggered=False, triggered_at=1000, counter=184)


def test_a_smaller_counter_is_movement_too():
    assert judge(MOVEMENT_RULE, State(counter=250), sample()).breach


def test_an_unavailable_movement_counter_is_no_sample():
    still = sample()
    blind = replace(still, reading=Reading(data_format=3, temperature_c=20.0))
    state = State(triggered=True, triggered_at=1, counter=3)
    assert judge(MOVEMENT_RULE, state, blind).state == state
