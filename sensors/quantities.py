"""What people call the quantities of a reading, and the units in which they read them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext_lazy as _

from sensors.charts import Series
from sensors.decoders import Reading
from sensors.models import Sensor


class Quantity(NamedTuple):
    """`divisor` makes the unit that people read of the one in the field's name."""

    name: Any
    unit: str
    divisor: int = 1
    help_text: Any = ""


# By the fields of a Reading, in the order in which they are shown.
QUANTITIES: dict[str, Quantity] = {
    "temperature_c": Quantity(_("Temperature"), "°C"),
    "humidity_pct": Quantity(_("Relative humidity"), "%"),
    "pressure_pa": Quantity(
        _("Air pressure"), "hPa", 100, _("where the sensor is, not at sea level")
    ),
    "co2_ppm": Quantity("CO₂", "ppm"),
    "pm1_0_ug_m3": Quantity("PM1.0", "µg/m³", 1, _("particles up to 1 µm")),
    "pm2_5_ug_m3": Quantity("PM2.5", "µg/m³", 1, _("particles up to 2.5 µm")),
    "pm4_0_ug_m3": Quantity("PM4.0", "µg/m³", 1, _("particles up to 4 µm")),
    "pm10_0_ug_m3": Quantity("PM10", "µg/m³", 1, _("particles up to 10 µm")),
    "voc_index": Quantity(
        _("VOC index"), "", 1, _("volatile compounds; 100 is the average of this place")
    ),
    "nox_index": Quantity(_("NOx index"), "", 1, _("nitrogen oxides; 1 is clean air")),
    "luminosity_lx": Quantity(_("Luminosity"), "lx"),
    "sound_instant_dba": Quantity(_("Sound level (instant)"), "dBA"),
    "sound_average_dba": Quantity(_("Sound level (average)"), "dBA"),
    "sound_peak_db_spl": Quantity(_("Sound level (peak)"), "dB"),
    "movement_counter": Quantity(
        _("Movement counter"),
        "",
        1,
        _("grows by one whenever the sensor is moved; starts again at 0"),
    ),
    "acceleration_x_mg": Quantity(_("Acceleration X"), "g", 1000),
    "acceleration_y_mg": Quantity(_("Acceleration Y"), "g", 1000),
    "acceleration_z_mg": Quantity(_("Acceleration Z"), "g", 1000, _("1 g when it lies flat")),
    "battery_mv": Quantity(
        _("Battery"), "V", 1000, _("below 2.5 V it is nearly empty; lower in the cold")
    ),
    "tx_power_dbm": Quantity(_("Transmission power"), "dBm"),
}
_OFFSETS = ("temperature_c", "humidity_pct", "pressure_pa")


class Value(NamedTuple):
    """A quantity with its value as people read it."""

    quantity: Quantity
    value: float


def values(reading: Reading, sensor: Sensor | None = None) -> list[Value]:
    """What `reading` says, with the owner's offsets where `sensor` has any."""
    found = []
    for field, quantity in QUANTITIES.items():
        value = getattr(reading, field)
        if value is not None:
            offset = getattr(sensor, f"offset_{field}") if sensor and field in _OFFSETS else 0
            found.append(Value(quantity, round((value + offset) / quantity.divisor, 3)))
    return found


def drawn(series: Series) -> list[Mapping[str, Any]]:
    """`series` as the console's charts take it: ruuvinet/console.js."""
    return [
        {
            "name": str(quantity.name),
            "unit": quantity.unit,
            "t": series.times,
            "low": _divided(line.minimum, quantity.divisor),
            "mid": _divided(line.mean, quantity.divisor),
            "high": _divided(line.maximum, quantity.divisor),
        }
        for field, quantity in QUANTITIES.items()
        if (line := series.lines.get(field)) and any(value is not None for value in line.mean)
    ]


def _divided(numbers: list[float | None], divisor: int) -> list[float | None]:
    if divisor == 1:
        return numbers
    return [None if number is None else round(number / divisor, 4) for number in numbers]
