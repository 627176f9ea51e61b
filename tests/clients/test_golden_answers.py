"""Answers key by key, as tests/golden/ has them. A change there is seen by apps or machines."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from subscriptions.services import register_code
from tests.clients.app import NOW, SENSOR, App, mailed_code

pytestmark = pytest.mark.usefixtures("heard")
GOLDEN = Path(__file__).parents[1] / "golden"
EMAIL = "matti@meikalainen.com"
# In this order, by one person.
REQUESTS = [
    ("GET", "/settings", None),
    ("POST", "/settings", {"name": "UNIT_TEMPERATURE", "value": "C", "timestamp": NOW}),
    ("POST", "/settings", {"name": "UNIT_TEMPERATURE", "value": "K", "timestamp": NOW - 1}),
    ("GET", "/settings?", None),
    ("GET", "/sessions", None),
    ("DELETE", "/sessions/0", None),
    ("POST", "/request-delete", {"email": "other@example.com"}),
    ("POST", "/request-delete", {"email": EMAIL}),
    ("GET", "/verify-delete?token=NONE", None),
    ("GET", "/air_firmwareupdate", None),
    ("GET", "/nowhere", None),
    ("PUT", "/settings", None),
    ("DELETE", "/sessions", None),
    ("GET", "/user?", None),
]


ALERT = {"sensor": SENSOR, "type": "temperature", "enabled": True, "min": -5, "max": 30.5}
PHONE = {"token": "fcm:1", "type": "Android", "params": {"language": "fi"}}
OF_PHONES = [
    ("POST", "/claim", {"sensor": SENSOR}),
    ("POST", "/alerts", ALERT),
    ("POST", "/alerts", {**ALERT, "timestamp": 1}),
    ("POST", "/alerts", {**ALERT, "type": "wind"}),
    ("POST", "/alerts", {**ALERT, "sensor": "00:00:00:00:00:01"}),
    ("POST", "/alerts", {**ALERT, "type": "movement", "min": None, "max": None}),
    ("GET", "/alerts", None),
    ("GET", "/alerts?sensor=00:00:00:00:00:01", None),
    ("POST", "/push-register", PHONE),
    ("GET", "/push-list", None),
    ("POST", "/push-unregister", {"token": "fcm:1"}),
    ("POST", "/push-unregister", {"token": "fcm:1", "id": None}),
    ("POST", "/push-unregister", {}),
    ("GET", "/subscription", None),
    ("POST", "/subscription", {"code": "abcdefgh"}),
    ("POST", "/subscription", {"code": "ABCD-EFGH"}),
    ("POST", "/subscription", {"code": "AAAA-AAAA"}),
]
GATEWAY, KEY = "C8:25:2D:8E:9C:2C", "40:98:A7:78:58:1A:E1:38"
SOLD = {
    "validDays": "365",
    "maxClaims": 25,
    "maxHistoryDays": 90,
    "maxResolutionMinutes": 1,
    "claimCode": "ABCD-EFGH",
}
OF_MACHINES = [
    ("POST", "/register", {"email": EMAIL}),
    ("POST", "/whitelist", {"macAddress": GATEWAY, "secret": KEY}),
    ("POST", "/whitelist", {"macAddress": GATEWAY.lower(), "secret": KEY}),
    ("POST", "/whitelist", [{"macAddress": "00:00:00:00:00:01", "secret": "1234"}]),
    ("POST", "/whitelist", {"ipAddress": "198.51.100.7"}),
    ("GET", f"/gwinfo?gateway={GATEWAY}", None),
    ("GET", "/gwinfo?gateway=x", None),
    ("POST", "/blacklist", {"macAddress": GATEWAY}),
    ("POST", "/blacklist", {"ipAddress": "198.51.100.0/24"}),
    ("POST", "/register-sensor", {"macAddress": SENSOR, "secret": "DE:AD:BE:EF:00:11:22:33"}),
    ("POST", "/register-sensor", {"macAddress": SENSOR, "secret": "DE:AD:BE:EF:00:11:22:34"}),
    ("POST", "/subscription-register", SOLD),
    ("POST", "/subscription-register", {**SOLD, "maxClaims": 1}),
    ("POST", "/subscription-register", {}),
]


class Told(App):
    """Keeps each answer, with what is random made alike."""

    def __init__(self):
        super().__init__()
        self.answers = {}

    def ask(self, method, path, body=None):
        answer = self.send(method, path, body)
        shown = [] if body is None else [json.dumps(body, ensure_ascii=False)]
        self.keep(" ".join([method, path, *shown]), answer)
        return answer

    def keep(self, title, answer):
        self.answers[title] = [self.statuses[-1], json.loads(alike(json.dumps(answer)))]

    def sign_in(self):
        answer = self.send("GET", f"/verify?token={mailed_code(EMAIL)}")
        self.token = answer["data"]["accessToken"]
        return answer


def alike(text):
    text = re.sub(r"[0-9a-f]+/[0-9A-Za-z]{64}", "TOKEN", text)
    text = re.sub(r'"token": "[A-Z0-9]{4}"', '"token": "CODE"', text)
    return re.sub(r'"(id|tokenId|userId)": \d+', r'"\1": 1', text)


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())


def test_answers_about_accounts_are_those_that_apps_know():
    app = Told()
    app.ask("POST", "/register", {"email": EMAIL})
    app.ask("GET", "/verify?token=WRONG")
    app.keep("GET /verify?token=CODE", app.sign_in())
    for request in REQUESTS:
        app.ask(*request)
    assert app.answers == golden("accounts")


def test_answers_about_alerts_phones_and_plans_are_those_that_apps_know():
    now = datetime.fromtimestamp(NOW, UTC)
    register_code(text="ABCD-EFGH", allowance={"name": "Pro"}, valid_days=30, at=now)
    app = Told()
    app.send("POST", "/register", {"email": EMAIL})
    app.sign_in()
    for request in OF_PHONES:
        app.ask(*request)
    assert app.answers == golden("phones")


def test_answers_to_machines_are_those_that_they_know(settings):
    machine = Told()
    machine.headers = {
        "X-Internal-Secret": settings.INTERNAL_SECRET,
        "X-Shop-Secret": settings.SHOP_SECRET,
    }
    for request in OF_MACHINES:
        machine.ask(*request)
    assert machine.answers == golden("machines")
