"""Records that only come decoded are stored as the advertisement that they came from."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways.decoded import encode
from sensors.decoders import decode_advertisement
from sensors.models import Latest
from tests.gateways.conftest import NOW, TAG, golden

VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "vectors.json").read_text())["vectors"]
LENGTHS = {5: 24, 6: 20, 0xE0: 40, 0xE1: 40, 0xF0: 20}
PREFIXES = {
    5: "0201061BFF9904", 6: "020106030398FC17FF9904", 0xF0: "020106030398FC17FF9904",
    0xE0: "2BFF9904", 0xE1: "2BFF9904",
}  # fmt: skip
# The gateway's names, ours, ours in the gateway's units, and decimals by format: contract 4.4.
FIELDS = [
    ("temperature", "temperature_c", 1, {5: 3, 6: 1, 0xE1: 3, 0xE0: 3, 0xF0: 0}),
    ("humidity", "humidity_pct", 1, {5: 4, 6: 1, 0xE1: 2, 0xE0: 2, 0xF0: 1}),
    ("pressure", "pressure_pa", 1, dict.fromkeys(LENGTHS, 0)),
    ("accelX", "acceleration_x_mg", 1000, {5: 3}),
    ("accelY", "acceleration_y_mg", 1000, {5: 3}),
    ("accelZ", "acceleration_z_mg", 1000, {5: 3}),
    ("movementCounter", "movement_counter", 1, {5: 0}),
    ("voltage", "battery_mv", 1000, {5: 3, 0xE0: 2}),
    ("txPower", "tx_power_dbm", 1, {5: 0}),
    ("PM1.0", "pm1_0_ug_m3", 1, {0xE1: 1, 0xE0: 1, 0xF0: 1}),
    ("PM2.5", "pm2_5_ug_m3", 1, {6: 1, 0xE1: 1, 0xE0: 1, 0xF0: 1}),
    ("PM4.0", "pm4_0_ug_m3", 1, {0xE1: 1, 0xE0: 1, 0xF0: 1}),
    ("PM10.0", "pm10_0_ug_m3", 1, {0xE1: 1, 0xE0: 1, 0xF0: 1}),
    ("CO2", "co2_ppm", 1, dict.fromkeys((6, 0xE1, 0xE0, 0xF0), 0)),
    ("VOC", "voc_index", 1, dict.fromkeys((6, 0xE1, 0xE0, 0xF0), 0)),
    ("NOx", "nox_index", 1, dict.fromkeys((6, 0xE1, 0xE0, 0xF0), 0)),
    ("luminosity", "luminosity_lx", 1, dict.fromkeys((6, 0xE1, 0xE0, 0xF0), 0)),
    ("sound_inst_dba", "sound_instant_dba", 1, {0xE1: 1}),
    ("sound_avg_dba", "sound_average_dba", 1, dict.fromkeys((6, 0xE1, 0xE0, 0xF0), 1)),
    ("sound_peak_spl_db", "sound_peak_db_spl", 1, {0xE1: 1, 0xE0: 1}),
    ("measurementSequenceNumber", "sequence", 1, dict.fromkeys(LENGTHS, 0)),
    ("flag_calibration_in_progress", "calibration_in_progress", 1,
     dict.fromkeys((6, 0xE1, 0xE0, 0xF0))),
    ("flag_button_pressed", "button_pressed", 1, dict.fromkeys((6, 0xE1))),
    ("flag_rtc_running_on_boot", "rtc_running_on_boot", 1, dict.fromkeys((6, 0xE1))),
    ("flag_usb_on", "usb_on", 1, dict.fromkeys((0xE0, 0xF0))),
    ("flag_low_battery", "low_battery", 1, dict.fromkeys((0xE0, 0xF0))),
    ("flag_boost_mode", "boost_mode", 1, dict.fromkeys((0xE0, 0xF0))),
]  # fmt: skip
# What the firmware says in place of null: contract 4.5.
SPOKEN = {
    5: {"movementCounter": 255, "txPower": 31, "measurementSequenceNumber": 65535},
    0xE0: {"measurementSequenceNumber": 65535},
    0xE1: {"measurementSequenceNumber": 16777215},
}


def as_gateway_decodes(advertisement):
    """The decoded fields of a record, as a gateway writes them."""
    reading = decode_advertisement(advertisement)
    number = reading.data_format
    fields = {"dataFormat": number}
    for name, ours, scale, decimals in FIELDS:
        if number not in decimals:
            continue
        value = getattr(reading, ours)
        if value is None:
            value = SPOKEN.get(number, {}).get(name)
        elif not isinstance(value, bool):
            value = round(value / scale, decimals[number])
        fields[name] = value
    mac = reading.mac_suffix if number == 6 else reading.mac
    fields["id"] = str(mac) if mac else "FF:FF:FF" + ("" if number == 6 else ":FF:FF:FF")
    return fields


def advertisement(number, payload):
    after = bytes.fromhex("030398FC") if number in {0xE0, 0xE1} else b""
    return bytes.fromhex(PREFIXES[number]) + bytes([number]) + payload[1:] + after


def payloads(number):
    length = LENGTHS[number]
    extremes = st.sampled_from([b"\x00" * length, b"\xff" * length, b"\x80" * length])
    return st.binary(min_size=length, max_size=length) | extremes


@pytest.mark.parametrize("number", LENGTHS)
def test_what_is_encoded_back_reads_as_the_gateway_said(number):
    @given(payloads(number))
    def claim(payload):
        fields = as_gateway_decodes(advertisement(number, payload))
        assert as_gateway_decodes(encode(json.loads(json.dumps(fields)))) == fields

    claim()


@given(payloads(5))
def test_format_5_comes_back_byte_by_byte(payload):
    heard = advertisement(5, payload)

    assert encode(as_gateway_decodes(heard)) == heard


def published():
    """Advertisements of the vectors that can be read, by name."""
    for vector in VECTORS:
        number, payload = vector["format"], bytes.fromhex(vector["raw_hex"])
        if number in {"5", "6", "E0", "E1", "F0"}:
            is_payload = vector["kind"] == "payload"
            heard = advertisement(int(number, 16), payload) if is_payload else payload
            if decode_advertisement(heard):
                yield pytest.param(heard, id=vector["name"])


@pytest.mark.parametrize("heard", list(published()))
def test_published_vectors_keep_their_values(heard):
    fields = as_gateway_decodes(heard)

    assert as_gateway_decodes(encode(fields)) == fields


@pytest.mark.parametrize("number", [None, 2, 3, 4, 8, 0xC5, "5", [5], 5.5, True])
def test_other_formats_give_nothing(number):
    assert encode({"dataFormat": number}) == b""


@pytest.mark.parametrize("number", LENGTHS)
def test_values_that_are_missing_are_not_available(number):
    reading = decode_advertisement(encode({"dataFormat": number}))

    assert (reading.data_format, reading.temperature_c, reading.humidity_pct) == (
        number, None, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", "26.1"), ("temperature", True), ("pressure", [1]), ("id", 5),
     ("id", "FF:FF:FF"), ("id", "4E B2 72 00 0"), ("humidity", {})],
)  # fmt: skip
def test_odd_values_are_a_bad_record(name, value):
    with pytest.raises(ValueError):  # noqa: PT011
        encode({"dataFormat": 5, name: value})


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e308, -1e308])
def test_values_beyond_all_codes_are_clipped(value):
    assert decode_advertisement(encode({"dataFormat": 5, "temperature": value})).temperature_c in {
        163.835, -163.835,
    }  # fmt: skip


@pytest.mark.django_db
class TestStored:
    def test_the_example_of_a_decoded_body_is_stored(self, gateway):
        assert gateway.send(golden("decoded_only")).status == 200
        latest = Latest.objects.get()
        reading = decode_advertisement(bytes(latest.payload))

        assert (str(latest.sensor), latest.data_format) == ("E1:9D:F3:4E:B2:72", 6)
        assert (reading.temperature_c, reading.co2_ppm, reading.sequence) == (26.1, 806, 5)

    @pytest.mark.parametrize("timed", [True, False])
    def test_raw_and_decoded_bodies_store_the_same(self, timed, gateway, stored):
        for name in ("raw_and_decoded",):
            body = json.loads(golden(name))
            for tag in body["data"]["tags"].values():
                if not timed:
                    tag["counter"] = tag.pop("timestamp")
            gateway.send(json.dumps(body).encode(), now=NOW)
            (raw, _, _) = stored()
            for tag in body["data"]["tags"].values():
                del tag["data"]
            Latest.objects.all().delete()
            gateway.send(json.dumps(body).encode(), now=NOW + 60)
        for row in Latest.objects.all():
            heard = next(one[5] for one in raw if one[0] == row.sensor)
            assert as_gateway_decodes(bytes(row.payload)) == as_gateway_decodes(heard)

    def test_the_advertisement_wins_over_what_was_decoded(self, gateway):
        body = json.loads(golden("raw_and_decoded"))
        for tag in body["data"]["tags"].values():
            tag["temperature"] = -40
        gateway.send(json.dumps(body).encode())

        for row in Latest.objects.all():
            assert decode_advertisement(bytes(row.payload)).temperature_c > 20

    def test_a_bad_decoded_record_is_counted_and_costs_no_other(self, gateway):
        good = json.loads(golden("decoded_only"))["data"]["tags"]["E1:9D:F3:4E:B2:72"]
        gateway.post({TAG: good | {"temperature": "x"}, "E1:9D:F3:4E:B2:72": good})

        assert gateway.row().bad_tags == 1
        assert str(Latest.objects.get().sensor) == "E1:9D:F3:4E:B2:72"

    @pytest.mark.parametrize("power", [8, 4294967288, -8, "x", None])
    def test_the_radio_fields_never_cost_a_record(self, power, gateway):
        good = json.loads(golden("raw"))["data"]["tags"][TAG]
        radio = {"ble_phy": "Coded", "ble_chan": 3, "ble_tx_power": power}
        gateway.post({TAG: good | radio})

        assert str(Latest.objects.get().sensor) == TAG
