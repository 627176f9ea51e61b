import pytest

from gateways.simulator.advertising import (
    AirSample,
    TagSample,
    encode_format_5,
    encode_format_e1,
)
from sensors.decoders import decode_advertisement


def tag_sample(**changes):
    values = {
        "mac": "F4:1F:0C:28:CB:D6",
        "temperature_c": 27.445,
        "humidity_pct": 49.6775,
        "pressure_pa": 100_541,
        "acceleration_mg": (-16, -8, 996),
        "battery_mv": 3048,
        "tx_power_dbm": 4,
        "movement_counter": 232,
        "sequence": 19_838,
    }
    return TagSample(**(values | changes))


def air_sample(**changes):
    values = {
        "mac": "FD:54:6F:6C:52:92",
        "temperature_c": 26.045,
        "humidity_pct": 59.32,
        "pressure_pa": 100_758,
        "pm_ugm3": (4.8, 5.8, 6.5, 6.8),
        "co2_ppm": 566,
        "voc_index": 135,
        "nox_index": 1,
        "sequence": 1_063_735,
    }
    return AirSample(**(values | changes))


def test_a_real_ruuvitags_values_give_its_real_bytes():
    assert encode_format_5(tag_sample()).hex().upper() == (
        "0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6"
    )


def test_a_real_ruuvi_airs_values_give_its_real_bytes():
    assert encode_format_e1(air_sample()).hex().upper() == (
        "2BFF9904E114595CB0C6460030003A0041004402364300FFFFFFFFFFFF103B37F8"
        "FFFFFFFFFFFD546F6C5292030398FC"
    )


def test_format_5_survives_the_way_through_the_decoder():
    reading = decode_advertisement(encode_format_5(tag_sample(temperature_c=-18.37)))
    assert reading.data_format == 5
    assert reading.temperature_c == -18.37
    assert reading.humidity_pct == 49.6775
    assert reading.pressure_pa == 100_541
    assert reading.acceleration_x_mg == -16
    assert reading.battery_mv == 3048
    assert reading.tx_power_dbm == 4
    assert reading.movement_counter == 232
    assert reading.sequence == 19_838
    assert reading.mac == "F4:1F:0C:28:CB:D6"


def test_format_e1_survives_the_way_through_the_decoder():
    sample = air_sample(
        voc_index=100,
        nox_index=4,
        luminosity_lux=407.64,
        sound_instant_dba=50.2,
        sound_average_dba=51.0,
        sound_peak_db=67.4,
    )
    reading = decode_advertisement(encode_format_e1(sample))
    assert reading.temperature_c == 26.045
    assert reading.pm2_5_ug_m3 == 5.8
    assert reading.pm10_0_ug_m3 == 6.8
    assert reading.co2_ppm == 566
    assert (reading.voc_index, reading.nox_index) == (100, 4)
    assert reading.luminosity_lx == 407.64
    assert reading.sound_instant_dba == 50.2
    assert reading.sound_average_dba == 51.0
    assert reading.sound_peak_db_spl == 67.4
    assert reading.sequence == 1_063_735
    assert reading.mac == "FD:54:6F:6C:52:92"


def test_absent_sound_and_light_are_decoded_as_absent():
    reading = decode_advertisement(encode_format_e1(air_sample()))
    assert reading.luminosity_lx is None
    assert reading.sound_average_dba is None


@pytest.mark.parametrize(
    ("given", "temperature_c", "battery_mv"),
    [(-999, -163.835, 1600), (999, 163.835, 3646)],
)
def test_values_out_of_range_are_clipped_not_wrapped(given, temperature_c, battery_mv):
    sample = tag_sample(temperature_c=given, battery_mv=given * 10)
    reading = decode_advertisement(encode_format_5(sample))
    assert (reading.temperature_c, reading.battery_mv) == (temperature_c, battery_mv)


def test_counters_wrap_below_the_not_available_codes():
    wrapped = encode_format_5(tag_sample(movement_counter=255, sequence=65_535))
    reading = decode_advertisement(wrapped)
    assert (reading.movement_counter, reading.sequence) == (0, 0)
