"""Bad input: the right refusal, never a fault of ours, and nothing is changed."""

import json

import pytest

from ruuvinet.lib.mac import Mac
from sensors.models import Access, PendingShare, Sensor, SensorSetting
from sensors.services import claim_sensor, register_sensor
from tests.sensors.conftest import NOW, PORCH, at, refused

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
MISSING, FORMAT = "ER_MISSING_ARGUMENT", "ER_INVALID_FORMAT"
MAC, EMAIL = "ER_INVALID_MAC_ADDRESS", "ER_INVALID_EMAIL_ADDRESS"

# What each endpoint takes, every field of it good.
GOOD = {
    "/claim": {"sensor": str(Mac(9)), "name": "New", "description": "x"},
    "/contest-sensor": {"sensor": str(PORCH), "secret": "DE:AD:BE:EF:00:11:22:33", "name": "New"},
    "/unclaim": {"sensor": str(PORCH), "deleteData": False},
    "/share": {"sensor": str(PORCH), "user": "bob@example.com"},
    "/unshare": {"sensor": str(PORCH), "user": "bob@example.com"},
    "/update": {
        "sensor": str(PORCH), "name": "New", "picture": "x.jpg", "offsetTemperature": 1,
        "offsetHumidity": 1, "offsetPressure": 1, "public": True, "timestamp": NOW,
    },
    "/sensor-settings": {"sensor": str(PORCH), "type": ["a"], "value": ["b"], "timestamp": NOW},
    "/upload": {"sensor": str(PORCH), "action": "upload", "type": "image/png"},
}  # fmt: skip
REQUIRED = {
    "/claim": {"sensor"},
    "/contest-sensor": {"sensor", "secret"},
    "/unclaim": {"sensor"},
    "/share": {"sensor", "user"},
    "/unshare": {"sensor"},
    "/update": {"sensor"},
    "/sensor-settings": {"sensor", "type", "value"},
    "/upload": {"sensor", "type"},
}
NO_MAC = ["porch", "F4:1F:0C:28:CB", "F4:1F:0C:28:CB:D6:00", "F41F0C28CBD6", "é4:1F:0C:28:CB:D6"]
ODD = [7, 7.5, True, [], {}, [[]], {"a": 1}, [str(PORCH)]]
TEXT = ["\x00", "a\x00b", "\ud800", "x" * 10_000]
NO_TEXT = [True, [], {}, ["x"], {"a": 1}]
NO_NUMBER = ["x", "", [], {}, True, "1e400", "nan", float("1e300") * 10**9, 10**400]
NO_TIME = ["x", -1, 1.5, [], {}, 10**400, 2**63]

FAULTS = [
    *(("/claim", {"sensor": value}, MISSING) for value in [*NO_MAC, *ODD, *TEXT]),
    *(
        (path, {"sensor": value}, MAC)
        for path in GOOD
        if path != "/claim"
        for value in [*NO_MAC, *ODD[:5], *TEXT[:3]]
    ),
    *(("/claim", {"name": value}, FORMAT) for value in [*TEXT, *NO_TEXT, "x" * 65]),
    *(("/claim", {"description": value}, FORMAT) for value in [*TEXT, *NO_TEXT]),
    *(("/contest-sensor", {"name": value}, FORMAT) for value in [*TEXT, *NO_TEXT]),
    *(("/contest-sensor", {"secret": value}, FORMAT) for value in [*TEXT, *NO_TEXT]),
    *(("/unclaim", {"deleteData": value}, FORMAT) for value in ["perhaps", 2, [], {}, "\x00"]),
    *(
        (path, {"user": value}, EMAIL)
        for path in ("/share", "/unshare")
        for value in ["bob", "bob@", "@x.fi", "b b@x.fi", *TEXT, *ODD, "x" * 250 + "@x.fi"]
    ),
    *(("/update", {"name": value}, FORMAT) for value in [*TEXT, *NO_TEXT, "x" * 65]),
    *(("/update", {"picture": value}, FORMAT) for value in [*TEXT[:3], *NO_TEXT, "x" * 256]),
    *(
        ("/update", {field: value}, FORMAT)
        for field in ("offsetTemperature", "offsetHumidity", "offsetPressure")
        for value in NO_NUMBER
    ),
    *(("/update", {"public": value}, FORMAT) for value in ["perhaps", 2, [], {}]),
    *(
        (path, {"timestamp": value}, FORMAT)
        for path in ("/update", "/sensor-settings")
        for value in NO_TIME
    ),
    *(("/sensor-settings", {"type": value}, FORMAT) for value in [
        7, True, {}, [7], [None], ["ä"], ["a b"], ["x" * 65], ["a_lastUpdated"], ["a", "b"], "\x00",
    ]),
    *(("/sensor-settings", {"value": value}, FORMAT) for value in [
        7, True, {}, [7], [None], [["b"]], ["a", "b"], [], ["\x00"], ["\ud800"], ["x" * 5001],
    ]),
    ("/sensor-settings", {"type": []}, MISSING),
    *(("/upload", {"type": value}, FORMAT) for value in [
        "image/webp", "image/svg+xml", "IMAGE/PNG", 7, ["image/png"], {"a": 1}, "\ud800", "\x00",
    ]),
    *(("/upload", {"action": value}, "ER_INVALID_ENUM_VALUE") for value in ["delete", 7, "RESET"]),
    *(("/upload", {"action": value}, FORMAT) for value in [[], {}, True, "\x00"]),
]  # fmt: skip


