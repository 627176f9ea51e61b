"""Data format 6 (Ruuvi Air, legacy advertising)."""

from __future__ import annotations

from struct import Struct

from sensors.decoders import codes
from sensors.decoders.reading import Reading

_FIELDS = Struct(">xhHHHHBBBBBB3s")
LENGTH = _FIELDS.size

LUMINOSITY_LX = codes.logarithmic_scale(65536, digits=2)
_NO_SUFFIX = b"\xff" * 3


def decode(payload: bytes) -> Reading:
    """Ruuvi data format 6 specification, 20 bytes; sound and flags as the firmware sends them.

    Bytes 1-2 temperature in 0.005 °C, 3-4 humidity in 0.0025 %, 5-6 pressure in Pa above 50000,
    7-8 PM2.5 in 0.1 µg/m³, 9-10 CO2 in ppm, 11 VOC, 12 NOx, 13 luminosity (logarithmic), 14 average
    sound, 15 sequence, 16 flags, 17-19 end of the MAC. VOC, NOx and sound borrow bits 6, 7 and 4
    of the flags. The sequence has no "not available" code: 255 is a count.
    """
    (
        temperature, humidity, pressure, pm2_5, co2,
        voc, nox, luminosity, sound, sequence, flags, suffix,
    ) = _FIELDS.unpack_from(payload)  # fmt: skip
    return Reading(
        data_format=6,
        temperature_c=codes.temperature_c(temperature),
        humidity_pct=codes.humidity_pct(humidity),
        pressure_pa=codes.pressure_pa(pressure),
        pm2_5_ug_m3=codes.pm_ug_m3(pm2_5),
        co2_ppm=codes.available(co2, absent=0xFFFF),
        voc_index=codes.nine_bits(voc, flags, 6),
        nox_index=codes.nine_bits(nox, flags, 7),
        luminosity_lx=LUMINOSITY_LX[luminosity],
        sound_average_dba=codes.sound_db(sound, flags, 4),
        sequence=sequence,
        mac_suffix=None if suffix == _NO_SUFFIX else suffix.hex(":").upper(),
        calibration_in_progress=bool(flags & 1),
        button_pressed=bool(flags & 2),
        rtc_running_on_boot=bool(flags & 4),
    )
