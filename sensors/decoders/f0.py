"""Data format F0 (Ruuvi Air prototypes, superseded by 6): one byte per quantity."""

from __future__ import annotations

from struct import Struct

from sensors.decoders import codes
from sensors.decoders.reading import Reading

_FIELDS = Struct(">xbBBBBBBBBBBBB6s")
LENGTH = _FIELDS.size


def _whole(scale: tuple[float | None, ...]) -> tuple[int | None, ...]:
    # Every other format counts these in whole units, and so do their columns and the wire.
    return tuple(None if value is None else round(value) for value in scale)


_PM_UG_M3 = codes.logarithmic_scale(1001, digits=1)
_CO2_PPM = _whole(codes.logarithmic_scale(40001, digits=2))
_INDEX = _whole(codes.logarithmic_scale(500, base=0, digits=2))
_LUMINOSITY_LX = codes.logarithmic_scale(40001, digits=2)


def decode(payload: bytes) -> Reading:
    """Ruuvi endpoint library, format F0, 20 bytes.

    Byte 1 temperature in °C, 2 humidity in 0.5 %, 3 pressure in 100 Pa above 90000, 4-7 PM1.0,
    PM2.5, PM4.0 and PM10.0, 8 CO2, 9 VOC, 10 NOx, 11 luminosity (4-11 logarithmic), 12 average
    sound in 0.5 dBA, 13 flags with the sequence in the upper 4 bits, 14-19 MAC.
    """
    (
        temperature, humidity, pressure, pm1_0, pm2_5, pm4_0, pm10_0,
        co2, voc, nox, luminosity, sound, flags, mac,
    ) = _FIELDS.unpack_from(payload)  # fmt: skip
    return Reading(
        data_format=0xF0,
        temperature_c=None if temperature == -0x80 else float(temperature),
        humidity_pct=codes.half_steps(humidity),
        pressure_pa=None if pressure == 0xFF else pressure * 100 + 90000,
        pm1_0_ug_m3=_PM_UG_M3[pm1_0],
        pm2_5_ug_m3=_PM_UG_M3[pm2_5],
        pm4_0_ug_m3=_PM_UG_M3[pm4_0],
        pm10_0_ug_m3=_PM_UG_M3[pm10_0],
        co2_ppm=_CO2_PPM[co2],
        voc_index=_INDEX[voc],
        nox_index=_INDEX[nox],
        luminosity_lx=_LUMINOSITY_LX[luminosity],
        sound_average_dba=codes.half_steps(sound),
        sequence=flags >> 4,
        mac=codes.mac_address(mac),
        usb_on=bool(flags & 1),
        low_battery=bool(flags & 2),
        calibration_in_progress=bool(flags & 4),
        boost_mode=bool(flags & 8),
    )
