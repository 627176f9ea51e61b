"""Decoding many advertisements at once says what decoding each says."""

import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sensors.decoders import decode_advertisement, frames
from tests.sensors.decoders.test_advertisement import advertisements
from tests.sensors.decoders.test_published_vectors import VECTORS

FORMATS = {
    5: ("0201061BFF990405", 23),
    6: ("020106030398FC17FF990406", 19),
    0xE1: ("2BFF9904E1", 39),
    0xE0: ("2BFF9904E0", 39),
    3: ("02010611FF990403", 13),
}


def one_by_one(data):
    reading = decode_advertisement(data)
    return {name: getattr(reading, name, None) for name in frames.FIELDS}


def at_once(batch):
    columns = frames.decode(batch)
    return [
        {
            name: None
            if name not in columns or columns[name][row] != columns[name][row]
            # Not approximately: the division is the same.
            else columns[name][row]
            for name in frames.FIELDS
        }
        for row in range(len(batch))
    ]


def as_sent():
    """What a sensor sends, and the same cut, continued or with another byte somewhere."""
    payload = st.sampled_from(list(FORMATS.values())).flatmap(
        lambda f: st.binary(min_size=f[1], max_size=f[1]).map(
            lambda body: bytes.fromhex(f[0]) + body
        )
    )
    services = st.builds(
        lambda data, tail: data + tail, payload, st.sampled_from([b"", b"\x03\x03\x98\xfc"])
    )
    cut = st.builds(lambda data, keep: data[:keep], payload, st.integers(0, 44))
    odd = st.builds(
        lambda data, place, byte: data[:place] + bytes([byte]) + data[place + 1 :],
        payload, st.integers(0, 20), st.integers(0, 255),
    )  # fmt: skip
    return st.one_of(payload, services, cut, odd)


@settings(max_examples=300)
@given(st.lists(st.one_of(as_sent(), advertisements()), max_size=12))
@example([])
@example([b""])
@example([bytes.fromhex("0201061BFF990405") + bytes(24)])
def test_many_at_once_read_as_one_by_one(batch):
    assert at_once(batch) == [one_by_one(data) for data in batch]


@pytest.mark.parametrize("number", FORMATS)
@pytest.mark.parametrize("byte", [0x00, 0x7F, 0x80, 0xFF])
def test_ends_of_every_scale_read_as_one_by_one(number, byte):
    head, length = FORMATS[number]
    data = bytes.fromhex(head) + bytes([byte]) * length
    assert at_once([data]) == [one_by_one(data)]


@given(st.sampled_from([5, 6, 0xE1]), st.data())
def test_what_is_not_available_is_not_a_number(number, data):
    """Codes that mean nothing, each at its own place among bytes that mean something."""
    head, length = FORMATS[number]
    body = bytearray(data.draw(st.binary(min_size=length, max_size=length)))
    for place in data.draw(st.sets(st.integers(0, length - 2))):
        body[place : place + 2] = data.draw(st.sampled_from([b"\xff\xff", b"\x80\x00"]))
    advertisement = bytes.fromhex(head) + bytes(body)
    assert at_once([advertisement] * 2) == [one_by_one(advertisement)] * 2


def in_the_air(vector):
    """Every published vector, in the layout in which sensors send its format."""
    raw = bytes.fromhex(vector["raw_hex"])
    if vector["kind"] == "advertisement":
        return raw
    head = FORMATS.get(raw[0], ("", 0))[0]
    return bytes.fromhex(head)[:-1] + raw if head else bytes([len(raw) + 3, 0xFF, 0x99, 4]) + raw


@pytest.mark.parametrize(
    "vector", [pytest.param(v, id=v["name"]) for v in VECTORS if v["kind"] != "url_fragment"]
)
def test_published_vector_reads_as_one_by_one(vector):
    data = in_the_air(vector)
    if vector["expected"]:
        assert decode_advertisement(data).data_format == vector["expected"]["data_format"]
    assert at_once([data]) == [one_by_one(data)]


def test_columns_without_a_value_are_left_out():
    columns = frames.decode([bytes.fromhex("0201061BFF990405") + b"\xff" * 23])
    assert set(columns) == {
        "data_format", "temperature_c", "acceleration_x_mg", "acceleration_y_mg", "acceleration_z_mg",
    }  # fmt: skip


def test_frames_as_sent_are_not_decoded_one_by_one(monkeypatch):
    sent = [
        bytes.fromhex(FORMATS[number][0]) + bytes(FORMATS[number][1]) for number in (5, 6, 0xE1)
    ]
    monkeypatch.setattr(frames, "decode_advertisement", None)
    assert frames.decode(sent)["data_format"].tolist() == [5, 6, 0xE1]


def test_web_server_worker_and_timetable_start_without_numpy():
    # A third of what they may weigh would be gone before anybody asks for a chart.
    loaded = subprocess.run(
        [sys.executable, "-c", START],
        check=True,
        capture_output=True,
        text=True,
    )
    assert loaded.stdout.strip() == "False"


START = """
import sys, django
django.setup()
import ruuvinet.asgi, ruuvinet.urls, ruuvinet.celery
from django.contrib import admin
admin.autodiscover()
ruuvinet.celery.app.loader.import_default_modules()
import sensors.charts
print("numpy" in sys.modules)
"""
