"""`record()`: what a gateway posts is stored once, refused with a reason, and never a fault."""

import json
import logging

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateways.models import Gateway
from gateways.record import REASONS
from gateways.services import MAX_STRANGERS, blacklist, whitelist
from gateways.signature import sign
from ruuvinet.lib.mac import Mac
from sensors.models import Latest, Measurement, Sensor, SparseMeasurement
from sensors.partitions import WEEK_S
from sensors.services import claim_sensor
from tests.gateways.conftest import (
    ADDRESS,
    AIR,
    DF5,
    DF6,
    E1,
    FOREIGN,
    GATEWAY,
    KEY,
    NOW,
    OTHER_GATEWAY,
    OTHER_KEY,
    TAG,
    Sender,
    at,
    body_of,
    golden,
    tag,
    tags,
)

pytestmark = pytest.mark.django_db

SIGNATURES = {
    "raw": "e3680e1f74018231c969fddfbe3fc38777d28df09d54422a35b92b8b1db86e30",
    "raw_and_decoded": "eddd548e562e3f40840acad9ebb8431d603c9be4deb7aeba66a9aca5c43e3c6d",
    "decoded_only": "2a96db830d3ae0cd26080bab653d526d529a61fa0d380866babbfe964fe6a2c7",
    "no_timestamps": "a998a84677279f13753e772f96907b5e26124c52095ab4f60dae1252755da4d5",
    "check": "e9a1c2eb670b25adfc4d8ef7f2b2083c02651a28e664405a2f51804b47186e45",
}


def refusal_of(reason):
    return {
        "result": "error",
        "error": f"Unauthorized request. {REASONS[reason]}",
        "code": "ER_UNAUTHORIZED",
    }


WEEK_START = 1775088000  # a partition begins here, Unix seconds
TAG_MAC, AIR_MAC = Mac.parse(TAG), Mac.parse(AIR)
# What the bodies `raw` and `raw_and_decoded` say: sensor, time, gateway, RSSI, advertisement.
HEARD_TAG = (TAG_MAC, 1775069469, GATEWAY, -70, bytes.fromhex(DF5))
HEARD_AIR = (AIR_MAC, 1775069464, GATEWAY, -77, bytes.fromhex(E1))


