"""Data format E1 (Ruuvi Air, extended advertising)."""

from __future__ import annotations

from struct import Struct

from sensors.decoders import codes
from sensors.decoders.reading import Reading

# The 24-bit fields arrive as a high byte and a low word; bytes 29-33 are reserved.
_FIELDS = Struct(">xhHHHHHHHBBBHBBBBHB5x6s")
LENGTH = _FIELDS.size


def decode(payload: bytes) -> Reading:
    """Ruuvi data format E1 specification, 40 bytes; sound and flags as the firmware sends them.

    Bytes 1-2 temperature in 0.005 °C, 3-4 humidity in 0.0025 %, 5-6 pressure in Pa above 50000,
    7-14 PM1.0, PM2.5, PM4.0 and PM10.0 in 0.1 µg/m³, 15-16 CO2 in ppm, 17 VOC, 18 NOx,
    19-21 luminosity in 0.01 lx, 22-24 instant, average and peak sound, 25-27 sequence, 28 flags,
    34-39 MAC. VOC, NOx and the three sounds borrow bits 6, 7, 3, 4 and 5 of the flags.
    """
    (
        temperature, humidity, pressure, pm1_0, pm2_5, pm4_0, pm10_0, co2, voc, nox,
        lux_high, lux_low, instant, average, peak, sequence_high, sequence_low, flags, mac,
    ) = _FIELDS.unpack_from(payload)  # fmt: skip
    return Reading(
        data_format=0xE1,
        temperature_c=codes.temperature_c(temperature),
        humidity_pct=codes.humidity_pct(humidity),
        pressure_pa=codes.pressure_pa(pressure),
        pm1_0_ug_m3=codes.pm_ug_m3(pm1_0),
        pm2_5_ug_m3=codes.pm_ug_m3(pm2_5),
        pm4_0_ug_m3=codes.pm_ug_m3(pm4_0),
        pm10_0_ug_m3=codes.pm_ug_m3(pm10_0),
        co2_ppm=codes.available(co2, absent=0xFFFF),
        voc_index=codes.nine_bits(voc, flags, 6),
        nox_index=codes.nine_bits(nox, flags, 7),
        luminosity_lx=_luminosity_lx(lux_high << 16 | lux_low),
        sound_instant_dba=codes.sound_db(instant, flags, 3),
        sound_average_dba=codes.sound_db(average, flags, 4),
        sound_peak_db_spl=codes.sound_db(peak, flags, 5),
        sequence=codes.available(sequence_high << 16 | sequence_low, absent=0xFFFFFF),
        mac=codes.mac_address(mac),
        calibration_in_progress=bool(flags & 1),
        button_pressed=bool(flags & 2),
        rtc_running_on_boot=bool(flags & 4),
    )


def _luminosity_lx(code: int) -> float | None:
    """Unsigned 24 bits, steps of 0.01 lx; all ones is not available."""
    return None if code == 0xFFFFFF else code / 100
