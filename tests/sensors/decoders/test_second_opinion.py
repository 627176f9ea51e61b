"""The same bytes through the ruuvitag-sensor library (4.1) must mean the same.

Where it deviates, the deviation is written down as data: either a rounding, or a value it invents
for a "not available" code. It decodes no C5, E0 or F0, and no sound in formats 6 and E1.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruuvitag_sensor.decoders import Df3Decoder, Df5Decoder, Df6Decoder, DfE1Decoder, UrlDecoder

from sensors.decoders import decode_payload, decode_url_fragment

# Their key: our field, and how many of our units make one of theirs.
CLIMATE = {
    "temperature": ("temperature_c", 1),
    "humidity": ("humidity_pct", 1),
    "pressure": ("pressure_pa", 100),
}
MOTION = {
    "acceleration_x": ("acceleration_x_mg", 1),
    "acceleration_y": ("acceleration_y_mg", 1),
    "acceleration_z": ("acceleration_z_mg", 1),
    "battery": ("battery_mv", 1),
}
AIR = {
    "pm_2_5": ("pm2_5_ug_m3", 1),
    "co2": ("co2_ppm", 1),
    "voc": ("voc_index", 1),
    "nox": ("nox_index", 1),
    "luminosity": ("luminosity_lx", 1),
    "calibration_in_progress": ("calibration_in_progress", 1),
    "measurement_sequence_number": ("sequence", 1),
}
FIELDS = {
    3: CLIMATE | MOTION,
    5: CLIMATE
    | MOTION
    | {
        "tx_power": ("tx_power_dbm", 1),
        "movement_counter": ("movement_counter", 1),
        "measurement_sequence_number": ("sequence", 1),
        "mac": ("mac", 1),
    },
    6: CLIMATE | AIR | {"mac": ("mac_suffix", 1)},
    0xE1: CLIMATE
    | AIR
    | {
        "pm_1": ("pm1_0_ug_m3", 1),
        "pm_4": ("pm4_0_ug_m3", 1),
        "pm_10": ("pm10_0_ug_m3", 1),
        "mac": ("mac", 1),
    },
}

THEIRS = {3: Df3Decoder(), 5: Df5Decoder(), 6: Df6Decoder(), 0xE1: DfE1Decoder()}
LENGTHS = {3: 14, 5: 24, 6: 20, 0xE1: 40}

# Half of the last decimal the library keeps, where it keeps fewer than the format carries.
COARSER = {
    (5, "temperature"): 0.005,  # two decimals of three
    (5, "humidity"): 0.005,  # two decimals of four
    (6, "humidity"): 0.0005,  # three decimals of four
    (0xE1, "humidity"): 0.0005,  # three decimals of four
}
EXACT = 1e-9  # float dust: the library multiplies by 0.005 and adds fractions

# What the library reports for a code the specification calls not available.
INVENTED = {
    (5, "movement_counter"): 255,
    (5, "measurement_sequence_number"): 65535,
    (5, "mac"): "ffffffffffff",
    (6, "mac"): "ffffff",
    (0xE1, "mac"): "FF:FF:FF:FF:FF:FF",
}
# The library drops all three axes when one is not available; the format marks each by itself.
DROPPED_TOGETHER = {(5, "acceleration_x"), (5, "acceleration_y"), (5, "acceleration_z")}


def payloads(number):
    size = LENGTHS[number] - 1
    return st.binary(min_size=size, max_size=size).map(lambda rest: bytes([number]) + rest)


def same_address(theirs, ours):
    return theirs.replace(":", "").upper() == ours.replace(":", "")


def agrees(number, key, theirs, ours, scale):
    if ours is None:
        return theirs == INVENTED.get((number, key))
    if theirs is None:
        return (number, key) in DROPPED_TOGETHER
    if key == "mac":
        return same_address(theirs, ours)
    tolerance = COARSER.get((number, key), 0) + EXACT
    return theirs == pytest.approx(ours / scale, abs=tolerance, rel=0)


def disagreements(payload):
    number = payload[0]
    theirs = THEIRS[number].decode_data(payload.hex())
    ours = decode_payload(payload)
    return {
        key: (theirs[key], getattr(ours, name))
        for key, (name, scale) in FIELDS[number].items()
        if not agrees(number, key, theirs[key], getattr(ours, name), scale)
    }


@given(payloads(3))
@example(bytes.fromhex("03298032CE1EFC18F94202CA0B53"))
@example(bytes.fromhex("03298000CE1EFC18F94202CA0B53"))
def test_library_agrees_on_format_3(payload):
    assert disagreements(payload) == {}


@given(payloads(5))
@example(bytes.fromhex("058000FFFFFFFF800080008000FFFFFFFFFFFFFFFFFFFFFF"))
@example(bytes.fromhex("058001000000008001800180010000000000CBB8334C884F"))
@example(bytes.fromhex("0512FC5394C37C8000FFFC040CAC364200CDCBB8334C884F"))
def test_library_agrees_on_format_5(payload):
    assert disagreements(payload) == {}


@given(payloads(6))
@example(bytes.fromhex("068000FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"))
@example(bytes.fromhex("067FFF9C40FFFE27109C40FAFBFEFFFFC14C8F4F"))
def test_library_agrees_on_format_6(payload):
    assert disagreements(payload) == {}


@given(payloads(0xE1))
@example(b"\xe1\x80\x00" + b"\xff" * 37)
@example(b"\xe1" + bytes(39))
def test_library_agrees_on_format_e1(payload):
    assert disagreements(payload) == {}


# The library names the format by the length of the text alone, so its number is not compared.
@pytest.mark.parametrize("fragment", ["AjwYAMFc", "AjgbAMFc", "BFwaAMjlQ", "AjUX1MAw0"])
def test_library_agrees_on_url_fragments(fragment):
    theirs = UrlDecoder().decode_data(fragment)
    ours = decode_url_fragment(fragment.encode())
    assert ours is not None
    assert (ours.temperature_c, ours.humidity_pct) == (theirs["temperature"], theirs["humidity"])
    assert (ours.pressure_pa / 100, ours.tag_id) == (theirs["pressure"], theirs["identifier"])
