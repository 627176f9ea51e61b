"""Android and iOS: tokens, times and answers as each of them reads them."""

import re

import pytest

from ruuvinet.lib.mac import Mac
from sensors.services import register_sensor
from tests.clients.app import IOS_CODES, NOW, SENSOR, App, mailed_code

pytestmark = pytest.mark.usefixtures("heard")
EMAIL, FRIEND = "matti@meikalainen.com", "friend@example.com"
DENSE = (
    "/sensors-dense?sharedToOthers=true&sharedToMe=true&measurements=true&alerts=true&settings=true"
)


class Android(App):
    """Gson: integers are 64 bit, texts and lists are never null where they are declared so."""

    headers = {"User-Agent": "okhttp/4.12.0"}

    def authorization(self):
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def read(self, reply, answer):
        super().read(reply, answer)
        if answer["result"] == "success":
            assert not list(fractions(answer.get("data"), "lastUpdated", "timestamp", "total"))


class Ios(App):
    """Codable: a missing field, a null or an unknown code makes the whole answer unreadable."""

    headers = {"User-Agent": "Ruuvi Station/2 CFNetwork/1490"}

    def read(self, reply, answer):
        super().read(reply, answer)
        if "code" in answer:
            assert answer["code"] in IOS_CODES
        assert "subCode" not in answer


