"""Data format 3, RAWv1 (RuuviTag; deprecated, still on air)."""

from __future__ import annotations

from struct import Struct

from sensors.decoders import codes
from sensors.decoders.reading import Reading

_FIELDS = Struct(">xBBBHhhhH")
LENGTH = _FIELDS.size


def decode(payload: bytes) -> Reading:
    """Ruuvi data format 3 specification, 14 bytes; surplus bytes of old tags are ignored.

    Byte 1 humidity in 0.5 %, 2-3 temperature, 4-5 pressure in Pa above 50000, 6-11 acceleration
    in mg, 12-13 battery in mV. The format has no "not available" codes.
    """
    humidity, whole, hundredths, pressure, x, y, z, battery = _FIELDS.unpack_from(payload)
    return Reading(
        data_format=3,
        temperature_c=codes.signed_magnitude_c(whole, hundredths),
        humidity_pct=humidity / 2,
        pressure_pa=pressure + 50000,
        acceleration_x_mg=x,
        acceleration_y_mg=y,
        acceleration_z_mg=z,
        battery_mv=battery,
    )
