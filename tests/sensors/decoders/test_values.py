"""Single quantities: exactness, "not available" codes, the odd corners of each format."""

import pytest

from sensors.decoders import Reading, decode_payload, decode_url_fragment

DF5 = bytes.fromhex("0512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F")
E1 = bytes.fromhex(
    "E1170C5668C79E0065007004BD11CA00C9050113E0AC3D4A9CDECDEE00FFFFFFFFFFCBB8334C884F"
)
DF6 = bytes.fromhex("06170C5668C79E007000C90501D94ACD004C884F")


def patched(payload, at, code, width=2):
    return payload[:at] + code.to_bytes(width, "big") + payload[at + width :]


def signed(code):
    return code - 0x10000 if code >= 0x8000 else code


def test_every_temperature_code_is_the_nearest_float_to_its_decimal():
    for code in set(range(0x10000)) - {0x8000}:
        reading = decode_payload(patched(DF5, 1, code))
        assert reading.temperature_c == round(signed(code) * 5 / 1000, 3)


def test_every_humidity_code_is_the_nearest_float_to_its_decimal():
    for code in range(0xFFFF):
        reading = decode_payload(patched(DF5, 3, code))
        assert reading.humidity_pct == round(code * 25 / 10000, 4)


def test_every_particle_code_is_the_nearest_float_to_its_decimal():
    for code in range(0xFFFF):
        assert decode_payload(patched(E1, 9, code)).pm2_5_ug_m3 == round(code / 10, 1)


def test_every_sound_code_is_the_nearest_float_to_its_decimal():
    for code in range(511):
        payload = patched(patched(E1, 23, code >> 1, 1), 28, (code & 1) << 4, 1)
        assert decode_payload(payload).sound_average_dba == round(18 + code * 0.2, 1)


def test_format_6_sequence_is_the_low_byte_of_the_same_sample_in_e1():
    assert decode_payload(patched(E1, 25, 0xDECDFF, 3)).sequence & 0xFF == 255
    assert decode_payload(patched(DF6, 15, 255, 1)).sequence == 255


@pytest.mark.parametrize(
    ("byte", "flag", "name"),
    [
        (17, 6, "voc_index"),
        (18, 7, "nox_index"),
        (22, 3, "sound_instant_dba"),
        (23, 4, "sound_average_dba"),
        (24, 5, "sound_peak_db_spl"),
    ],
)
def test_flag_bit_of_e1_is_the_lowest_bit_of_its_own_field_only(byte, flag, name):
    plain = decode_payload(patched(patched(E1, byte, 0xFF, 1), 28, 0, 1))
    flagged = decode_payload(patched(patched(E1, byte, 0xFF, 1), 28, 1 << flag, 1))
    changed = {f for f in Reading.__struct_fields__ if getattr(plain, f) != getattr(flagged, f)}
    assert changed == {name}
    assert getattr(flagged, name) is None


AIR_FLAGS = {1: "calibration_in_progress", 2: "button_pressed", 4: "rtc_running_on_boot"}
PROTOTYPE_FLAGS = {1: "usb_on", 2: "low_battery", 4: "calibration_in_progress", 8: "boost_mode"}


@pytest.mark.parametrize(
    ("number", "length", "flags_at", "names"),
    [
        (0x06, 20, 16, AIR_FLAGS),
        (0xE1, 40, 28, AIR_FLAGS),
        (0xE0, 40, 28, PROTOTYPE_FLAGS),
        (0xF0, 20, 13, PROTOTYPE_FLAGS),
    ],
)
def test_each_flag_bit_raises_its_own_flag_only(number, length, flags_at, names):
    blank = bytes([number]).ljust(length, b"\x00")
    for bit, name in names.items():
        reading = decode_payload(patched(blank, flags_at, bit, 1))
        assert {n for n in names.values() if getattr(reading, n)} == {name}


def test_sound_byte_without_its_flag_bit_is_120_db():
    assert decode_payload(patched(E1, 22, 0xFF, 1)).sound_instant_dba == 120.0


def test_one_missing_axis_leaves_the_others():
    reading = decode_payload(patched(DF5, 9, 0x8000))
    assert (reading.acceleration_x_mg, reading.acceleration_y_mg) == (4, None)
    assert reading.acceleration_z_mg == 1036


def test_missing_battery_leaves_tx_power():
    reading = decode_payload(patched(DF5, 13, 2047 << 5 | 22))
    assert (reading.battery_mv, reading.tx_power_dbm) == (None, 4)


def test_missing_tx_power_leaves_battery():
    reading = decode_payload(patched(DF5, 13, 1377 << 5 | 31))
    assert (reading.battery_mv, reading.tx_power_dbm) == (2977, None)


def test_humidity_of_a_faulty_format_3_sensor_is_passed_on():
    assert decode_payload(bytes.fromhex("03FF00000000000000000000000B")).humidity_pct == 127.5


@pytest.mark.parametrize(("offset", "code"), [(17, 0xFE04), (19, 0xFE02)])
def test_unused_bits_of_e0_indexes_are_ignored(offset, code):
    payload = bytes.fromhex(
        "E014B47DC8C89B00660071007C00870469000400023B13292AFFFD6B01FFFFFFFFFFCBB8334C884F"
    )
    assert decode_payload(patched(payload, offset, code)) == decode_payload(payload)


def test_f0_counts_gases_in_whole_units():
    payload = bytes.fromhex("F01AA172595C5F62A96266E72951CBB8334C884F")
    reading = decode_payload(payload)
    assert all(type(v) is int for v in (reading.co2_ppm, reading.voc_index, reading.nox_index))


def test_f0_temperature_is_signed():
    payload = bytes.fromhex("F0FFA172595C5F62A96266E72951CBB8334C884F")
    assert decode_payload(payload).temperature_c == -1.0


def test_fragment_with_negative_fraction_decodes():
    assert decode_url_fragment(b"AgCAMgAA").temperature_c == -0.5


def test_ninth_character_is_kept_as_the_tag_id():
    assert decode_url_fragment(b"BFwaAMjl_").tag_id == "_"


@pytest.mark.parametrize("fragment", [b"", b"BFwaAMj", b"BFwaAMjlQQ", b"BFwaAMjl\n", b"BFwa+Mjl"])
def test_fragment_of_wrong_length_or_alphabet_is_refused(fragment):
    assert decode_url_fragment(fragment) is None


def test_reading_cannot_be_changed():
    reading = decode_payload(DF5)
    with pytest.raises(AttributeError):
        reading.temperature_c = 0.0


def test_fields_a_format_lacks_are_absent():
    reading = decode_payload(DF5)
    assert reading.co2_ppm is None
    assert reading.mac_suffix is None
    assert reading.calibration_in_progress is None
