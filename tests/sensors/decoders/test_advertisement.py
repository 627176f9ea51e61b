"""Walking the structures of an advertisement, whatever the bytes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sensors.decoders import (
    data_format,
    decode_advertisement,
    decode_payload,
    decode_url_fragment,
)

LENGTHS = {0x03: 14, 0x05: 24, 0x06: 20, 0xC5: 18, 0xE0: 40, 0xE1: 40, 0xF0: 20}

FLAGS = bytes.fromhex("020106")
DF3 = bytes.fromhex("11FF9904" + "03291A1ECE1EFC18F94202CA0B53")
DF5 = bytes.fromhex("1BFF9904" + "0512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F")
URL = bytes.fromhex("1716AAFE10F9" + "03") + b"ruu.vi/#BFwaAMjlQ"


def structure(kind, body):
    return bytes([len(body) + 1, kind]) + body


@st.composite
def ruuvi_bodies(draw):
    number = draw(st.sampled_from([*LENGTHS, 0x02, 0x04, 0x08]))
    length = LENGTHS.get(number, 24) + draw(st.integers(-2, 2))
    return b"\x99\x04" + bytes([number]) + draw(st.binary(min_size=length - 1, max_size=length - 1))


def url_bodies():
    fragments = st.one_of(
        st.binary(max_size=10),
        st.text("ABgjv_-09=", min_size=7, max_size=10).map(str.encode),
    )
    return st.builds(
        lambda scheme, text: b"\xaa\xfe\x10\xf9" + scheme + b"ruu.vi/#" + text,
        st.sampled_from([b"\x00", b"\x02", b"\x03"]),
        fragments,
    )


def structures():
    bodies = st.one_of(ruuvi_bodies(), url_bodies(), st.binary(max_size=20))
    kinds = st.one_of(st.sampled_from([0xFF, 0x16, 0x09]), st.integers(0, 255))
    return st.builds(structure, kinds, bodies)


def advertisements():
    """Mostly plausible advertising data, some of it cut short or followed by noise."""
    whole = st.lists(structures(), max_size=4).map(b"".join)
    cut = st.builds(lambda data, keep: data[:keep], whole, st.integers(0, 60))
    noisy = st.builds(lambda data, noise: data + noise, whole, st.binary(max_size=8))
    return st.one_of(st.binary(max_size=255), whole, cut, noisy)


@given(advertisements())
@example(b"\x01")
@example(b"\x01\xff")
@example(b"\x03\xff\x99\x04")
@example(b"\xff" * 255)
def test_format_is_known_exactly_when_data_decodes(data):
    reading = decode_advertisement(data)
    assert data_format(data) == (None if reading is None else reading.data_format)


@given(st.binary(max_size=60))
def test_payload_of_arbitrary_bytes_never_raises(payload):
    decode_payload(payload)


@given(st.one_of(st.binary(max_size=12), st.text("ABgjv_-09=", max_size=10).map(str.encode)))
def test_fragment_of_arbitrary_bytes_never_raises(fragment):
    decode_url_fragment(fragment)


@pytest.mark.parametrize(("number", "length"), LENGTHS.items())
def test_payload_of_exact_length_decodes(number, length):
    assert decode_payload(bytes([number]).ljust(length, b"\x00")).data_format == number


@pytest.mark.parametrize(("number", "length"), LENGTHS.items())
def test_payload_one_byte_short_is_refused(number, length):
    assert decode_payload(bytes([number]).ljust(length - 1, b"\x00")) is None


@pytest.mark.parametrize(("number", "length"), LENGTHS.items())
def test_surplus_payload_bytes_are_ignored(number, length):
    payload = bytes([number]).ljust(length, b"\x00")
    assert decode_payload(payload + b"\xaa\xbb") == decode_payload(payload)


def test_payload_of_unknown_format_is_refused():
    readable = {n for n in range(256) if decode_payload(bytes([n]).ljust(48, b"\x00"))}
    assert readable == set(LENGTHS)


@pytest.mark.parametrize("keep", range(len(FLAGS + DF5)))
def test_truncated_structure_is_refused(keep):
    assert decode_advertisement((FLAGS + DF5)[:keep]) is None


def test_structure_after_the_payload_is_not_payload():
    short = structure(0xFF, b"\x99\x04\x05" + bytes(17))
    assert decode_advertisement(short + structure(0x03, b"\x98\xfc" * 3)) is None


def test_walk_goes_on_past_an_unknown_ruuvi_format():
    assert data_format(structure(0xFF, b"\x99\x04\x07abc") + DF5) == 5


def test_walk_goes_on_past_a_payload_too_short():
    assert data_format(structure(0xFF, b"\x99\x04\x05abc") + DF3) == 3


def test_walk_goes_on_past_a_structure_without_body():
    assert data_format(b"\x01\xff" + b"\x01\x16" + DF5) == 5


def test_first_of_two_readable_structures_wins():
    assert data_format(DF3 + DF5) == 3


def test_truncated_structure_after_the_payload_does_no_harm():
    assert data_format(DF5 + b"\x1b\xff\x99") == 5


def test_company_id_is_little_endian():
    assert decode_advertisement(DF5.replace(b"\xff\x99\x04", b"\xff\x04\x99")) is None


def test_payload_under_another_structure_type_is_ignored():
    assert decode_advertisement(DF5.replace(b"\x1b\xff", b"\x1b\xfe")) is None


def test_plain_http_address_decodes():
    assert data_format(URL.replace(b"\x03ruu", b"\x02ruu")) == 4


def test_tx_power_of_a_url_frame_may_be_any_byte():
    assert {data_format(URL.replace(b"\xf9", bytes([power]))) for power in range(256)} == {4}


@pytest.mark.parametrize(
    ("ours", "foreign"),
    [
        pytest.param(b"\x03ruu", b"\x00ruu", id="scheme with www"),
        pytest.param(b"\xaa\xfe", b"\xab\xfe", id="service"),
        pytest.param(b"\xaa\xfe\x10", b"\xaa\xfe\x00", id="frame type"),
        pytest.param(b"ruu.vi/#", b"ruu-vi/#", id="host"),
        pytest.param(b"ruu.vi/#", b"ruu.vi/?", id="query"),
        pytest.param(b"#BFwa", b"#BFw=", id="padding"),
        pytest.param(b"#BFwa", b"#CFwa", id="format 8"),
    ],
)
def test_foreign_url_frame_is_refused(ours, foreign):
    assert data_format(URL) == 4
    assert decode_advertisement(URL.replace(ours, foreign)) is None
