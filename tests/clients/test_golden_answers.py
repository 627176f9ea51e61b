"""Each answer about accounts, key by key: tests/golden/accounts.json. A change there is seen by apps."""

import json
import re
from pathlib import Path

import pytest

from tests.clients.app import NOW, App, mailed_code

pytestmark = pytest.mark.usefixtures("clock")
GOLDEN = Path(__file__).parents[1] / "golden" / "accounts.json"
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


def answers():
    """Status and answer of each request, with what is random made alike."""
    app = App()
    found = {}

    def ask(method, path, body=None):
        answer = app.send(method, path, body)
        title = " ".join([method, path] + ([json.dumps(body, ensure_ascii=False)] if body else []))
        found[alike(title)] = [app.statuses[-1], json.loads(alike(json.dumps(answer)))]
        return answer

    ask("POST", "/register", {"email": EMAIL})
    ask("GET", "/verify?token=" + "WRONG")
    data = app.send("GET", f"/verify?token={mailed_code(EMAIL)}")
    found["GET /verify?token=CODE"] = [200, json.loads(alike(json.dumps(data)))]
    app.token = data["data"]["accessToken"]
    for request in REQUESTS:
        ask(*request)
    return found


def alike(text):
    text = re.sub(r"[0-9a-f]+/[0-9A-Za-z]{64}", "TOKEN", text)
    return re.sub(r'"id": \d+', '"id": 1', text)


def test_answers_are_those_that_apps_know():
    assert answers() == json.loads(GOLDEN.read_text())
