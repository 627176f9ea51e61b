"""Quantities computed from readings, by the formulas the Ruuvi apps use.

Pure. Every function answers None when an input is missing, is not a finite number, or lies
where the formula has no meaning; none of them raises.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TypeGuard

_ZERO_C_IN_K = 273.15
_CRITICAL_POINT_K = 647.096  # above it water has no vapour pressure to saturate
# Near absolute zero the ice equation climbs again and then overflows. No sensor reaches even this.
_LOWEST_K = 73.15

# Upper end of each band in °C, then A in hPa, m and Tn in °C.
_DEW_POINT_BANDS = (
    (-20.0, 6.114742, 9.778707, 273.1466),
    (50.0, 6.116441, 7.591386, 240.7263),
    (100.0, 6.004918, 7.337936, 229.3975),
    (150.0, 5.856548, 7.27731, 225.1033),
    (200.0, 6.002859, 7.290361, 227.1704),
    (math.inf, 9.980622, 7.388931, 263.1239),
)


class AirQualityGrade(StrEnum):
    """Words for an indoor air quality score, as the Ruuvi apps show them."""

    EXCELLENT = "Excellent"
    GOOD = "Good"
    FAIR = "Fair"
    POOR = "Poor"
    VERY_POOR = "Very poor"


_LOWEST_SCORE_OF_GRADE = (
    (90, AirQualityGrade.EXCELLENT),
    (80, AirQualityGrade.GOOD),
    (50, AirQualityGrade.FAIR),
    (10, AirQualityGrade.POOR),
)


def saturation_vapour_pressure_pa(temperature_c: float | None) -> float | None:
    """Pressure in Pa of saturated vapour, over water above 0.01 °C and over ice at or below it.

    None below -200 °C and from the critical point of water (373.946 °C) up.
    """
    if temperature_c is None:
        return None
    kelvin = temperature_c + _ZERO_C_IN_K
    if not _LOWEST_K <= kelvin < _CRITICAL_POINT_K:  # false for NaN too
        return None
    return _over_water_pa(kelvin) if temperature_c > 0.01 else _over_ice_pa(kelvin)


def absolute_humidity_g_m3(temperature_c: float | None, humidity_pct: float | None) -> float | None:
    """Grams of water vapour in a cubic metre of air at this relative humidity."""
    saturation_pa = saturation_vapour_pressure_pa(temperature_c)
    if temperature_c is None or saturation_pa is None or not _is_number(humidity_pct):
        return None
    return 2.16679 * humidity_pct / 100 * saturation_pa / (temperature_c + _ZERO_C_IN_K)


def dew_point_c(temperature_c: float | None, humidity_pct: float | None) -> float | None:
    """Temperature in °C at which this air would be saturated. None for humidity at or below 0."""
    saturation_pa = saturation_vapour_pressure_pa(temperature_c)
    if temperature_c is None or saturation_pa is None or not _is_number(humidity_pct):
        return None
    vapour_hpa = saturation_pa * humidity_pct / 100 / 100
    if vapour_hpa <= 0:
        return None
    a, m, tn = _dew_point_constants(temperature_c)
    x = math.log10(vapour_hpa / a)
    # The usual form Tn / (m / x - 1) divides by zero where the dew point is exactly 0 °C.
    return tn * x / (m - x) if x < m else None


def air_quality_score(pm2_5_ug_m3: float | None, co2_ppm: float | None) -> float | None:
    """Indoor air quality score (IAQS, `aqi` on the wire): 0 worst, 100 best, two decimals."""
    if not _is_number(pm2_5_ug_m3) or not _is_number(co2_ppm):
        return None
    particles = _clamp(pm2_5_ug_m3, 0, 60) * 100 / 60
    carbon_dioxide = (_clamp(co2_ppm, 420, 2300) - 420) * 100 / (2300 - 420)
    return round(_clamp(100 - math.hypot(particles, carbon_dioxide), 0, 100), 2)


def air_quality_grade(score: float | None) -> AirQualityGrade | None:
    """Grade of an `air_quality_score`, judged on the whole number the apps display.

    Rounds half up as they do, so 89.5 is already Excellent; round() would go to the even number.
    """
    if not _is_number(score):
        return None
    shown = math.floor(score + 0.5)
    for lowest, grade in _LOWEST_SCORE_OF_GRADE:
        if shown >= lowest:
            return grade
    return AirQualityGrade.VERY_POOR


def total_acceleration_mg(
    x_mg: float | None, y_mg: float | None, z_mg: float | None
) -> float | None:
    """Length of the acceleration vector in mg; about 1000 at rest."""
    if not _is_number(x_mg) or not _is_number(y_mg) or not _is_number(z_mg):
        return None
    return math.hypot(x_mg, y_mg, z_mg)


def is_battery_low(battery_mv: int | None, temperature_c: float | None) -> bool | None:
    """Whether the Ruuvi apps would call this battery low. Cold lowers the voltage they expect."""
    if not _is_number(battery_mv) or not _is_number(temperature_c):
        return None
    if temperature_c < -20:
        return battery_mv < 2000
    return battery_mv < (2300 if temperature_c < 0 else 2500)


def _over_water_pa(kelvin: float) -> float:
    n = 1 - kelvin / _CRITICAL_POINT_K
    exponent = (
        -7.85951783 * n
        + 1.84408259 * n**1.5
        - 11.7866497 * n**3
        + 22.6807411 * n**3.5
        - 15.9618719 * n**4
        + 1.80122502 * n**7.5
    )
    return 22_064_000 * math.exp(_CRITICAL_POINT_K / kelvin * exponent)


def _over_ice_pa(kelvin: float) -> float:
    n = kelvin / 273.16
    return 611.657 * math.exp(-13.928169 * (1 - n**-1.5) + 34.707823 * (1 - n**-1.25))


def _dew_point_constants(temperature_c: float) -> tuple[float, float, float]:
    return next((a, m, tn) for top, a, m, tn in _DEW_POINT_BANDS if temperature_c <= top)


def _is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
