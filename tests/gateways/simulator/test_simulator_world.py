from itertools import chain, pairwise

import pytest

from gateways.simulator.radio import Link
from gateways.simulator.world import (
    Kind,
    World,
    freezer_mac,
    gateway_identities,
    sensor_identities,
)
from sensors.decoders import decode_advertisement

START_S = 1_775_069_470.0


def world(seed=1, warm_up_after_s=30):
    return World(seed, started_at_s=START_S, warm_up_after_s=warm_up_after_s)


def first_of(kind, seed=1):
    heard = chain.from_iterable(sensor_identities(seed, 2, 6))
    return next(sensor for sensor in heard if sensor.kind is kind)


def reading_at(sensor, after_s):
    return decode_advertisement(sensor.advertisement(sensor.number_at(START_S + after_s)))


def freezer_c(after_s, warm_up_after_s):
    sensor = world(warm_up_after_s=warm_up_after_s).sensor(first_of(Kind.FREEZER))
    return reading_at(sensor, after_s).temperature_c


def packets(link, until_s=3600):
    found = (link.newest(START_S + s - 10, START_S + s) for s in range(10, until_s, 10))
    return [packet for packet in found if packet is not None]


def test_same_seed_gives_the_same_world():
    a, b = (world().sensor(first_of(Kind.ROOM)) for _ in range(2))
    assert a.advertisement(12_345) == b.advertisement(12_345)
    assert gateway_identities(7, 3) == gateway_identities(7, 3)


def test_another_seed_gives_other_macs_and_keys():
    one, two = gateway_identities(1, 1)[0], gateway_identities(2, 1)[0]
    assert one.mac != two.mac
    assert one.key != two.key


def test_more_gateways_do_not_change_the_first_ones():
    assert gateway_identities(1, 10)[:3] == gateway_identities(1, 3)
    assert sensor_identities(1, 10, 6)[:3] == sensor_identities(1, 3, 6)


def test_a_device_id_is_eight_upper_case_bytes_with_colons():
    key = gateway_identities(1, 1)[0].key
    assert len(bytes.fromhex(key.replace(":", " "))) == 8
    assert key == key.upper()
    assert len(key) == 23


def test_a_given_key_is_every_gateways_key():
    assert {gateway.key for gateway in gateway_identities(1, 3, key="same")} == {"same"}


def test_all_macs_differ_and_are_random_static_addresses():
    gateways = [gateway.mac for gateway in gateway_identities(1, 200)]
    sensors = {s.mac for s in chain.from_iterable(sensor_identities(1, 200, 20))}
    macs = {*gateways, *sensors}
    assert len(macs) == 200 + 200 * 20 - 100  # each of the hundred pairs shares one sensor
    assert all(int(mac[:2], 16) >= 0xC0 for mac in macs)


@pytest.mark.parametrize("sensors", [0, 1, 2, 6, 100])
def test_each_gateway_hears_as_many_sensors_as_asked_for(sensors):
    assert [len(heard) for heard in sensor_identities(1, 4, sensors)] == [sensors] * 4


def test_the_freezer_is_where_freezer_mac_says():
    freezers = [s for s in sensor_identities(9, 3, 1)[0] if s.kind is Kind.FREEZER]
    assert [freezer.mac for freezer in freezers] == [freezer_mac(9)]


def test_neighbours_hear_one_sensor_with_one_payload_and_two_strengths():
    first, second = sensor_identities(1, 2, 6)
    (shared,) = set(first) & set(second)
    links = [Link(world().sensor(shared), gateway.mac) for gateway in gateway_identities(1, 2)]
    near, far = ({packet.sent_at_s: packet for packet in packets(link)} for link in links)
    both = near.keys() & far.keys()
    assert len(both) > 10
    assert all(near[at].data == far[at].data for at in both)
    assert any(near[at].rssi_dbm != far[at].rssi_dbm for at in both)


def test_the_freezer_is_cold_until_the_door_is_left_open():
    assert all(freezer_c(s, warm_up_after_s=60) < -16.5 for s in range(0, 60, 5))


@pytest.mark.parametrize("opened_s", [0, 30, 500])
def test_the_open_freezer_passes_ten_below_within_a_minute(opened_s):
    assert freezer_c(opened_s + 20, opened_s) < -10
    assert freezer_c(opened_s + 60, opened_s) > -10


def test_the_freezer_recovers():
    assert freezer_c(30 + 600, 30) < -10
    assert freezer_c(30 + 3600, 30) < -16.5


def test_the_doors_sensor_is_moved_once_a_minute_and_a_rooms_never():
    door, room = (world().sensor(first_of(kind)) for kind in (Kind.DOOR, Kind.ROOM))
    before, after = (reading_at(door, s).movement_counter for s in (0, 3600))
    assert 58 <= (after - before) % 255 <= 62
    assert len({reading_at(room, s).movement_counter for s in range(0, 3600, 60)}) == 1


def test_the_air_is_an_extended_advertisement():
    sensor = world().sensor(first_of(Kind.AIR))
    heard = packets(Link(sensor, "C8:25:2D:8E:9C:2C"))
    assert {len(packet.data) for packet in heard} == {48}
    assert {packet.ble_phy for packet in heard} == {"2M"}
    assert {packet.ble_chan for packet in heard} <= set(range(37))
    assert {packet.ble_tx_power_dbm for packet in heard} == {8}


def test_the_airs_values_are_believable_and_particles_cumulative():
    readings = [reading_at(world().sensor(first_of(Kind.AIR)), s) for s in range(0, 86_400, 600)]
    assert all(400 <= reading.co2_ppm <= 1500 for reading in readings)
    assert all(r.pm1_0_ug_m3 <= r.pm2_5_ug_m3 <= r.pm10_0_ug_m3 for r in readings)
    assert all(1 <= reading.voc_index <= 500 for reading in readings)


def test_tags_advertise_on_the_three_legacy_channels():
    heard = packets(Link(world().sensor(first_of(Kind.ROOM)), "C8:25:2D:8E:9C:2C"))
    assert {packet.ble_chan for packet in heard} == {37, 38, 39}
    assert {(packet.ble_phy, packet.ble_tx_power_dbm) for packet in heard} == {("1M", None)}


def test_a_packet_was_sent_inside_the_time_listened():
    link = Link(world().sensor(first_of(Kind.ROOM)), "C8:25:2D:8E:9C:2C")
    for end_s in range(10, 600, 10):
        packet = link.newest(START_S + end_s - 10, START_S + end_s)
        assert packet is None or START_S + end_s - 10 <= packet.sent_at_s <= START_S + end_s


def test_sequences_grow_with_each_sample_and_time_goes_along():
    sensor = world().sensor(first_of(Kind.ROOM))
    readings = [reading_at(sensor, s) for s in range(0, 600, 10)]
    steps = [(b.sequence - a.sequence) % 65_535 for a, b in pairwise(readings)]
    assert set(steps) == {7, 8}  # ten seconds of 1.285 s


def test_outdoors_has_days_and_humidity_goes_against_temperature():
    sensor = world().sensor(first_of(Kind.OUTDOOR))
    midnight_s = START_S // 86_400 * 86_400 + 86_400 - START_S
    night, day = (reading_at(sensor, midnight_s + hour * 3600) for hour in (1, 13))
    assert day.temperature_c > night.temperature_c
    assert day.humidity_pct < night.humidity_pct


def test_batteries_fall_slowly():
    sensor = world().sensor(first_of(Kind.ROOM))
    new, old = (reading_at(sensor, days * 86_400).battery_mv for days in (0, 100))
    assert new - old == pytest.approx(80, abs=1)
