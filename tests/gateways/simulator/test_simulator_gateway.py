import json

import pytest

from gateways.simulator.client import Answer
from gateways.simulator.gateway import (
    Gateway,
    Heard,
    build_body,
    key_from_header,
    next_post_at,
    period_from_header,
    request_headers,
    sign,
)
from gateways.simulator.radio import Link
from gateways.simulator.world import World, gateway_identities, sensor_identities

KEY = "40:98:A7:78:58:1A:E1:38"
GATEWAY_MAC = "C8:25:2D:8E:9C:2C"
START_S = 1_775_069_470.0

FIRMWARE_BODY = """\
{
  "data": {
    "coordinates": "60.1699,24.9384",
    "timestamp": 1775069470,
    "nonce": 2636366621,
    "gw_mac": "C8:25:2D:8E:9C:2C",
    "tags": {
      "F4:1F:0C:28:CB:D6": {
        "rssi": -70,
        "timestamp": 1775069469,
        "ble_phy": "1M",
        "ble_chan": 37,
        "data": "0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6"
      },
      "FD:54:6F:6C:52:92": {
        "rssi": -77,
        "timestamp": 1775069464,
        "ble_phy": "2M",
        "ble_chan": 10,
        "ble_tx_power": 8,
        "data": "2BFF9904E114595CB0C6460030003A0041004402364300FFFFFFFFFFFF103B37F8FFFFFFFFFFFD546F6C5292030398FC"
      }
    }
  }
}"""
FIRMWARE_EMPTY_BODY = """\
{
  "data": {
    "coordinates": "",
    "timestamp": 1775069500,
    "nonce": 4023233417,
    "gw_mac": "C8:25:2D:8E:9C:2C",
    "tags": {}
  }
}"""

TAG = Heard(
    mac="F4:1F:0C:28:CB:D6",
    rssi_dbm=-70,
    received_at=1775069469,
    ble_phy="1M",
    ble_chan=37,
    ble_tx_power_dbm=None,
    data=bytes.fromhex("0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6"),
)
AIR = Heard(
    mac="FD:54:6F:6C:52:92",
    rssi_dbm=-77,
    received_at=1775069464,
    ble_phy="2M",
    ble_chan=10,
    ble_tx_power_dbm=8,
    data=bytes.fromhex(
        "2BFF9904E114595CB0C6460030003A0041004402364300FFFFFFFFFFFF103B37F8"
        "FFFFFFFFFFFD546F6C5292030398FC"
    ),
)


def body_of(*heard, coordinates="", timestamp=1775069500, nonce=4023233417):
    return build_body(
        coordinates=coordinates,
        timestamp=timestamp,
        nonce=nonce,
        gw_mac=GATEWAY_MAC,
        heard=heard,
    )


@pytest.fixture
def gateway():
    identity = gateway_identities(1, 1)[0]
    world = World(1, started_at_s=START_S)
    links = [Link(world.sensor(sensor), identity.mac) for sensor in sensor_identities(1, 1, 6)[0]]
    return Gateway(identity, links, nonce=2**32 - 1)


def post_after(gateway, after_s, speed=1):
    """The gateway's post that many real seconds after the start."""
    wall_s = START_S + after_s
    return gateway.next_post(START_S + after_s * speed, wall_now_s=wall_s, speed=speed)


def data_of(post):
    return json.loads(post.body)["data"]


def test_body_with_tags_is_the_firmwares_byte_for_byte():
    body = body_of(TAG, AIR, coordinates="60.1699,24.9384", timestamp=1775069470, nonce=2636366621)
    assert body == FIRMWARE_BODY.encode()
    assert len(body) == 670
    assert sign(body, KEY) == "e3680e1f74018231c969fddfbe3fc38777d28df09d54422a35b92b8b1db86e30"


def test_body_without_tags_is_the_firmwares_byte_for_byte():
    body = body_of()
    assert body == FIRMWARE_EMPTY_BODY.encode()
    assert len(body) == 146
    assert sign(body, KEY) == "e9a1c2eb670b25adfc4d8ef7f2b2083c02651a28e664405a2f51804b47186e45"


def test_negative_transmit_power_appears_unsigned():
    quiet = Heard(TAG.mac, -70, 1775069469, "2M", 10, -8, TAG.data)
    assert b'"ble_tx_power": 4294967288,' in body_of(quiet)


def test_headers_of_a_post():
    assert request_headers(b"{}", KEY) == {
        "User-Agent": "Ruuvi Gateway HTTP Client/1.0",
        "Content-Type": "application/json",
        "Ruuvi-HMAC-SHA256": sign(b"{}", KEY),
    }


def test_first_post_has_no_tags_and_the_second_has(gateway):
    first, second = post_after(gateway, 0), post_after(gateway, 10)
    assert (first.readings, data_of(first)["tags"]) == (0, {})
    assert second.readings == len(data_of(second)["tags"]) > 0


def test_sensors_not_heard_since_the_last_post_are_left_out(gateway):
    post_after(gateway, 0)
    post_after(gateway, 10)
    assert post_after(gateway, 10.01).readings <= 1


def test_nonce_counts_posts_and_wraps_at_32_bits(gateway):
    nonces = [data_of(post_after(gateway, s))["nonce"] for s in (0, 10, 20)]
    assert nonces == [2**32 - 1, 0, 1]


def test_timestamps_are_real_ones_at_any_speed(gateway):
    post_after(gateway, 0, speed=100)
    data = data_of(post_after(gateway, 7, speed=100))
    assert data["timestamp"] == START_S + 7
    assert data["tags"]
    assert all(START_S <= tag["timestamp"] <= START_S + 7 for tag in data["tags"].values())


def test_an_answers_key_signs_the_next_post_even_if_it_refused(gateway):
    gateway.obey(Answer(403, {"ruuvi-hmac-key": "new key"}))
    post = post_after(gateway, 0)
    assert post.headers["Ruuvi-HMAC-SHA256"] == sign(post.body, "new key")


def test_an_answers_rate_is_kept_even_if_it_refused(gateway):
    gateway.obey(Answer(429, {"x-ruuvi-gateway-rate": "60"}))
    gateway.obey(Answer(200))
    assert gateway.period_s == 60


@pytest.mark.parametrize(
    ("header", "period_s"),
    [
        (None, 60),
        ("1", 1),
        ("30", 30),
        ("3600", 3600),
        ("0030", 30),
        ("0", 10),
        ("3601", 10),
        ("99999999999999999999", 10),
        ("-5", 10),
        ("1.5", 10),
        ("soon", 10),
        ("", 10),
        ("٣٠", 10),
    ],
)
def test_rate_header_from_a_period_of_a_minute(header, period_s):
    assert period_from_header(header, 60) == period_s


@pytest.mark.parametrize(
    ("header", "key"),
    [(None, "old"), ("new", "new"), ("k" * 63, "k" * 63), ("k" * 64, "old"), ("", "")],
)
def test_key_header(header, key):
    assert key_from_header(header, "old") == key


@pytest.mark.parametrize(
    ("succeeded", "ended_at_s", "next_at_s"),
    [
        (True, 1000.2, 1060),
        (False, 1000.2, 1067.2),
        (False, 1015, 1082),
        (True, 1070, 1070),  # an answer slower than the period: at once, and only once
    ],
)
def test_next_post_after_one_begun_at_1000_s_with_a_period_of_60_s(
    succeeded, ended_at_s, next_at_s
):
    at_s = next_post_at(started_at_s=1000, ended_at_s=ended_at_s, succeeded=succeeded, period_s=60)
    assert at_s == pytest.approx(next_at_s)
