"""Data format 5, RAWv2 (RuuviTag), and C5, the same without acceleration."""

from __future__ import annotations

from struct import Struct

from sensors.decoders import codes
from sensors.decoders.reading import Reading

_FIELDS = Struct(">xhHHhhhHBH6s")
LENGTH = _FIELDS.size

_FIELDS_C5 = Struct(">xhHHHBH6s")
LENGTH_C5 = _FIELDS_C5.size


def decode(payload: bytes) -> Reading:
    """Ruuvi data format 5 specification, 24 bytes.

    Bytes 1-2 temperature in 0.005 °C, 3-4 humidity in 0.0025 %, 5-6 pressure in Pa above 50000,
    7-12 acceleration in mg, 13-14 power, 15 movements, 16-17 sequence, 18-23 MAC.
    """
    temperature, humidity, pressure, x, y, z, power, moves, sequence, mac = _FIELDS.unpack_from(
        payload
    )
    return Reading(
        data_format=5,
        temperature_c=codes.temperature_c(temperature),
        humidity_pct=codes.humidity_pct(humidity),
        pressure_pa=codes.pressure_pa(pressure),
        acceleration_x_mg=codes.available(x, absent=-0x8000),
        acceleration_y_mg=codes.available(y, absent=-0x8000),
        acceleration_z_mg=codes.available(z, absent=-0x8000),
        battery_mv=_battery_mv(power),
        tx_power_dbm=_tx_power_dbm(power),
        movement_counter=codes.available(moves, absent=0xFF),
        sequence=codes.available(sequence, absent=0xFFFF),
        mac=codes.mac_address(mac),
    )


def decode_c5(payload: bytes) -> Reading:
    """Ruuvi data format C5 specification, 18 bytes.

    Coded as format 5: bytes 1-2 temperature, 3-4 humidity, 5-6 pressure, 7-8 power, 9 movements,
    10-11 sequence, 12-17 MAC.
    """
    temperature, humidity, pressure, power, moves, sequence, mac = _FIELDS_C5.unpack_from(payload)
    return Reading(
        data_format=0xC5,
        temperature_c=codes.temperature_c(temperature),
        humidity_pct=codes.humidity_pct(humidity),
        pressure_pa=codes.pressure_pa(pressure),
        battery_mv=_battery_mv(power),
        tx_power_dbm=_tx_power_dbm(power),
        movement_counter=codes.available(moves, absent=0xFF),
        sequence=codes.available(sequence, absent=0xFFFF),
        mac=codes.mac_address(mac),
    )


def _battery_mv(power: int) -> int | None:
    """Upper 11 of the 16 power bits, mV above 1600; all ones is not available."""
    code = power >> 5
    return None if code == 2047 else code + 1600


def _tx_power_dbm(power: int) -> int | None:
    """Lower 5 of the 16 power bits, steps of 2 dBm above -40; all ones is not available."""
    code = power & 31
    return None if code == 31 else code * 2 - 40
