"""Formulas of the Ruuvi apps: published check values, and inputs out of their reach."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.derived import (
    absolute_humidity_g_m3,
    air_quality_grade,
    air_quality_score,
    dew_point_c,
    is_battery_low,
    saturation_vapour_pressure_pa,
    total_acceleration_mg,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "vectors.json"
VECTORS = json.loads(GOLDEN.read_text())["derived_vectors"]
HUMIDITY_VECTORS = [pytest.param(v, id=v["name"]) for v in VECTORS if "humidity" in v["input"]]
IAQS_VECTORS = [pytest.param(v, id=v["name"]) for v in VECTORS if "pm2_5" in v["input"]]

any_float = st.one_of(st.none(), st.floats())
sensor_temperatures = st.integers(-32767, 32767).map(lambda code: code / 200)
sensor_humidities = st.integers(0, 65534).map(lambda code: code / 400)


@pytest.mark.parametrize("vector", HUMIDITY_VECTORS)
def test_published_humidity_quantities(vector):
    temperature, humidity = vector["input"]["temperature"], vector["input"]["humidity"]
    found = {
        "saturation_vapour_pressure_pa": saturation_vapour_pressure_pa(temperature),
        "absolute_humidity_g_m3": absolute_humidity_g_m3(temperature, humidity),
        "dew_point_c": dew_point_c(temperature, humidity),
    }
    printed_digits = {"saturation_vapour_pressure_pa": 2}
    rounded = {key: round(value, printed_digits.get(key, 3)) for key, value in found.items()}
    assert rounded == vector["expected"]


@pytest.mark.parametrize(
    ("temperature", "humidity", "grams", "dew_point"),
    [
        (20, 50, 8.645, 9.272),
        (21.45, 36.325, 6.834, 5.899),
        (-10, 80, 1.712, -13.995),
        (-25, 65, 0.359, -29.237),
        (60, 30, 38.921, 36.132),
    ],
)
def test_further_check_values_of_the_apps(temperature, humidity, grams, dew_point):
    assert absolute_humidity_g_m3(temperature, humidity) == pytest.approx(grams, abs=0.0005)
    assert dew_point_c(temperature, humidity) == pytest.approx(dew_point, abs=0.0005)


@pytest.mark.parametrize("vector", IAQS_VECTORS)
def test_published_air_quality_scores(vector):
    score = air_quality_score(vector["input"]["pm2_5"], vector["input"]["co2"])
    assert {"iaqs": score, "grade": air_quality_grade(score)} == vector["expected"]


@pytest.mark.parametrize(
    ("score", "grade"),
    [
        (100, "Excellent"),
        (89.5, "Excellent"),
        (89.49, "Good"),
        (79.5, "Good"),
        (79.49, "Fair"),
        (50.5, "Fair"),
        (49.5, "Fair"),
        (49.49, "Poor"),
        (9.5, "Poor"),
        (9.49, "Very poor"),
        (0, "Very poor"),
        (None, None),
        (math.nan, None),
    ],
)
def test_grade_follows_the_score_rounded_half_up(score, grade):
    assert air_quality_grade(score) == grade


@given(sensor_temperatures, sensor_humidities)
def test_every_temperature_and_humidity_a_sensor_can_send_has_finite_results(temperature, humidity):
    dew_point = dew_point_c(temperature, humidity)
    assert math.isfinite(saturation_vapour_pressure_pa(temperature))
    assert math.isfinite(absolute_humidity_g_m3(temperature, humidity))
    assert dew_point is None if humidity == 0 else math.isfinite(dew_point)


@given(any_float, any_float, any_float)
def test_no_float_makes_a_derived_quantity_raise(a, b, c):
    saturation_vapour_pressure_pa(a)
    absolute_humidity_g_m3(a, b)
    dew_point_c(a, b)
    air_quality_grade(air_quality_score(a, b))
    air_quality_grade(a)
    total_acceleration_mg(a, b, c)
    is_battery_low(a, b)


@given(sensor_temperatures.filter(lambda t: -45 <= t <= 60), st.floats(1, 100))
def test_dew_point_is_never_above_air_temperature_in_weather(temperature, humidity):
    # The dew point formula fits the vapour pressure only approximately, ice least of all.
    assert dew_point_c(temperature, humidity) <= temperature + 0.5


@given(st.floats(0, 1000), st.floats(0, 65534))
def test_score_stays_within_0_and_100(pm2_5, co2):
    assert 0 <= air_quality_score(pm2_5, co2) <= 100


def test_dew_point_of_exactly_zero_does_not_divide_by_zero():
    humidity = 6.116441 / saturation_vapour_pressure_pa(20.0) * 100 * 100
    assert dew_point_c(20.0, humidity) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("top", "dew_point"),
    [(-20, -27.0191), (50, 36.6992), (100, 81.6712), (150, 125.8105), (200, 169.2250)],
)
def test_dew_point_band_includes_its_upper_end(top, dew_point):
    assert dew_point_c(top, 50) == pytest.approx(dew_point, abs=0.0005)


def test_humidity_beyond_the_formula_has_no_dew_point():
    assert dew_point_c(160.0, 1e9) is None


@pytest.mark.parametrize("humidity", [0, 0.0, -0.1, -30])
def test_air_without_vapour_has_no_dew_point(humidity):
    assert dew_point_c(20.0, humidity) is None


def test_air_without_vapour_holds_no_water():
    assert absolute_humidity_g_m3(20.0, 0.0) == 0


@pytest.mark.parametrize("temperature", [-273.15, -300, -200.01, 373.946, 1e9, math.nan, math.inf])
def test_temperature_outside_the_formula_has_no_vapour_pressure(temperature):
    assert saturation_vapour_pressure_pa(temperature) is None


@pytest.mark.parametrize(("temperature", "humidity"), [(None, 50), (20, None), (20, math.nan)])
def test_missing_input_gives_no_humidity_quantity(temperature, humidity):
    assert absolute_humidity_g_m3(temperature, humidity) is None
    assert dew_point_c(temperature, humidity) is None


def test_missing_temperature_gives_no_vapour_pressure():
    assert saturation_vapour_pressure_pa(None) is None


def test_vapour_pressure_over_water_and_ice_meet_at_the_triple_point():
    below, above = saturation_vapour_pressure_pa(0.01), saturation_vapour_pressure_pa(0.0101)
    assert below == pytest.approx(611.657, abs=0.01)
    assert above == pytest.approx(below, rel=1e-4)


def test_total_acceleration_is_the_length_of_the_vector():
    assert total_acceleration_mg(-200, 300, 600) == 700


def test_total_acceleration_needs_every_axis():
    assert total_acceleration_mg(4, None, 1036) is None


@pytest.mark.parametrize(
    ("battery_mv", "temperature", "low"),
    [
        (2499, 20, True),
        (2500, 20, False),
        (2499, 0, True),
        (2299, -0.005, True),
        (2300, -0.005, False),
        (2299, -20, True),
        (1999, -20.005, True),
        (2000, -20.005, False),
        (None, 20, None),
        (2400, None, None),
    ],
)
def test_low_battery_threshold_falls_with_the_cold(battery_mv, temperature, low):
    assert is_battery_low(battery_mv, temperature) is low
