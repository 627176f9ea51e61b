"""Every published test vector, through the door its kind belongs to."""

import json
from pathlib import Path

import pytest

from sensors.decoders import (
    data_format,
    decode_advertisement,
    decode_payload,
    decode_url_fragment,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "vectors.json"
VECTORS = json.loads(GOLDEN.read_text())["vectors"]

DECODE = {
    "advertisement": decode_advertisement,
    "payload": decode_payload,
    "url_fragment": decode_url_fragment,
}

# Vector key: our field, and how many of our units make one of theirs.
FIELDS = {
    "data_format": ("data_format", 1),
    "temperature": ("temperature_c", 1),
    "humidity": ("humidity_pct", 1),
    "pressure": ("pressure_pa", 1),
    "acceleration_x": ("acceleration_x_mg", 1000),
    "acceleration_y": ("acceleration_y_mg", 1000),
    "acceleration_z": ("acceleration_z_mg", 1000),
    "voltage": ("battery_mv", 1000),
    "tx_power": ("tx_power_dbm", 1),
    "movement_counter": ("movement_counter", 1),
    "measurement_sequence_number": ("sequence", 1),
    "mac": ("mac", 1),
    "mac_suffix": ("mac_suffix", 1),
    "tag_id": ("tag_id", 1),
    "pm1_0": ("pm1_0_ug_m3", 1),
    "pm2_5": ("pm2_5_ug_m3", 1),
    "pm4_0": ("pm4_0_ug_m3", 1),
    "pm10_0": ("pm10_0_ug_m3", 1),
    "co2": ("co2_ppm", 1),
    "voc": ("voc_index", 1),
    "nox": ("nox_index", 1),
    "luminosity": ("luminosity_lx", 1),
    "sound_instant": ("sound_instant_dba", 1),
    "sound_average": ("sound_average_dba", 1),
    "sound_peak": ("sound_peak_db_spl", 1),
    "flag_calibration_in_progress": ("calibration_in_progress", 1),
    "flag_button_pressed": ("button_pressed", 1),
    "flag_rtc_running_on_boot": ("rtc_running_on_boot", 1),
    "flag_usb_on": ("usb_on", 1),
    "flag_low_battery": ("low_battery", 1),
    "flag_boost_mode": ("boost_mode", 1),
}

F0_LOGARITHMIC = {"pm1_0", "pm2_5", "pm4_0", "pm10_0", "co2", "voc", "nox"}


def tolerance(vector, key):
    logarithmic = vector["format"] == "F0" and key in F0_LOGARITHMIC
    return 0.02 if key == "luminosity" or logarithmic else 0.0005


def in_vector_units(reading, key):
    name, scale = FIELDS[key]
    value = getattr(reading, name)
    return value if value is None or scale == 1 else value / scale


def named(vectors):
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


@pytest.mark.parametrize("vector", named(v for v in VECTORS if v["expected"] is None))
def test_refused_vector_gives_no_reading(vector):
    assert DECODE[vector["kind"]](bytes.fromhex(vector["raw_hex"])) is None


@pytest.mark.parametrize("vector", named(v for v in VECTORS if v["expected"] is not None))
def test_vector_decodes_to_its_published_values(vector):
    reading = DECODE[vector["kind"]](bytes.fromhex(vector["raw_hex"]))
    assert reading is not None
    found = {key: in_vector_units(reading, key) for key in vector["expected"]}
    expected = {
        key: pytest.approx(value, abs=tolerance(vector, key), rel=0)
        if isinstance(value, float)
        else value
        for key, value in vector["expected"].items()
    }
    assert found == expected


@pytest.mark.parametrize("vector", named(v for v in VECTORS if v["kind"] == "advertisement"))
def test_format_of_vector_is_known_exactly_when_it_decodes(vector):
    expected = vector["expected"] and vector["expected"]["data_format"]
    assert data_format(bytes.fromhex(vector["raw_hex"])) == expected


@pytest.mark.parametrize("vector", named(v for v in VECTORS if v["kind"] == "payload"))
def test_payload_vector_decodes_alike_inside_an_advertisement(vector):
    payload = bytes.fromhex(vector["raw_hex"])
    data = bytes([len(payload) + 3, 0xFF, 0x99, 0x04]) + payload
    assert decode_advertisement(data) == decode_payload(payload)


def test_logarithmic_f0_fields_agree_with_the_endpoint_library():
    vector = next(v for v in VECTORS if v["name"] == "dfF0 library valid")
    reading = decode_advertisement(bytes.fromhex(vector["raw_hex"]))
    assert reading is not None
    assert (reading.pm1_0_ug_m3, reading.pm2_5_ug_m3) == (10.3, 11.2)
    assert (reading.pm4_0_ug_m3, reading.pm10_0_ug_m3) == (12.2, 13.4)
    assert (reading.co2_ppm, reading.voc_index, reading.nox_index) == (1152, 11, 12)
    assert reading.luminosity_lx == pytest.approx(15322, abs=0.5)
