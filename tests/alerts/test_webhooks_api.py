"""`/webhooks`: a person's own server, set up without the console."""

import pytest
from django.db import connection

from alerts.models import Webhook

pytestmark = pytest.mark.django_db
NOW = 1_775_044_800  # 2026-04-01T12:00:00Z
URL = "https://home.example/alerts?of=alice"


@pytest.fixture(autouse=True)
def now(time_machine, start):
    time_machine.move_to(start, tick=False)


@pytest.fixture
def app(signed_in, alice):
    return signed_in(alice)


def test_a_webhook_is_set_up_and_its_secret_told_once(app, alice):
    told = app.post("/webhooks", {"url": URL}).json()["data"]["webhook"]
    secret = told.pop("secret")
    assert told == {"url": URL, "createdAt": NOW, "retiredAt": None, "retiredReason": ""}
    assert len(secret) >= 32
    assert Webhook.objects.get(user=alice).secret == secret
    listed = app.get("/webhooks")
    assert listed.json() == {"result": "success", "data": {"webhooks": [told]}}
    assert secret not in listed.content.decode()


def test_setting_it_up_again_replaces_url_and_secret_and_revives_it(app, alice, start):
    first = app.post("/webhooks", {"url": URL}).json()["data"]["webhook"]
    Webhook.objects.update(retired_at=start, retired_reason="the server wants no more (410)")
    assert app.get("/webhooks").json()["data"]["webhooks"][0]["retiredAt"] == NOW
    again = app.post("/webhooks", {"url": URL + "2"}).json()["data"]["webhook"]
    assert (again["url"], again["retiredAt"], again["retiredReason"]) == (URL + "2", None, "")
    assert again["secret"] != first["secret"]
    assert Webhook.objects.count() == 1


def test_a_webhook_is_deleted_and_deleting_may_be_repeated(app):
    app.post("/webhooks", {"url": URL})
    for _ in range(2):
        reply = app.delete("/webhooks")
        assert (reply.status_code, reply.json()["result"]) == (200, "success")
    assert app.get("/webhooks").json()["data"] == {"webhooks": []}


def test_nobody_sees_or_deletes_that_of_another(app, signed_in, bob):
    app.post("/webhooks", {"url": URL})
    other = signed_in(bob)
    other.delete("/webhooks")
    assert other.get("/webhooks").json()["data"] == {"webhooks": []}
    assert Webhook.objects.count() == 1


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_a_stranger_is_answered_401(client, method):
    reply = getattr(client, method)("/webhooks")
    assert (reply.status_code, reply.json()["code"]) == (401, "ER_UNAUTHORIZED")


@pytest.mark.parametrize(
    "url",
    [
        "http://home.example/",
        "ftp://home.example/",
        "javascript:alert(1)",
        "home.example",
        "https://",
        "https:///path",
        "https://alice:secret@home.example/",
        "https://token@home.example/",
        "https://home.example:0/",
        "https://home.example:99999/",
        "https://home.example:x/",
        "https://[::1",
        "https://127.0.0.1/",
        "https://10.0.0.1:8443/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[64:ff9b::7f00:1]/",
        "https://home.example/\nX-Evil: 1",
        "https://höme.example/",
        "https://home.example/" + "x" * 2000,
        7,
        ["https://home.example/"],
    ],
)
def test_a_url_that_alerts_cannot_go_to_is_refused(app, url):
    reply = app.post("/webhooks", {"url": url})
    assert (reply.status_code, reply.json()["code"]) == (400, "ER_INVALID_FORMAT")
    assert "secret@" not in reply.content.decode()
    assert not Webhook.objects.exists()


@pytest.mark.parametrize("body", [{}, {"url": None}, {"url": ""}])
def test_a_url_is_needed(app, body):
    reply = app.post("/webhooks", body)
    assert (reply.status_code, reply.json()["code"]) == (400, "ER_MISSING_ARGUMENT")


@pytest.mark.parametrize("url", ["http://192.168.1.5:8123/api/alerts", "https://[fd00::1]/"])
def test_a_setting_lets_it_stand_at_home(app, settings, url):
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
    assert app.post("/webhooks", {"url": url}).status_code == 200


def test_the_secret_is_encrypted_at_rest(app):
    secret = app.post("/webhooks", {"url": URL}).json()["data"]["webhook"]["secret"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM alerts_webhook")
        assert secret not in str(cursor.fetchone())
