"""What one advertisement says."""

from __future__ import annotations

import msgspec


class Reading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One decoded advertisement, before any calibration offset.

    None means "the sensor says not available" or "this format has no such field"; the two look
    the same on purpose, since nobody downstream may treat them differently.

    `gc=False` is safe: every field holds a plain number, text, bool or None, so no cycles.
    """

    data_format: int
    """The format's first byte: 2, 3, 4, 5, 6, 0xC5, 0xE0, 0xE1 or 0xF0."""

    temperature_c: float | None = None
    humidity_pct: float | None = None
    """Relative humidity. Passed on as sent: above 100 the sensor is faulty or wet."""
    pressure_pa: int | None = None

    acceleration_x_mg: int | None = None
    acceleration_y_mg: int | None = None
    acceleration_z_mg: int | None = None
    movement_counter: int | None = None

    battery_mv: int | None = None
    tx_power_dbm: int | None = None

    sequence: int | None = None
    """Counts measurements, not packets. Wraps; its width depends on the format (4 to 24 bits)."""
    mac: str | None = None
    """The address inside the payload, "AA:BB:CC:DD:EE:FF". May differ from the radio address."""
    mac_suffix: str | None = None
    """Last three address bytes, "DD:EE:FF" (format 6). Not unique: never merge sensors on it."""
    tag_id: str | None = None
    """One URL-safe base64 character (formats 2 and 4)."""

    pm1_0_ug_m3: float | None = None
    pm2_5_ug_m3: float | None = None
    pm4_0_ug_m3: float | None = None
    pm10_0_ug_m3: float | None = None
    """Particles up to that many micrometres; each class includes the smaller ones."""
    co2_ppm: int | None = None
    voc_index: int | None = None
    """Unitless, 100 is the running average of the site."""
    nox_index: int | None = None
    """Unitless, 1 is the base level."""
    luminosity_lx: float | None = None

    sound_instant_dba: float | None = None
    sound_average_dba: float | None = None
    sound_peak_db_spl: float | None = None

    calibration_in_progress: bool | None = None
    """The air quality values are not final yet."""
    button_pressed: bool | None = None
    rtc_running_on_boot: bool | None = None
    usb_on: bool | None = None
    low_battery: bool | None = None
    boost_mode: bool | None = None
