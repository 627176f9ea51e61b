"""Data format E0 (Ruuvi Air prototypes, superseded by E1)."""

from __future__ import annotations

from struct import Struct

from sensors.decoders import codes
from sensors.decoders.reading import Reading

_FIELDS = Struct(">xhHHHHHHHHHHBBHBB5x6s")
LENGTH = _FIELDS.size


def decode(payload: bytes) -> Reading:
    """Ruuvi endpoint library, format E0, 40 bytes.

    Bytes 1-2 temperature in 0.005 °C, 3-4 humidity in 0.0025 %, 5-6 pressure in Pa above 50000,
    7-14 PM1.0, PM2.5, PM4.0 and PM10.0 in 0.1 µg/m³, 15-16 CO2 in ppm, 17-18 VOC, 19-20 NOx,
    21-22 luminosity in lx, 23 average and 24 peak sound in 0.5 dB, 25-26 sequence, 27 supply in
    30 mV, 28 flags, 34-39 MAC.
    """
    (
        temperature, humidity, pressure, pm1_0, pm2_5, pm4_0, pm10_0, co2,
        voc, nox, luminosity, average, peak, sequence, supply, flags, mac,
    ) = _FIELDS.unpack_from(payload)  # fmt: skip
    return Reading(
        data_format=0xE0,
        temperature_c=codes.temperature_c(temperature),
        humidity_pct=codes.humidity_pct(humidity),
        pressure_pa=codes.pressure_pa(pressure),
        pm1_0_ug_m3=codes.pm_ug_m3(pm1_0),
        pm2_5_ug_m3=codes.pm_ug_m3(pm2_5),
        pm4_0_ug_m3=codes.pm_ug_m3(pm4_0),
        pm10_0_ug_m3=codes.pm_ug_m3(pm10_0),
        co2_ppm=codes.available(co2, absent=0xFFFF),
        # Only the lower 9 bits of these two words carry meaning.
        voc_index=codes.available(voc & 0x1FF, absent=511),
        nox_index=codes.available(nox & 0x1FF, absent=511),
        luminosity_lx=None if luminosity == 0xFFFF else float(luminosity),
        sound_average_dba=codes.half_steps(average),
        sound_peak_db_spl=codes.half_steps(peak),
        sequence=codes.available(sequence, absent=0xFFFF),
        battery_mv=None if supply == 0xFF else supply * 30,
        mac=codes.mac_address(mac),
        usb_on=bool(flags & 1),
        low_battery=bool(flags & 2),
        calibration_in_progress=bool(flags & 4),
        boost_mode=bool(flags & 8),
    )
