"""The decoded fields that a gateway puts into a record, for the formats that the simulator plays."""

from typing import Any

from sensors.decoders import Reading, decode_advertisement

Fields = dict[str, Any]


def decoded_fields(advertisement: bytes) -> Fields:
    """Names, units and decimals of the gateway firmware; nothing for what it does not decode."""
    reading = decode_advertisement(advertisement)
    match reading and reading.data_format:
        case 5 if reading:
            return _climate(reading, 5, 4) | _tag(reading)
        case 0xE1 if reading:
            return _climate(reading, 0xE1, 2) | _air(reading)
    return {}


def _climate(reading: Reading, data_format: int, humidity_decimals: int) -> Fields:
    return {
        "dataFormat": data_format,
        "temperature": _rounded(reading.temperature_c, 3),
        "humidity": _rounded(reading.humidity_pct, humidity_decimals),
        "pressure": reading.pressure_pa,
        "measurementSequenceNumber": reading.sequence,
        "id": str(reading.mac),
    }


def _tag(reading: Reading) -> Fields:
    return {
        "accelX": _thousandth(reading.acceleration_x_mg),
        "accelY": _thousandth(reading.acceleration_y_mg),
        "accelZ": _thousandth(reading.acceleration_z_mg),
        "movementCounter": reading.movement_counter,
        "voltage": _thousandth(reading.battery_mv),
        "txPower": reading.tx_power_dbm,
    }


def _air(reading: Reading) -> Fields:
    return {
        "PM1.0": reading.pm1_0_ug_m3,
        "PM2.5": reading.pm2_5_ug_m3,
        "PM4.0": reading.pm4_0_ug_m3,
        "PM10.0": reading.pm10_0_ug_m3,
        "CO2": reading.co2_ppm,
        "VOC": reading.voc_index,
        "NOx": reading.nox_index,
        "luminosity": _rounded(reading.luminosity_lx, 0),
        "sound_inst_dba": _rounded(reading.sound_instant_dba, 1),
        "sound_avg_dba": _rounded(reading.sound_average_dba, 1),
        "sound_peak_spl_db": _rounded(reading.sound_peak_db_spl, 1),
        "flag_calibration_in_progress": bool(reading.calibration_in_progress),
        "flag_button_pressed": bool(reading.button_pressed),
        "flag_rtc_running_on_boot": bool(reading.rtc_running_on_boot),
    }


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)


def _thousandth(value: int | None) -> float | None:
    return None if value is None else round(value / 1000, 3)
