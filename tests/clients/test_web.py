"""The web UI: JSON without a Content-Type, from another origin, `.json()` on every answer."""

from datetime import UTC, datetime

import pytest

from subscriptions.services import register_code
from tests.clients.app import DF5, NOW, SENSOR, App, mailed_code

pytestmark = pytest.mark.usefixtures("heard")
EMAIL = "matti@meikalainen.com"
ORIGIN = "https://station.ruuvi.com"


class Web(App):
    headers = {"Origin": ORIGIN, "Accept": "*/*"}
    content_type = "text/plain;charset=UTF-8"  # what a browser makes of a string

    def authorization(self):
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def send(self, method, path, body=None):
        if self.token:
            self.preflight(method, path)
        return super().send(method, path, body)

    def preflight(self, method, path):
        asks = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization",
        }
        reply = self.client.options(path.partition("?")[0], headers=asks)
        assert reply.status_code in (200, 204)
        assert method in reply["Access-Control-Allow-Methods"]
        assert "authorization" in reply["Access-Control-Allow-Headers"].lower()
        self.read(reply, {"result": "success"})

    def read(self, reply, answer):
        super().read(reply, answer)
        assert reply["Access-Control-Allow-Origin"] in ("*", ORIGIN)

    def ok(self, *args):
        answer = self.send(*args)
        assert self.statuses[-1] == 200
        assert answer["result"] == "success"
        return answer.get("data")


@pytest.fixture
def web():
    web = Web()
    assert web.ok("POST", "/register", {"email": "Matti@Meikalainen.com"}) == {"email": EMAIL}
    user = web.ok("GET", f"/verify?token={mailed_code(EMAIL)}")
    assert (user["email"], user["newUser"]) == (EMAIL, True)
    web.token = user["accessToken"]
    return web