def fractions(value, *names):
    """The values under these names that are no whole numbers."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name.endswith(names) and type(item) is not int:
                yield name, item
            yield from fractions(item, *names)
    elif isinstance(value, list):
        for item in value:
            yield from fractions(item, *names)


def sign_in(app, email=EMAIL):
    echoed = app.send("POST", "/register", {"email": email})["data"]["email"]
    data = app.send("GET", f"/verify?token={mailed_code(email)}")["data"]
    assert data["email"] == echoed  # iOS refuses to go on when they differ
    assert isinstance(data["newUser"], bool)
    app.token = data["accessToken"]
    return app


def display_order():
    types, values = ["displayOrder", "defaultDisplayOrder"], ['["TEMPERATURE_C"]', "false"]
    return {"sensor": SENSOR, "type": types, "value": values, "timestamp": NOW}


def ok(app, *request):
    answer = app.send(*request)
    assert (app.statuses[-1], answer["result"]) == (200, "success"), answer
    return answer.get("data")


def read_dense(sensor):
    for name in ("sensor", "owner", "name", "picture"):
        assert isinstance(sensor[name], str)
    for name in ("public", "canShare"):
        assert isinstance(sensor[name], bool)
    for name in ("offsetTemperature", "offsetHumidity", "offsetPressure"):
        assert isinstance(sensor[name], (int, float))
    for name in ("sharedTo", "sharedToPending", "alerts", "measurements"):
        assert isinstance(sensor[name], list)
    assert " " not in sensor["picture"]  # Android parses it as a URI, and dies of a bad one
    assert sensor["lastUpdated"] >= 1
    for name, value in sensor["settings"].items():
        assert isinstance(value, int if name.endswith("_lastUpdated") else str)
    plan = sensor["subscription"]
    assert isinstance(plan["subscriptionName"], str)
    assert isinstance(plan["endAt"], (str, type(None)))
    for name in ("maxClaims", "maxShares", "maxHistoryDays", "maxResolutionMinutes"):
        assert type(plan[name]) is int
    for alert in sensor["alerts"]:
        read_alert(alert)
    for row in sensor["measurements"]:
        assert type(row["rssi"]) is type(row["timestamp"]) is int
        assert re.fullmatch(r"([0-9A-F]{2})*", row["data"])
        assert isinstance(row["gwmac"], str)
        assert isinstance(row["coordinates"], str)


def read_alert(alert):
    assert isinstance(alert["triggeredAt"], str)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", alert["triggeredAt"])
    assert type(alert["counter"]) is int
    for name in ("min", "max"):
        assert isinstance(alert[name], (int, float))
    for name in ("enabled", "triggered"):
        assert isinstance(alert[name], bool)
    assert isinstance(alert["description"], str)
    assert alert["lastUpdated"] >= 1


def test_android_signs_in_syncs_and_leaves(jpeg):
    app = sign_in(Android())
    phone = {"token": "fcm:1", "type": "Android", "name": "Pixel", "params": {"language": "fi"}}
    assert isinstance(ok(app, "POST", "/push-register", phone)["id"], int)
    ok(app, "POST", "/claim", {"sensor": SENSOR, "name": "Sauna"})
    body = {
        "sensor": SENSOR,
        "offsetHumidity": 1.5,
        "offsetPressure": 0.0,
        "offsetTemperature": -0.5,
        "timestamp": NOW,
    }
    ok(app, "POST", "/update", body)
    upload = ok(
        app, "POST", "/upload", {"sensor": SENSOR, "type": "image/jpeg", "action": "upload"}
    )
    app.put(upload["uploadURL"], jpeg, "image/jpeg")
    assert app.statuses[-1] == 200
    # Whatever alerts it has, also those that nobody edited yet; it knows no delay.
    alert = {
        "sensor": SENSOR,
        "type": "temperature",
        "min": -5.0,
        "max": 30.5,
        "enabled": False,
        "description": "",
        "timestamp": 0,
    }
    assert ok(app, "POST", "/alerts", alert) == {"action": "success"}
    (sensor,) = ok(app, "GET", DENSE)["sensors"]
    read_dense(sensor)
    assert [(a["type"], a["min"], a["delay"]) for a in sensor["alerts"]] == [("temperature", -5, 0)]
    # It knows by the file's name whether it already has the picture.
    assert sensor["picture"].rpartition("/")[2].partition(".")[0] == upload["guid"]

    ok(app, "POST", "/sensor-settings", display_order())
    (sensor,) = ok(app, "GET", DENSE)["sensors"]
    read_dense(sensor)
    assert sensor["settings"]["displayOrder"] == '["TEMPERATURE_C"]'

    # History: from the newest that it has, until there is none or that is fresh.
    since, rows = NOW - 3600, 0
    while since < NOW - 60:
        page = ok(app, "GET", f"/get?sensor={SENSOR}&since={since}&sort=asc&limit=25&mode=mixed")
        for name in ("offsetTemperature", "offsetHumidity", "offsetPressure"):
            assert isinstance(page[name], (int, float))
        if page["total"] == 0:
            break
        rows += page["total"]
        since = page["measurements"][-1]["timestamp"] + 1
    assert rows == 60

    # Settings are posted with a time; what the cloud already has newer is dropped.
    setting = {"name": "UNIT_TEMPERATURE", "value": "K", "timestamp": NOW}
    assert ok(app, "POST", "/settings", setting) == {"action": "added"}
    assert app.send("POST", "/settings", {**setting, "timestamp": 0})["code"] == "ER_CONFLICT"
    ok(app, "POST", "/settings", {**setting, "timestamp": NOW * 1000})  # in milliseconds
    for plan in ok(app, "GET", "/subscription")["subscriptions"]:
        assert isinstance(plan["isActive"], bool)
    assert ok(app, "POST", "/share", {"sensor": SENSOR, "user": FRIEND})["invited"] is True
    ok(app, "POST", "/unshare", {"sensor": SENSOR, "user": FRIEND})
    check = ok(app, "GET", f"/check?sensor={SENSOR}")
    assert check["email"] == EMAIL  # its own: not masked, or it would offer to contest
    assert ok(app, "POST", "/upload", {"sensor": SENSOR, "type": "", "action": "reset"})
    assert ok(app, "GET", "/air_firmwareupdate") == {"latest": None, "beta": None, "alpha": None}
    ok(app, "POST", "/request-delete", {"email": EMAIL})
    ok(app, "POST", "/push-unregister", {"token": "fcm:1"})
    assert ok(app, "GET", "/push-list") == {"tokens": []}


def test_another_androids_claim_is_refused_with_the_masked_owner():
    ok(sign_in(Android()), "POST", "/claim", {"sensor": SENSOR})
    other = sign_in(Android(), "other@example.com")
    answer = other.send("POST", "/claim", {"sensor": SENSOR})
    assert (other.statuses[-1], answer["code"]) == (409, "ER_SENSOR_ALREADY_CLAIMED")
    assert re.search(r"[^\s]+@[^\s]+\.[a-z]+", answer["error"])
    assert EMAIL not in answer["error"]


def test_ios_signs_in_syncs_and_leaves(jpeg):
    app = sign_in(Ios())
    params = {"soundFile": "ruuvi_speak.caf", "language": "fi"}
    phone = {"token": "apns", "type": "ios", "name": "iPhone", "data": "", "params": params}
    assert type(ok(app, "POST", "/push-register", phone)["id"]) is int
    (registered,) = ok(app, "GET", "/push-list")["tokens"]
    assert {name: type(value) for name, value in registered.items()} == {
        "id": int,
        "lastAccessed": int,
        "name": str,
    }
    assert ok(app, "GET", f"/check?sensor={SENSOR}") == {"email": "", "sensor": SENSOR}
    ok(app, "POST", "/claim", {"sensor": SENSOR, "name": "Sauna"})
    upload = ok(app, "POST", "/upload", {"sensor": SENSOR, "type": "image/jpeg"})
    app.put(upload["uploadURL"], jpeg, "image/jpeg")
    assert app.statuses[-1] == 200  # and no other success
    # Movement comes without limits, and what has no description without one.
    movement = {"sensor": SENSOR, "type": "movement", "enabled": True, "timestamp": NOW}
    ok(app, "POST", "/alerts", movement)
    ok(app, "POST", "/alerts", {**movement, "type": "offline", "min": 0, "max": 900, "delay": 0})
    ok(app, "POST", "/sensor-settings", display_order())
    (sensor,) = ok(app, "GET", DENSE)["sensors"]
    read_dense(sensor)
    assert [alert["type"] for alert in sensor["alerts"]] == ["movement", "offline"]
    page = ok(
        app, "GET", f"/get?sensor={SENSOR}&since={NOW - 600}.123&sort=asc&limit=5000&mode=mixed"
    )
    assert page["measurements"][0]["timestamp"] == NOW - 600
    # The next page starts with the last row of this one.
    last = page["measurements"][-1]["timestamp"]
    overlap = ok(app, "GET", f"/get?sensor={SENSOR}&since={float(last)}&sort=asc")
    assert [row["timestamp"] for row in overlap["measurements"]] == [last]
    ok(app, "POST", "/share", {"sensor": SENSOR, "user": FRIEND})
    (shares,) = ok(app, "GET", f"/sensors?sensor={SENSOR}")["sensors"]
    assert (shares["sharedTo"], shares["sharedToPending"]) == ([], [FRIEND])
    ok(app, "POST", "/unshare", {"sensor": SENSOR, "user": FRIEND})
    user = ok(app, "GET", "/user")
    for name in ("owner", "name", "picture"):
        assert isinstance(user["sensors"][0][name], str)
    setting = {"name": "CHART_VIEW_PERIOD", "value": "10", "timestamp": NOW}
    ok(app, "POST", "/settings", setting)
    ok(app, "POST", "/unclaim", {"sensor": SENSOR})
    ok(app, "POST", "/request-delete", {"email": EMAIL})
    ok(app, "POST", "/push-unregister", {"token": "apns"})


@pytest.mark.parametrize("app", [Android, Ios])
def test_whoever_holds_a_sensor_takes_it_over(app):
    secret = "DE:AD:BE:EF:00:11:22:33"
    register_sensor(mac=Mac.parse(SENSOR), secret=secret)
    before, after = sign_in(app()), sign_in(app(), FRIEND)
    ok(before, "POST", "/claim", {"sensor": SENSOR, "name": "Sauna"})
    assert ok(after, "GET", f"/check?sensor={SENSOR}")["email"] == "m***i@m*********n.com"
    body = {"sensor": SENSOR, "secret": secret.lower().replace(":", ""), "name": "Mine"}
    assert ok(after, "POST", "/contest-sensor", body) == {"sensor": SENSOR}
    assert ok(before, "GET", DENSE)["sensors"] == []
    (sensor,) = ok(after, "GET", DENSE)["sensors"]
    read_dense(sensor)
    assert (sensor["name"], sensor["measurements"]) == ("Mine", [])  # nothing of the one before
    assert ok(after, "GET", f"/get?sensor={SENSOR}&sort=asc")["total"] == 0


@pytest.mark.parametrize(
    "request_",
    [
        ("POST", "/claim", {}),
        ("POST", "/share", {"sensor": SENSOR, "user": "x"}),
        ("POST", "/unshare", {"sensor": SENSOR}),
        ("POST", "/contest-sensor", {"sensor": SENSOR, "secret": "0"}),
        ("POST", "/update", {"sensor": SENSOR}),
        ("POST", "/upload", {"sensor": SENSOR, "type": "image/tiff"}),
        ("POST", "/settings", {"name": "a b", "value": "1"}),
        ("GET", "/get?sensor=x", None),
        ("GET", f"/get?sensor={SENSOR}&mode=x", None),
        ("GET", f"/check?sensor={SENSOR[:-1]}", None),
        ("GET", "/nowhere", None),
        ("DELETE", "/settings", None),
        ("GET", "/verify?token=ZZZZ", None),
        ("POST", "/register", {"email": "x"}),
    ],
)
def test_ios_can_read_every_refusal(request_):
    app = sign_in(Ios())
    assert app.send(*request_)["result"] == "error"
    assert app.statuses[-1] not in (200, 401, 500)


@pytest.mark.parametrize("app", [Android, Ios])
def test_a_revoked_token_signs_the_app_out(app):
    app = sign_in(app())
    app.send("DELETE", "/sessions")
    for path in (DENSE, "/settings"):
        assert app.send("GET", path)["code"] == "ER_UNAUTHORIZED"