def in_slots(heard, interval_s):
    sensor, measured_at, *rest = heard
    return (sensor, measured_at // interval_s * interval_s, measured_at, *rest)


class TestGoldenBodies:
    """Bodies byte for byte as firmware sends them, with the signatures it sends along."""

    @pytest.mark.parametrize("name", SIGNATURES)
    def test_signature_of_the_firmware_is_ours(self, name):
        assert sign(golden(name), KEY) == SIGNATURES[name]

    @pytest.mark.parametrize("name", SIGNATURES)
    def test_body_is_accepted(self, name, gateway):
        reply = gateway.send(golden(name), signature=SIGNATURES[name])

        assert (reply.status, json.loads(reply.body)) == (200, {"result": "success"})

    @pytest.mark.storage
    @pytest.mark.parametrize("name", ["raw", "raw_and_decoded"])
    def test_advertisements_are_stored_as_received(self, name, gateway, stored):
        gateway.send(golden(name), signature=SIGNATURES[name])

        heard = [HEARD_TAG, HEARD_AIR]
        assert stored() == (
            [in_slots(one, 60) for one in heard],
            [in_slots(one, 900) for one in heard],
            [(*HEARD_TAG, 5), (*HEARD_AIR, 0xE1)],
        )

    def test_body_without_timestamps_gets_the_time_of_reception(self, gateway, stored):
        gateway.send(golden("no_timestamps"), signature=SIGNATURES["no_timestamps"])

        heard = (TAG_MAC, NOW, GATEWAY, -70, bytes.fromhex(DF5))
        assert stored() == ([in_slots(heard, 60)], [in_slots(heard, 900)], [(*heard, 5)])

    def test_body_without_records_stores_nothing(self, gateway, stored):
        gateway.send(golden("check"), signature=SIGNATURES["check"])

        assert stored() == ([], [], [])

    @pytest.mark.parametrize("name", ["decoded_only", "check"])
    def test_body_without_advertisements_holds_nothing_bad(self, name, gateway):
        gateway.send(golden(name), signature=SIGNATURES[name])

        assert gateway.row().bad_tags == 0

    @pytest.mark.parametrize("name", SIGNATURES)
    def test_gateway_is_noted_as_heard(self, name, gateway):
        gateway.send(golden(name), signature=SIGNATURES[name])

        row = gateway.row()
        assert row.first_seen_at == row.connected_at == row.last_seen_at == at(NOW)
        assert row.last_address == ADDRESS
        assert (row.clock_offset_s, row.bad_tags, row.late_readings) == (None, 0, 0)
        assert (row.rejected_at, row.rejection) == (None, "")


class TestTheSameAgain:
    @pytest.mark.storage
    def test_body_sent_again_changes_nothing(self, gateway, stored):
        gateway.send(golden("raw"))
        before = stored()

        assert gateway.send(golden("raw")).status == 200
        assert stored() == before

    @pytest.mark.parametrize("later_s", [1, 60, 3600, 86400])
    def test_body_sent_again_later_changes_nothing(self, later_s, gateway, stored):
        gateway.send(golden("raw"))
        before = stored()

        assert gateway.send(golden("raw"), now=NOW + later_s).status == 200
        assert stored() == before

    def test_same_readings_from_another_gateway_change_nothing(
        self, gateway, other_gateway, stored
    ):
        gateway.send(golden("raw"))
        before = stored()

        theirs = golden("raw").replace(str(GATEWAY).encode(), str(OTHER_GATEWAY).encode())
        assert other_gateway.send(theirs, now=NOW + 1).status == 200
        assert stored() == before

    def test_readings_in_any_order_of_bodies_leave_the_same_latest(self, gateway, stored):
        bodies = [body_of({TAG: tag(timestamp=NOW - s)}, timestamp=NOW) for s in (30, 10, 20)]
        for body in bodies:
            gateway.send(body)
        for body in reversed(bodies):
            gateway.send(body)

        assert Latest.objects.get(sensor=TAG).measured_at == NOW - 10

    def test_first_accepted_stays_while_last_accepted_moves(self, gateway):
        gateway.post({})
        gateway.post({}, now=NOW + 60, address="2001:db8::7")

        row = gateway.row()
        assert (row.connected_at, row.last_seen_at) == (at(NOW), at(NOW + 60))
        assert row.last_address == "2001:db8::7"


class TestShapesOfEveryFirmware:
    def test_digit_strings_are_timestamps(self, gateway):
        gateway.post({TAG: tag(timestamp=str(NOW - 9))}, timestamp=str(NOW), nonce="17")

        assert Latest.objects.get().measured_at == NOW - 9
        assert gateway.row().clock_offset_s is None

    def test_digit_string_of_a_wrong_clock_is_understood(self, gateway):
        gateway.post({}, timestamp=str(NOW + 7200))

        assert gateway.row().clock_offset_s == 7200

    @pytest.mark.parametrize(
        "radio",
        [
            {"ble_tx_power": 4294967288},
            {"ble_tx_power": -8},
            {"ble_tx_power": None},
            {"ble_phy": "Coded", "ble_chan": 36},
            {"ble_phy": 7, "ble_chan": "everywhere"},
            {"counter": "1011"},
            {"counter": -1},
        ],
        ids=str,
    )
    def test_radio_details_are_ignored(self, radio, gateway):
        gateway.post({TAG: tag(**radio)})

        assert Latest.objects.get().measured_at == NOW - 6

    def test_decoded_values_beside_the_advertisement_are_ignored(self, gateway):
        gateway.post({TAG: tag(dataFormat=6, temperature="hot", **{"PM2.5": [1]})})

        assert Latest.objects.get().data_format == 5

    @pytest.mark.parametrize("where", ["top", "data", "tag"])
    @pytest.mark.parametrize("value", [None, {"a": [1, {}]}, "x" * 1000, 10**30], ids=repr)
    def test_unknown_keys_are_ignored(self, where, value, gateway):
        body = {"data": {"gw_mac": str(GATEWAY), "timestamp": NOW, "tags": {TAG: tag()}}}
        place = {"top": body, "data": body["data"], "tag": body["data"]["tags"][TAG]}[where]
        place["news from 2031"] = value

        assert gateway.send(json.dumps(body).encode()).status == 200
        assert Latest.objects.get().measured_at == NOW - 6

    @pytest.mark.parametrize("missing", ["nonce", "timestamp", "coordinates"])
    def test_only_the_mac_and_the_tags_are_needed(self, missing, gateway):
        data = {"nonce": 1, "timestamp": NOW, "coordinates": "", "tags": {TAG: tag()}}
        del data[missing]
        data["gw_mac"] = str(GATEWAY)

        assert gateway.send(json.dumps({"data": data}).encode()).status == 200
        assert Latest.objects.get().measured_at == NOW - 6

    @pytest.mark.parametrize("spelling", [str(GATEWAY).lower(), str(GATEWAY).replace(":", "-")])
    def test_gateway_may_spell_its_mac_otherwise(self, spelling, gateway):
        assert gateway.send(body_of({}, gw_mac=spelling)).status == 200
        assert gateway.row().last_seen_at == at(NOW)

    def test_lower_case_hex_is_read(self, gateway):
        gateway.post({TAG: tag(DF5.lower())})

        assert bytes(Latest.objects.get().payload) == bytes.fromhex(DF5)


YEAR_55000 = NOW * 1000  # what milliseconds look like when they are read as seconds
FUTURE = NOW + 301


class TestClocks:
    """`NOW` lies six days into a week: yesterday's partition is open, older weeks are closed."""

    @pytest.mark.parametrize(
        ("body_s", "tag_s", "stored_s", "offset_s"),
        [
            pytest.param(0, 0, 0, None, id="right"),
            pytest.param(None, None, 0, None, id="no clock at all"),
            pytest.param(None, -6, -6, None, id="only the tag has a time"),
            pytest.param(0, None, 0, None, id="only the body has a time"),
            pytest.param(300, 300, 300, None, id="five minutes ahead"),
            pytest.param(301, 301, 0, 301, id="more than five minutes ahead"),
            pytest.param(301, -6, -6, 301, id="clock ahead, reading possible"),
            pytest.param(0, 301, 0, None, id="only the reading is ahead"),
            pytest.param(-86400, -86400, -86400, None, id="a day behind"),
            pytest.param(-86401, -86401, -86401, -86401, id="behind, reading still possible"),
            pytest.param(-7 * 86400, -7 * 86400, 0, -7 * 86400, id="a week behind"),
            pytest.param(-NOW, -NOW, 0, -NOW, id="1970"),
            pytest.param(YEAR_55000 - NOW, YEAR_55000 - NOW, 0, YEAR_55000 - NOW, id="year 58000"),
            pytest.param(0, YEAR_55000 - NOW, 0, None, id="milliseconds in the tag"),
            pytest.param(10**30, 10**30, 0, 2**62, id="beyond any calendar"),
            pytest.param(-(10**30), -(10**30), 0, -(2**62), id="before any calendar"),
        ],
    )
    def test_time_of_a_reading(self, body_s, tag_s, stored_s, offset_s, gateway):
        def shifted(offset):
            return None if offset is None else NOW + offset

        reply = gateway.post({TAG: tag(timestamp=shifted(tag_s))}, timestamp=shifted(body_s))

        assert reply.status == 200
        assert Latest.objects.get().measured_at == NOW + stored_s
        assert Measurement.objects.get().measured_at == NOW + stored_s
        assert gateway.row().clock_offset_s == offset_s
        assert gateway.row().late_readings == 0

    @pytest.mark.storage
    @pytest.mark.parametrize(
        ("received_at", "measured_at", "kept"),
        [
            pytest.param(WEEK_START + 3600, WEEK_START - 2 * 86400, True, id="last week, open yet"),
            pytest.param(WEEK_START + 86399, WEEK_START - WEEK_S, True, id="its first second"),
            pytest.param(WEEK_START + 86399, WEEK_START - WEEK_S - 1, False, id="the week before"),
            pytest.param(WEEK_START + 86400, WEEK_START - 1, False, id="last week, just closed"),
            pytest.param(WEEK_START + 86400, WEEK_START, True, id="this week"),
            pytest.param(WEEK_START + 90000, WEEK_START - 82800, False, id="two days old"),
        ],
    )
    def test_reading_is_stored_while_its_partition_is_open(
        self, received_at, measured_at, kept, gateway
    ):
        reply = gateway.post({TAG: tag(timestamp=measured_at)}, now=received_at)

        assert reply.status == 200
        assert gateway.row().late_readings == (0 if kept else 1)
        found = list(Measurement.objects.values_list("measured_at", flat=True))
        assert found == ([measured_at] if kept else [])

    def test_old_reading_costs_its_neighbours_nothing(self, gateway):
        gateway.post({TAG: tag(timestamp=NOW - 30 * 86400), AIR: tag(E1)})

        assert Latest.objects.get().sensor == AIR_MAC
        assert gateway.row().late_readings == 1

    def test_late_readings_are_added_up(self, gateway):
        for _ in range(2):
            gateway.post({TAG: tag(timestamp=1), AIR: tag(E1, timestamp=1)})

        assert gateway.row().late_readings == 4

    @pytest.mark.parametrize("timestamp", [NOW + 60, str(NOW + 60), None])
    def test_gateway_row_forgets_a_clock_that_is_right_again(self, timestamp, gateway):
        gateway.post({}, timestamp=FUTURE)
        assert gateway.row().clock_offset_s == 301

        gateway.post({}, timestamp=timestamp, now=NOW + 60)
        assert gateway.row().clock_offset_s is None

    @pytest.mark.parametrize("timestamp", ["soon", 1.5, True, [], {}, "", "-1", "١٢٣"], ids=repr)
    def test_unreadable_time_of_the_body_says_nothing_about_the_clock(self, timestamp, gateway):
        assert gateway.post({TAG: tag()}, timestamp=timestamp).status == 200
        assert Latest.objects.get().measured_at == NOW - 6
        assert gateway.row().clock_offset_s is None


class TestThinning:
    SLOT, QUARTER = NOW // 60 * 60, NOW // 900 * 900

    @pytest.mark.storage
    def test_second_reading_of_a_minute_is_only_the_latest(self, gateway, other_gateway):
        gateway.post({TAG: tag(timestamp=self.SLOT, rssi=-60)})
        other_gateway.post({TAG: tag(timestamp=self.SLOT + 14, rssi=-50)})

        for model in (Measurement, SparseMeasurement):
            row = model.objects.get()
            assert (row.measured_at, row.rssi_dbm, row.gateway) == (self.SLOT, -60, GATEWAY)
        latest = Latest.objects.get()
        assert (latest.measured_at, latest.rssi_dbm) == (self.SLOT + 14, -50)
        assert latest.gateway == OTHER_GATEWAY

    def test_older_reading_never_replaces_the_latest(self, gateway):
        gateway.post({TAG: tag(timestamp=NOW, rssi=-50)})
        gateway.post({TAG: tag(timestamp=NOW - 120, rssi=-60)})

        latest = Latest.objects.get()
        assert (latest.measured_at, latest.rssi_dbm) == (NOW, -50)

    def test_older_reading_of_another_minute_joins_the_history(self, gateway):
        gateway.post({TAG: tag(timestamp=NOW)})
        gateway.post({TAG: tag(timestamp=NOW - 120)})

        times = Measurement.objects.order_by("slot").values_list("measured_at", flat=True)
        assert list(times) == [NOW - 120, NOW]

    @pytest.mark.parametrize(
        ("second", "dense", "sparse"),
        [
            (0, 0, 0),
            (59, 0, 0),
            (60, 60, 0),
            (899, 840, 0),
            (900, 900, 900),
        ],
    )
    def test_slots_begin_with_the_minute_and_the_quarter(self, second, dense, sparse, gateway):
        start = self.QUARTER - 900
        gateway.post({TAG: tag(timestamp=start + second)})

        assert Measurement.objects.get().slot == start + dense
        assert SparseMeasurement.objects.get().slot == start + sparse

    @pytest.mark.parametrize("newer_first", [True, False])
    def test_two_spellings_of_a_mac_are_one_sensor(self, newer_first, gateway):
        spellings = {TAG.lower(): tag(timestamp=NOW - 5), TAG: tag(timestamp=NOW - 4)}
        if newer_first:
            spellings = dict(reversed(spellings.items()))

        assert gateway.post(spellings).status == 200
        assert Latest.objects.get().measured_at == NOW - 4
        assert Measurement.objects.get().measured_at == NOW - 4


BAD_TAGS = {
    "odd hex": tag(DF5[:-1]),
    "no hex": tag("ZZ" + DF5),
    "spaced hex": tag("02 01 06"),
    "wide digits": tag("０２０１０６"),  # noqa: RUF001  # that is the point
    "NUL in hex": tag("\0\0"),
    "advertisement too long": tag("00" * 1025),
    "advertisement a number": tag(5),
    "RSSI too high": tag(rssi=128),
    "RSSI too low": tag(rssi=-129),
    "RSSI enormous": tag(rssi=10**30),
    "RSSI a text": tag(rssi="-70"),
    "RSSI a fraction": tag(rssi=-70.5),
    "RSSI null": tag(rssi=None),
    "RSSI true": tag(rssi=True),
    "RSSI missing": {"timestamp": NOW, "data": DF5},
    "time a word": tag(timestamp="noon"),
    "time a fraction": tag(timestamp=NOW + 0.5),
    "time true": tag(timestamp=True),
    "time a list": tag(timestamp=[NOW]),
    "time empty": tag(timestamp=""),
    "time negative text": tag(timestamp="-5"),
    "time of many digits": tag(timestamp="9" * 21),
    "null": None,
    "a list": [tag()],
    "a text": "tag",
    "a number": -70,
    "empty": {},
}
BAD_MACS = {
    "empty": "",
    "short": "AA:BB:CC:DD:EE",
    "long": "AA:BB:CC:DD:EE:FF:00",
    "bare": "AABBCCDDEEFF",
    "not hex": "AA:BB:CC:DD:EE:FG",
    "dots": "AA.BB.CC.DD.EE.FF",
    "space before": " AA:BB:CC:DD:EE:FF",
    "line feed behind": "AA:BB:CC:DD:EE:FF\n",
    "NUL behind": "AA:BB:CC:DD:EE:FF\0",
    "wide digits": "ＡＡ:BB:CC:DD:EE:FF",  # noqa: RUF001  # that is the point
}


class TestOneBadTagAmongGoodOnes:
    @pytest.mark.parametrize("bad", BAD_TAGS.values(), ids=BAD_TAGS)
    def test_it_is_counted_and_its_neighbours_are_stored(self, bad, gateway):
        good = "AA:00:00:00:00:01"
        reply = gateway.post({good: tag(), TAG: bad, AIR: tag(E1)})

        assert reply.status == 200
        heard = Latest.objects.order_by("sensor").values_list("sensor", flat=True)
        assert list(heard) == [Mac.parse(good), AIR_MAC]
        assert gateway.row().bad_tags == 1

    @pytest.mark.parametrize("mac", BAD_MACS.values(), ids=BAD_MACS)
    def test_bad_mac_is_counted_and_its_neighbours_are_stored(self, mac, gateway):
        reply = gateway.post({mac: tag(), TAG: tag()})

        assert reply.status == 200
        assert Latest.objects.get().sensor == TAG_MAC
        assert gateway.row().bad_tags == 1

    def test_bad_tags_are_added_up(self, gateway):
        gateway.post(dict.fromkeys(BAD_MACS.values(), tag()))
        gateway.post({TAG: None})

        assert gateway.row().bad_tags == len(BAD_MACS) + 1

    @pytest.mark.parametrize("rssi", [-128, 0, 127])
    def test_rssi_of_a_signed_byte_is_good(self, rssi, gateway):
        gateway.post({TAG: tag(rssi=rssi)})

        assert Latest.objects.get().rssi_dbm == rssi

    def test_longest_advertisement_is_good(self, gateway):
        gateway.post({TAG: tag(DF5 + "00" * (1024 - len(DF5) // 2))})

        assert len(Latest.objects.get().payload) == 1024

    @pytest.mark.parametrize("mac", ["00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF"])
    @pytest.mark.storage
    def test_any_six_bytes_are_a_mac(self, mac, gateway):
        gateway.post({mac: tag()})

        assert str(Latest.objects.get().sensor) == mac

    def test_thousand_tags_are_stored(self, gateway):
        assert gateway.post(tags(1000)).status == 200
        assert Latest.objects.count() == 1000


class TestFormats:
    def test_unknown_format_of_a_passer_by_is_not_stored(self, gateway, stored):
        assert gateway.post({TAG: tag(FOREIGN)}).status == 200
        assert stored() == ([], [], [])
        assert gateway.row().bad_tags == 0

    def test_unknown_format_of_a_claimed_sensor_is_stored(self, gateway, alice):
        claim_sensor(user=alice, mac=TAG_MAC)
        gateway.post({TAG: tag(FOREIGN), AIR: tag(FOREIGN)})

        latest = Latest.objects.get()
        assert (latest.sensor, latest.data_format) == (TAG_MAC, None)
        assert bytes(Measurement.objects.get().payload) == bytes.fromhex(FOREIGN)

    def test_unknown_format_of_a_registered_sensor_is_stored(self, gateway):
        Sensor.objects.create(mac=TAG_MAC)
        gateway.post({TAG: tag(FOREIGN)})

        assert Latest.objects.get().sensor == TAG_MAC

    def test_format_6_alone_is_stored(self, gateway):
        gateway.post({AIR: tag(DF6)})

        assert Latest.objects.get().data_format == 6

    @pytest.mark.parametrize("later_s", [1, 60, 300])
    def test_format_6_beside_the_extended_one_is_not_stored(self, later_s, gateway, stored):
        gateway.post({AIR: tag(E1, timestamp=NOW)})
        before = stored()

        gateway.post({AIR: tag(DF6, timestamp=NOW + later_s)}, now=NOW + later_s)
        assert stored() == before

    def test_format_6_is_stored_once_the_extended_one_has_gone(self, gateway):
        gateway.post({AIR: tag(E1, timestamp=NOW)})
        gateway.post({AIR: tag(DF6, timestamp=NOW + 301)}, now=NOW + 301)

        assert Latest.objects.get().data_format == 6
        assert Measurement.objects.count() == 2

    def test_format_6_beside_the_extended_one_of_another_sensor_is_stored(self, gateway):
        gateway.post({AIR: tag(E1), TAG: tag(DF6)})

        assert Latest.objects.get(sensor=TAG).data_format == 6


def blacklisted(sender):
    whitelist(mac=sender.mac, secret=sender.key, at=at(NOW - 60))
    blacklist(mac=sender.mac, at=at(NOW - 30))


class TestRejections:
    def test_unknown_gateway_is_refused_and_remembered(self, stranger, stored):
        reply = stranger.send(golden("raw"))

        assert (reply.status, json.loads(reply.body)) == (403, refusal_of("unknown"))
        assert stored() == ([], [], [])
        row = stranger.row()
        assert (row.rejection, row.rejected_address) == ("unknown", ADDRESS)
        assert row.first_seen_at == row.rejected_at == at(NOW)
        assert row.connected_at is row.last_seen_at is None
        assert row.state() == Gateway.State.WAITING

    def test_waiting_gateway_is_refused_again(self, stranger):
        stranger.send(golden("raw"))

        assert stranger.send(golden("raw"), now=NOW + 3600).status == 403
        row = stranger.row()
        assert (row.first_seen_at, row.rejected_at) == (at(NOW), at(NOW + 3600))

    def test_blacklisted_gateway_is_refused(self, stranger, stored):
        blacklisted(stranger)

        reply = stranger.send(golden("raw"))
        assert (reply.status, json.loads(reply.body)) == (403, refusal_of("unknown"))
        assert stored() == ([], [], [])
        row = stranger.row()
        assert (row.rejection, row.rejected_at) == ("unknown", at(NOW))
        assert row.state() == Gateway.State.BLACKLISTED

    @pytest.mark.parametrize(
        ("signature", "reason"),
        [
            pytest.param("", "unsigned", id="none"),
            pytest.param("0" * 64, "signature", id="zeros"),
            pytest.param(SIGNATURES["check"], "signature", id="of another body"),
            pytest.param(sign(golden("raw"), OTHER_KEY), "signature", id="of another key"),
            pytest.param(sign(golden("raw"), ""), "signature", id="of an empty key"),
            pytest.param(SIGNATURES["raw"][:-1], "signature", id="cut short"),
            pytest.param(SIGNATURES["raw"] + "0", "signature", id="too long"),
            pytest.param("é" * 64, "signature", id="not ASCII"),
            pytest.param("\ud800", "signature", id="a lone surrogate"),
            pytest.param("\0", "signature", id="NUL"),
        ],
    )
    def test_wrong_signature_is_refused_and_noted(self, signature, reason, gateway, stored):
        reply = gateway.send(golden("raw"), signature=signature)

        assert (reply.status, json.loads(reply.body)) == (403, refusal_of(reason))
        assert stored() == ([], [], [])
        row = gateway.row()
        assert (row.rejection, row.rejected_at) == (reason, at(NOW))
        assert row.rejected_address == ADDRESS

    @pytest.mark.parametrize("spell", [str.upper, lambda text: f" {text} "], ids=["upper", "space"])
    def test_spelling_of_a_signature_does_not_matter(self, spell, gateway):
        reply = gateway.send(golden("raw"), signature=spell(SIGNATURES["raw"]))

        assert reply.status == 200

    def test_body_in_the_name_of_another_gateway_is_refused(self, gateway, other_gateway):
        body = body_of({TAG: tag()}, gw_mac=str(OTHER_GATEWAY))

        assert gateway.send(body).status == 403
        assert other_gateway.row().rejection == "signature"
        assert gateway.row().rejection == ""
        assert not Latest.objects.exists()

    def test_one_changed_byte_breaks_the_signature(self, gateway):
        changed = golden("raw").replace(b"-70", b"-71")

        assert gateway.send(changed, signature=SIGNATURES["raw"]).status == 403

    def test_gateway_with_an_empty_secret_is_refused(self, stranger):
        """Not reachable by any verb; a restored or edited row must not open the door."""
        Gateway.objects.create(mac=stranger.mac, whitelisted_at=at(NOW))

        assert stranger.send(golden("raw"), signature=sign(golden("raw"), "")).status == 403

    def test_rejection_leaves_the_last_accepted_post_alone(self, gateway):
        gateway.send(golden("raw"))
        gateway.send(golden("raw"), signature="0" * 64, now=NOW + 60, address="198.51.100.9")

        row = gateway.row()
        assert (row.last_seen_at, row.last_address) == (at(NOW), ADDRESS)
        assert (row.rejected_at, row.rejected_address) == (at(NOW + 60), "198.51.100.9")

    def test_wrong_key_after_whitelisting_is_noted_at_once(self, stranger):
        stranger.post({})
        whitelist(mac=GATEWAY, secret="mistyped", at=at(NOW + 1))
        stranger.post({}, now=NOW + 2)

        assert stranger.row().rejection == Gateway.Rejection.SIGNATURE

    @pytest.mark.parametrize(("later_s", "noted_s"), [(1, 0), (59, 0), (60, 60), (61, 61)])
    def test_rejection_is_noted_once_a_minute(self, later_s, noted_s, gateway):
        gateway.send(golden("raw"), signature="")
        gateway.send(golden("raw"), signature="0", now=NOW + later_s, address="198.51.100.9")

        row = gateway.row()
        assert row.rejected_at == at(NOW + noted_s)
        assert row.rejection == ("signature" if noted_s else "unsigned")
        assert row.rejected_address == ("198.51.100.9" if noted_s else ADDRESS)

    def test_unknown_address_is_noted_as_none(self, stranger):
        assert stranger.send(golden("raw"), address="").status == 403
        assert stranger.row().rejected_address is None

    def test_gateway_accepted_from_an_unknown_address_has_none(self, gateway):
        assert gateway.send(golden("raw"), address="").status == 200
        assert gateway.row().last_address is None

    def test_gateway_is_heard_at_once_when_it_is_whitelisted(self, stranger):
        stranger.send(golden("raw"))
        whitelist(mac=stranger.mac, secret=stranger.key, at=at(NOW + 1))

        assert stranger.send(golden("raw"), now=NOW + 2).status == 200
        row = stranger.row()
        assert (row.first_seen_at, row.connected_at) == (at(NOW), at(NOW + 2))


class TestStrangers:
    @pytest.fixture
    def crowd(self):
        """As many strangers as are remembered; the first one is the oldest."""
        macs = [Mac(number) for number in range(1, MAX_STRANGERS + 1)]
        Gateway.objects.bulk_create(
            Gateway(mac=mac, first_seen_at=at(seen), rejected_at=at(seen), rejection="unknown")
            for mac, seen in zip(macs, range(NOW - MAX_STRANGERS, NOW), strict=True)
        )
        return macs

    @pytest.mark.storage
    def test_oldest_stranger_goes_for_the_newest(self, crowd, stranger):
        stranger.send(golden("raw"))

        assert Gateway.objects.strangers().count() == MAX_STRANGERS
        assert not Gateway.objects.filter(mac=crowd[0]).exists()
        assert Gateway.objects.filter(mac__in=[crowd[1], stranger.mac]).count() == 2

    def test_gateways_about_which_somebody_decided_stay(self, crowd, stranger):
        blacklist(mac=crowd[0], at=at(NOW))
        whitelist(mac=crowd[1], secret="secret", at=at(NOW))
        for number in range(3):
            Sender(Mac(stranger.mac + number), KEY).send(
                body_of({}, gw_mac=str(Mac(stranger.mac + number)))
            )

        assert Gateway.objects.strangers().count() == MAX_STRANGERS
        assert Gateway.objects.filter(mac__in=crowd[:2]).count() == 2
        assert not Gateway.objects.filter(mac=crowd[2]).exists()

    def test_stranger_that_knocks_again_is_not_the_oldest(self, crowd, stranger):
        Sender(crowd[0], KEY).send(body_of({}, gw_mac=str(crowd[0])))
        stranger.send(golden("raw"))

        assert Gateway.objects.filter(mac=crowd[0]).exists()
        assert not Gateway.objects.filter(mac=crowd[1]).exists()


class TestRate:
    @pytest.mark.parametrize(
        ("body", "signature", "status"),
        [
            pytest.param(golden("raw"), SIGNATURES["raw"], 200, id="accepted"),
            pytest.param(golden("raw"), "0" * 64, 403, id="refused"),
            pytest.param(b"{", "0" * 64, 400, id="unreadable"),
        ],
    )
    def test_every_answer_sets_the_period(self, body, signature, status, gateway, settings):
        settings.GATEWAY_RATE_S = 77
        reply = gateway.send(body, signature=signature)

        assert (reply.status, reply.headers) == (status, {"X-Ruuvi-Gateway-Rate": "77"})


class TestSecret:
    @pytest.mark.storage
    def test_secret_is_encrypted_at_rest(self, gateway):
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM gateways_gateway")
            (raw,) = cursor.fetchall()

        assert KEY not in repr(raw)
        assert gateway.row().secret == KEY

    def test_secret_is_in_no_log_query_or_answer(self, stranger, caplog):
        with caplog.at_level(logging.DEBUG), CaptureQueriesContext(connection) as queries:
            replies = [stranger.send(golden("raw"))]
            whitelist(mac=stranger.mac, secret=stranger.key, at=at(NOW))
            replies += [
                stranger.send(golden("raw")),
                stranger.send(golden("raw"), signature="0" * 64),
                stranger.send(b"{"),
            ]
            blacklist(mac=stranger.mac, at=at(NOW))

        assert [reply.status for reply in replies] == [403, 200, 403, 400]
        told = caplog.text + repr(replies) + repr(queries.captured_queries)
        assert KEY not in told
        assert sign(golden("raw"), KEY) not in caplog.text + repr(replies)

    def test_blacklisting_forgets_the_secret(self, gateway):
        blacklist(mac=gateway.mac, at=at(NOW))

        assert gateway.row().secret == ""


class TestCost:
    """Savepoints of the test's own transaction are counted too."""

    @pytest.mark.storage
    @pytest.mark.parametrize("count", [1, 50, 500])
    def test_queries_do_not_grow_with_the_tags(self, count, gateway, django_assert_num_queries):
        body = body_of(tags(count), timestamp=NOW)

        # PostgreSQL's four statements go past Django, in one pipeline.
        with django_assert_num_queries(5 if settings.EMBEDDED_DATABASE else 4):
            assert gateway.send(body).status == 200

    @pytest.mark.parametrize("count", [1, 50])
    def test_queries_do_not_grow_with_odd_formats(self, count, gateway, django_assert_num_queries):
        heard = tags(2 * count)
        for number, one in enumerate(heard.values()):
            one["data"] = DF6 if number % 2 else FOREIGN
        Sensor.objects.bulk_create(Sensor(mac=Mac.parse(mac)) for mac in heard)

        with django_assert_num_queries(7 if settings.EMBEDDED_DATABASE else 6):
            gateway.post(heard)

    def test_refusal_costs_little(self, gateway, django_assert_num_queries):
        gateway.send(golden("raw"), signature="0")

        with django_assert_num_queries(4):
            gateway.send(golden("raw"), signature="0")

    def test_sender_of_nonsense_reaches_no_database(self, django_assert_num_queries, stranger):
        with django_assert_num_queries(0):
            stranger.send(b"\0" * 1000)