def test_a_first_sign_in_a_daily_sync_and_a_sign_out(web, jpeg):
    # The browser's language, when the account has none.
    assert web.ok("GET", "/settings") == {"settings": {}}
    web.ok("POST", "/settings", {"name": "PROFILE_LANGUAGE_CODE", "value": "fi"})
    web.ok("POST", "/settings", {"name": "DISABLE_EMAIL_NOTIFICATIONS", "value": "0"})
    settings = web.ok("GET", "/settings")["settings"]
    assert settings["PROFILE_LANGUAGE_CODE"] == "fi"
    assert isinstance(settings["PROFILE_LANGUAGE_CODE_lastUpdated"], int)

    web.ok("POST", "/claim", {"sensor": SENSOR, "name": "Sauna 🔥"})
    dense = (
        "/sensors-dense?measurements=true&alerts=true&sharedToOthers=true"
        "&sharedToMe=true&settings=true"
    )
    (sensor,) = web.ok("GET", dense)["sensors"]
    read_sensor(sensor)
    assert sensor["measurements"][0]["data"] == DF5

    # Settings of the sensor, as a JSON string in a list.
    order = '["TEMPERATURE_C","HUMIDITY_0"]'
    body = {"sensor": SENSOR, "type": ["displayOrder"], "value": [order], "timestamp": NOW}
    web.ok("POST", "/sensor-settings", body)
    web.ok("POST", "/update", {"sensor": SENSOR, "offsetPressure": 150})
    (sensor,) = web.ok("GET", dense)["sensors"]
    assert sensor["settings"]["displayOrder"] == order
    assert sensor["offsetPressure"] == 150

    # A graph: pages of 1500, the oldest of one bounds the next.
    page = web.ok(
        "GET", f"/get?sensor={SENSOR}&limit=1500&sort=desc&mode=mixed&since={NOW - 3600}.5"
    )
    assert page["sensor"] == SENSOR
    assert page["total"] == len(page["measurements"]) == 60
    times = [row["timestamp"] for row in page["measurements"]]
    assert times == sorted(times, reverse=True)
    newer = web.ok("GET", f"/get?sensor={SENSOR}&since={times[0] + 1}&until={NOW + 60}")
    assert (newer["total"], newer["measurements"]) == (0, [])

    # It posts back the whole alert that it read, and for a new one the range of its slider.
    alert = {"sensor": SENSOR, "type": "temperature", "enabled": True, "min": -5, "max": 30}
    web.ok("POST", "/alerts", {**alert, "extended": {"min": -40, "max": 85}, "description": ""})
    (alert,) = web.ok("GET", dense)["sensors"][0]["alerts"]
    assert (alert["enabled"], alert["min"], alert["max"]) == (True, -5, 30)
    web.ok("POST", "/alerts", {**alert, "sensor": SENSOR, "userId": 7, "enabled": False})
    (alert,) = web.ok("GET", dense)["sensors"][0]["alerts"]
    assert alert["enabled"] is False

    register_code(text="ABCD-EFGH", allowance={"name": "Pro"}, valid_days=30, at=datetime.now(UTC))
    assert web.ok("POST", "/subscription", {"code": "ABCD-EFGH"}) == web.ok("GET", "/subscription")
    item = web.ok("GET", "/subscription")["subscriptions"][0]
    assert isinstance(item["subscriptionName"], str)
    assert isinstance(item["endTime"], int)
    assert isinstance(item["maxShares"], int)

    upload = web.ok("POST", "/upload", {"sensor": SENSOR, "type": "image/jpeg"})
    web.preflight("PUT", upload["uploadURL"].removeprefix("http://testserver"))
    web.put(upload["uploadURL"], jpeg, "image/jpeg")
    picture = web.ok("GET", "/user")["sensors"][0]["picture"]
    shown = web.client.get(picture.removeprefix("http://testserver"), headers={"Origin": ORIGIN})
    assert (shown.status_code, shown["Content-Type"]) == (200, "image/jpeg")
    assert b"".join(shown.streaming_content).startswith(b"\xff\xd8")

    assert web.ok("POST", "/share", {"sensor": SENSOR, "user": "new@example.com"})["invited"]
    web.ok("POST", "/unshare", {"sensor": SENSOR, "user": "new@example.com"})
    assert web.ok("GET", "/user")["sensors"][0]["name"] == "Sauna 🔥"
    web.ok("POST", "/unclaim", {"sensor": SENSOR, "deleteData": False})
    assert web.ok("GET", dense) == {"sensors": []}

    sessions = web.ok("GET", "/sessions")["sessions"]
    assert [session["current"] for session in sessions] == [True]
    web.send("DELETE", "/sessions")
    assert web.statuses[-1] == 200
    assert web.send("GET", dense)["code"] == "ER_UNAUTHORIZED"
    assert web.statuses[-1] == 401


def read_sensor(sensor):
    """What the page reads without asking whether it is there."""
    assert sensor["owner"] == EMAIL
    assert len(sensor["measurements"]) == 1
    assert sensor["sharedTo"] == sensor["alerts"] == []
    for name in ("emailAlertAllowed", "offlineAlertAllowed", "delayedAlertAllowed"):
        assert isinstance(sensor["subscription"][name], bool)
    assert isinstance(sensor["subscription"]["pdfExportAllowed"], bool)
    assert isinstance(sensor["subscription"]["maxHistoryDays"], int)
    assert isinstance(sensor["subscription"]["maxSharesPerSensor"], int)
    assert sensor["canShare"] is True


def test_only_a_dead_token_is_answered_401(web):
    """Anything else that is would sign the person out."""
    refused = [
        ("GET", "/nowhere", None),
        ("PUT", "/settings", None),
        ("POST", "/settings", {}),
        ("POST", "/claim", {"sensor": "x"}),
        ("GET", f"/get?sensor={SENSOR}", None),
        ("POST", "/share", {"sensor": SENSOR, "user": EMAIL}),
        ("POST", "/request-delete", {"email": "somebody@example.com"}),
        ("DELETE", "/sessions/1000000", None),
        ("GET", "/verify?token=ZZZZ", None),
        ("GET", "/verify-delete?token=ZZZZ", None),
    ]
    for request in refused:
        assert web.send(*request)["result"] == "error"
    assert 401 not in web.statuses
    assert all(status >= 400 for status in web.statuses[-len(refused) :])