def everything() -> list[list]:
    models = (Access, PendingShare, Sensor, SensorSetting)
    return [list(model.objects.order_by("pk").values()) for model in models]


def by_field() -> dict[str, tuple[str, list[tuple[dict, str]]]]:
    """The faults of each field of each endpoint: a test each, since there are hundreds."""
    groups: dict[str, tuple[str, list[tuple[dict, str]]]] = {}
    for path, fault, code in FAULTS:
        groups.setdefault(f"{path} {next(iter(fault))}", (path, []))[1].append((fault, code))
    return groups


@pytest.mark.parametrize(("path", "faults"), by_field().values(), ids=by_field().keys())
def test_a_fault_is_refused_and_changes_nothing(porch, alice, signed_in, path, faults):
    client, before = signed_in(alice), everything()
    for fault, code in faults:
        # Lone surrogates, and a number that becomes infinite on reading.
        body = json.dumps(GOOD[path] | fault).replace("Infinity", "1e400")
        reply = client.post(path, body, content_type="application/json")
        assert refused(reply, 400, code), fault
        assert everything() == before, fault


@pytest.mark.parametrize("path", GOOD)
class TestEveryEndpoint:
    def test_what_is_required_must_be_there(self, porch, alice, signed_in, path):
        client, before = signed_in(alice), everything()
        for field in REQUIRED[path]:
            rest = {name: value for name, value in GOOD[path].items() if name != field}
            for body in (rest, rest | {field: None}):
                assert refused(client.post(path, body), 400, MISSING)
            if (path, field) != ("/sensor-settings", "value"):  # there, empty clears it
                assert refused(client.post(path, rest | {field: ""}), 400, MISSING)
        assert everything() == before

    @pytest.mark.parametrize("body", ["[]", '"text"', "7", "true", "null", "[{}]"])
    def test_a_body_must_be_an_object(self, porch, alice, signed_in, path, body):
        reply = signed_in(alice).post(path, body, content_type="text/plain")
        assert reply.status_code == 400
        assert reply.json()["code"] in {FORMAT, MISSING}

    @pytest.mark.parametrize("body", ["", "{", "{'a': 1}", "\xff\xfe", '{"a": NaN}', "[" * 9999])
    def test_a_body_must_be_json(self, porch, alice, signed_in, path, body):
        reply = signed_in(alice).post(path, body, content_type="application/json")
        assert reply.status_code == 400
        assert reply.json()["code"] in {FORMAT, MISSING, "ER_INVALID_ARGUMENT"}

    def test_nobody_calls_without_a_token(self, porch, client, path):
        reply = client.post(path, GOOD[path], content_type="application/json")
        assert refused(reply, 401, "ER_UNAUTHORIZED", "Unauthorized request.")

    def test_unknown_keys_are_ignored(self, shared_porch, alice, bob, signed_in, path):
        body = {**GOOD[path], "user": "charlie@example.com"} if path == "/share" else GOOD[path]
        register_sensor(mac=PORCH, secret=GOOD["/contest-sensor"]["secret"])
        reply = signed_in(alice).post(path, body | {"extra": [1], "é": None})
        assert reply.status_code == 200

    def test_somebody_elses_sensor_is_not_touched(self, porch, alice, bob, signed_in, path):
        claim_sensor(user=bob, mac=Mac(7), name="Bob's", at=at(NOW))
        before = everything()
        body = {**GOOD[path], "sensor": str(Mac(7))}
        reply = signed_in(alice).post(
            path, body | ({"user": "x@example.com"} if "user" in body else {})
        )
        assert reply.status_code in {400, 403, 404, 409}
        assert reply.json()["result"] == "error"
        assert everything() == before

    def test_a_sensor_that_does_not_exist_is_not_made(self, alice, now, signed_in, path):
        if path == "/claim":
            return
        reply = signed_in(alice).post(path, GOOD[path])
        assert reply.status_code in {400, 403, 404}
        assert everything() == [[], [], [], []]

    @pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
    def test_other_methods_are_refused(self, alice, signed_in, path, method):
        assert refused(getattr(signed_in(alice), method)(path), 405, None)


@pytest.mark.parametrize("sensor", [None, "", *NO_MAC, "\x00"])
def test_check_needs_a_sensor(alice, signed_in, sensor):
    query = {} if sensor is None else {"sensor": sensor}
    reply = signed_in(alice).get("/check", query)
    assert refused(reply, 400, MISSING, "Missing or invalid sensor given")


@pytest.mark.parametrize(
    "path", ["/check", "/user", "/sensors", "/shared", "/sensors-dense", "/get"]
)
def test_nobody_reads_without_a_token(porch, client, path):
    reply = client.get(path, {"sensor": str(PORCH)})
    assert refused(reply, 401, "ER_UNAUTHORIZED", "Unauthorized request.")


@pytest.mark.parametrize("path", ["/user", "/sensors", "/shared", "/sensors-dense"])
@pytest.mark.parametrize("value", ["", "\x00", "é", "x" * 5000, "[]"])
def test_odd_queries_are_harmless(porch, alice, signed_in, path, value):
    names = ("sensor", "sharedToMe", "measurements", "alerts", "settings", "extra")
    reply = signed_in(alice).get(path, dict.fromkeys(names, value))
    assert reply.status_code in {200, 400}
    assert reply["Content-Type"] == "application/json"
