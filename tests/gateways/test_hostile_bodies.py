"""Whatever bytes come in: an answer that the gateway understands, never a fault."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from gateways.services import whitelist
from ruuvinet.lib.mac import Mac
from sensors.models import Latest
from tests.gateways.conftest import (
    AIR,
    DF5,
    DF6,
    E1,
    FOREIGN,
    GATEWAY,
    KEY,
    NOW,
    TAG,
    Sender,
    at,
    body_of,
    golden,
    tag,
    tags,
)

# The apps take any other code for a broken answer.
ERROR_CODES = {
    "ER_FORBIDDEN",
    "ER_UNAUTHORIZED",
    "ER_INTERNAL",
    "ER_INVALID_FORMAT",
    "ER_USER_NOT_FOUND",
    "ER_SENSOR_NOT_FOUND",
    "ER_TOKEN_EXPIRED",
    "ER_THROTTLED",
    "ER_GATEWAY_NOT_FOUND",
    "ER_GATEWAY_ALREADY_WHITELISTED",
    "ER_GATEWAY_STATUS_REPORT_FAILED",
    "ER_CONFLICT",
    "ER_SUBSCRIPTION_NOT_FOUND",
    "ER_SUBSCRIPTION_CODE_USED",
    "ER_SUBSCRIPTION_CODE_EXISTS",
    "ER_SHARE_COUNT_REACHED",
    "ER_SENSOR_SHARE_COUNT_REACHED",
    "ER_CLAIM_COUNT_REACHED",
    "ER_NO_DATA_TO_SHARE",
    "ER_SENSOR_ALREADY_SHARED",
    "ER_SENSOR_ALREADY_CLAIMED",
    "ER_SENSOR_ALREADY_REGISTERED",
    "ER_UNABLE_TO_SEND_EMAIL",
    "ER_MISSING_ARGUMENT",
    "ER_INVALID_DENSITY_MODE",
    "ER_INVALID_SORT_MODE",
    "ER_INVALID_TIME_RANGE",
    "ER_INVALID_EMAIL_ADDRESS",
    "ER_INVALID_MAC_ADDRESS",
    "ER_INVALID_ENUM_VALUE",
}
DEPTH = 100_000
DEEP = b"[" * DEPTH + b"]" * DEPTH
DEEP_OBJECT = b'{"a":' * DEPTH + b"1" + b"}" * DEPTH


def with_data(json_text: bytes, *, tags: bytes = b"{}", gw_mac: bytes = b"") -> bytes:
    """A body with `json_text` (ending with a comma) inside of `data`."""
    mac = gw_mac or f'"{GATEWAY}"'.encode()
    return b'{"data": {%s "gw_mac": %s, "tags": %s}}' % (json_text, mac, tags)


def with_tag(json_text: bytes) -> bytes:
    return with_data(b"", tags=b'{"%s": %s}' % (TAG.encode(), json_text))


def with_mac(text: str) -> bytes:
    return body_of({}, gw_mac=text)


UNREADABLE = {
    "empty": b"",
    "space": b" \n",
    "one NUL": b"\0",
    "many NULs": b"\0" * 10_000,
    "words": b"hello",
    "a form": b"data=1&gw_mac=2",
    "XML": b"<data/>",
    "not UTF-8": b'{"data": "\xff\xfe"}',
    "not UTF-8 as MAC": with_data(b"", gw_mac=b'"\xff\xfe"'),
    "overlong UTF-8 as MAC": with_data(b"", gw_mac=b'"\xc0\x80"'),
    "UTF-8 surrogate as MAC": with_data(b"", gw_mac=b'"\xed\xa0\x80"'),
    "UTF-16": golden("raw").decode().encode("utf-16"),
    "BOM": b"\xef\xbb\xbf" + golden("raw"),
    "gzip": b"\x1f\x8b\x08" + golden("raw"),
    "truncated": golden("raw")[:-1],
    "truncated in the middle": golden("raw")[:300],
    "truncated in a text": golden("raw")[:20],
    "two bodies": golden("raw") * 2,
    "something behind": golden("raw") + b"x",
    "NUL behind": golden("raw") + b"\0",
    "comment": b"/* hi */" + golden("raw"),
    "comma at the end": with_data(b"").replace(b"{}}", b"{},}"),
    "single quotes": golden("raw").replace(b'"', b"'"),
    "raw NUL in a text": with_data(b'"x": "\0",'),
    "line feed in a text": with_data(b'"x": "\n",'),
    "NaN": with_data(b'"timestamp": NaN,'),
    "Infinity": with_data(b'"timestamp": Infinity,'),
    "NaN in a tag": with_tag(b'{"rssi": NaN}'),
    "number with a leading zero": with_data(b'"timestamp": 01,'),
    "number in hex": with_data(b'"timestamp": 0x10,'),
    "lone surrogate as MAC": with_data(b"", gw_mac=rb'"\ud800"'),
    "lone surrogate as a key": with_data(rb'"\ud800": 1,'),
    "lone surrogate in a tag": with_tag(rb'{"rssi": -70, "data": "\ud800"}'),
    "deep at the top": DEEP,
    "deep object at the top": DEEP_OBJECT,
    "deep without an end": b"[" * DEPTH,
    "deep beside data": b'{"x": %s, "data": {}}' % DEEP,
    "deep as data": b'{"data": %s}' % DEEP,
    "deep in data": with_data(b'"x": %s,' % DEEP),
    "deep object in data": with_data(b'"x": %s,' % DEEP_OBJECT),
    "deep as timestamp": with_data(b'"timestamp": %s,' % DEEP),
    "deep as MAC": with_data(b"", gw_mac=DEEP),
    "deep as tags": with_data(b"", tags=DEEP_OBJECT),
    "deep as a tag": with_tag(DEEP),
    "deep in a tag": with_tag(b'{"rssi": -70, "data": %s}' % DEEP),
    "deep in an ignored key of a tag": with_tag(b'{"rssi": -70, "x": %s}' % DEEP),
}
WRONG_SHAPE = {
    "null": b"null",
    "number": b"1",
    "text": b'"data"',
    "true": b"true",
    "list": b"[]",
    "body in a list": b"[" + golden("raw") + b"]",
    "empty object": b"{}",
    "other key": b'{"Data": {}}',
    "data null": b'{"data": null}',
    "data a list": b'{"data": []}',
    "data a text": b'{"data": "{}"}',
    "data empty": b'{"data": {}}',
    "data twice, last one wrong": golden("raw")[:-2] + b', "data": 1}',
    "a status": b'{"DEVICE_ADDR": "C8:25:2D:8E:9C:2C", "ESP_FW": "v1.17.0", "NRF_FW": "v2.0.0"}',
    "no MAC": b'{"data": {"tags": {}}}',
    "gwmac": b'{"data": {"gwmac": "C8:25:2D:8E:9C:2C", "tags": {}}}',
    "no tags": b'{"data": {"gw_mac": "C8:25:2D:8E:9C:2C"}}',
    **{
        f"tags {name}": with_data(b"", tags=value)
        for name, value in {
            "null": b"null",
            "list": b"[]",
            "text": b'"{}"',
            "number": b"7",
            "false": b"false",
        }.items()
    },
    **{
        f"MAC {name}": with_data(b"", gw_mac=value)
        for name, value in {
            "null": b"null",
            "a number": b"220026155834412",
            "an enormous number": b"9" * 5000,
            "a list": b'["C8:25:2D:8E:9C:2C"]',
            "an object": b"{}",
            "true": b"true",
        }.items()
    },
    **{
        f"MAC {name}": with_mac(text)
        for name, text in {
            "empty": "",
            "short": "C8:25:2D:8E:9C",
            "long": "C8:25:2D:8E:9C:2C:00",
            "without separators": "C8252D8E9C2C",
            "with dots": "C825.2D8E.9C2C",
            "with spaces": "C8 25 2D 8E 9C 2C",
            "with underscores": "C8_25_2D_8E_9C_2C",
            "with a space before": " C8:25:2D:8E:9C:2C",
            "with a space behind": "C8:25:2D:8E:9C:2C ",
            "with a line feed": "C8:25:2D:8E:9C:2C\n",
            "with NUL": "C8:25:2D:8E:9C:2C\0",
            "of single digits": "C:2:2:8:9:2",
            "of no digits": "GG:GG:GG:GG:GG:GG",
            "of wide digits": "Ｃ８:25:2D:8E:9C:2C",  # noqa: RUF001  # that is the point
            "of Arabic digits": "١٢:25:2D:8E:9C:2C",
            "signed": "+8:25:2D:8E:9C:2C",
            "prefixed": "0xC8:25:2D:8E:9C:2C",
            "of SQL": "'; DROP TABLE gateways_gateway; --",
            "endless": "C8:" * 100_000,
        }.items()
    },
    "1001 tags": body_of(tags(1001)),
    "10,000 tags": body_of(tags(10_000)),
    "10,000 empty tags": body_of(dict.fromkeys(map(str, range(10_000)))),
    "infinite time": with_data(b'"timestamp": 1e400,'),
    "enormous time": with_data(b'"timestamp": %s,' % (b"9" * 5000)),
}
ACCEPTED = {
    "key twice": with_data(b'"gw_mac": 1, "tags": 2,').replace(b'1, "tags": 2', b'"x", "tags": {}'),
    "tag twice": with_data(b"", tags=b'{"AA:00:00:00:00:01": 1, "AA:00:00:00:00:01": 2}'),
    "huge time": with_data(b'"timestamp": %s,' % (b"9" * 300)),
    "huge negative time": with_data(b'"timestamp": -%s,' % (b"9" * 300)),
    "time in small exponents": with_data(b'"timestamp": 1e-400,'),
    "time of wrong type": with_data(b'"timestamp": {"a": [null]},'),
    "nonce of wrong type": with_data(b'"nonce": {"a": [null]},'),
    "huge RSSI": with_tag(b'{"rssi": %s}' % (b"9" * 300)),
    "enormous RSSI": with_tag(b'{"rssi": %s}' % (b"9" * 5000)),
    "huge time in a tag": with_tag(b'{"rssi": -70, "timestamp": %s}' % (b"9" * 5000)),
    "negative zero as RSSI": with_tag(b'{"rssi": -0}'),
    "NUL as a key of tags": with_data(b"", tags=rb'{"\u0000": {"rssi": -70}}'),
    "NUL in coordinates": with_data(rb'"coordinates": "\u0000",'),
    "a thousand bad tags": body_of(dict.fromkeys(map(str, range(1000)))),
    "a long text": with_data(b'"coordinates": "%s",' % (b"x" * 900_000)),
    "a long text in a tag": with_tag(b'{"rssi": -70, "data": "%s"}' % (b"A" * 900_000)),
    "not UTF-8 in an ignored key": with_data(b'"x": "\xff\xfe", "\xc0\x80": 1,'),
    "not UTF-8 in an ignored key of a tag": with_tag(b'{"rssi": -70, "x": "\xff\xfe"}'),
    "space around": b"\n\t " + golden("check") + b" \r\n",
}


@pytest.mark.django_db
@pytest.mark.parametrize("body", (UNREADABLE | WRONG_SHAPE).values(), ids=UNREADABLE | WRONG_SHAPE)
def test_body_that_is_none_is_refused(body, gateway):
    reply = gateway.send(body)

    assert reply.status == 400
    envelope = json.loads(reply.body)
    assert envelope.pop("error").isprintable()
    assert envelope == {"result": "error", "code": "ER_INVALID_FORMAT"}


@pytest.mark.django_db
@pytest.mark.parametrize("body", WRONG_SHAPE.values(), ids=WRONG_SHAPE)
def test_answer_to_a_wrong_shape_is_short(body, gateway):
    """The gateway shows it to the person who set it up, from a buffer of 512 bytes."""
    assert len(gateway.send(body).body) < 400


@pytest.mark.django_db
@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED)
def test_odd_body_of_a_known_gateway_is_accepted(body, gateway):
    reply = gateway.send(body)

    assert (reply.status, json.loads(reply.body)) == (200, {"result": "success"})
    assert gateway.row().last_seen_at == at(NOW)


@pytest.mark.django_db
@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED)
def test_odd_body_of_a_stranger_is_refused(body, stranger):
    assert stranger.send(body).status == 403


any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, 2**64, 10**40])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)
times = (
    st.integers(NOW - 20 * 86400, NOW + 600)
    | st.integers(NOW - 20 * 86400, NOW + 600).map(str)
    | st.integers()
    | any_json
)
macs = st.sampled_from([TAG, TAG.lower(), TAG.replace(":", "-"), AIR]) | st.text(max_size=18)
macs |= st.integers(0, 2**48 - 1).map(lambda number: str(Mac(number)))
advertisements = (
    st.sampled_from([DF5, DF6, E1, FOREIGN]) | st.binary(max_size=60).map(bytes.hex) | any_json
)
heard = st.fixed_dictionaries(
    {"rssi": st.integers(-130, 130) | any_json},
    optional={"timestamp": times, "data": advertisements, "ble_tx_power": any_json},
)
uploads = st.fixed_dictionaries(
    {"gw_mac": st.just(str(GATEWAY)) | any_json},
    optional={
        "timestamp": times,
        "nonce": any_json,
        "coordinates": any_json,
        "tags": st.dictionaries(macs, heard | any_json, max_size=4) | any_json,
    },
)
likely_uploads = st.fixed_dictionaries(
    {
        "gw_mac": st.just(str(GATEWAY)),
        "tags": st.dictionaries(macs, heard | any_json, min_size=1, max_size=4),
    },
    optional={"timestamp": times},
)


class TestAnyBody(TestCase):
    """One transaction for each example."""

    @classmethod
    def setUpTestData(cls):
        whitelist(mac=GATEWAY, secret=KEY, at=at(NOW))

    def send(self, body):
        reply = Sender(GATEWAY, KEY).send(body)
        answer = json.loads(reply.body)
        if reply.status == 200:
            assert answer == {"result": "success"}
        else:
            assert (reply.status, answer["result"]) in [(400, "error"), (403, "error")]
            assert answer["code"] in ERROR_CODES
        return reply

    @settings(max_examples=900, suppress_health_check=[HealthCheck.too_slow])
    @given(uploads | any_json)
    def test_signed_json_never_is_a_fault(self, data):
        self.send(json.dumps({"data": data}).encode())

    @settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
    @given(likely_uploads)
    def test_likely_body_is_accepted_whatever_its_tags(self, data):
        assert self.send(json.dumps({"data": data}).encode("utf-8")).status == 200
        for latest in Latest.objects.all():
            latest.reading()

    @settings(max_examples=500)
    @given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
    def test_signed_bytes_never_are_a_fault(self, body):
        assert self.send(body).status == 400

    @settings(max_examples=500)
    @given(st.data())
    def test_damaged_body_never_is_a_fault(self, data):
        body = bytearray(golden("raw"))
        for _ in range(data.draw(st.integers(1, 3))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        self.send(bytes(body))


@pytest.mark.parametrize(
    "bad",
    [b'"\xff"', b'"\xed\xa0\x80"', b"1e400", b"9" * 5000, b"[" * 900 + b"]" * 900],
)
@pytest.mark.parametrize("field", [b"data", b"timestamp", b"rssi"])
def test_oddest_value_of_a_tag_costs_its_neighbours_nothing(field, bad, gateway):
    good = body_of({AIR: tag(E1), TAG: "bad"})
    reply = gateway.send(good.replace(b'"bad"', b'{"rssi": -70, "%s": %s}' % (field, bad)))

    assert reply.status == 200
    assert Latest.objects.get().sensor == Mac.parse(AIR)
    assert gateway.row().bad_tags == 1
