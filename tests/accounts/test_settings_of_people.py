"""`/settings`: what people chose in the apps."""

import pytest

from accounts.models import UserSetting
from accounts.services import MAX_SETTINGS, save_setting
from ruuvinet.lib.edits import NewerExists
from tests.threads import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def app(alice, signed_in):
    return signed_in(alice)


@pytest.fixture
def now_s(now):
    return int(now.timestamp())


def settings_of(app):
    return app.get("/settings").json()["data"]["settings"]


def save(app, value, name="UNIT_TEMPERATURE", **more):
    return app.post("/settings", {"name": name, "value": value, **more})


def test_without_settings_there_is_an_empty_object(app):
    assert app.get("/settings").json() == {
        "result": "success",
        "status": "success",
        "data": {"settings": {}},
    }


def test_a_setting_is_kept_with_the_time_of_its_edit(app, now_s):
    reply = save(app, "F", timestamp=now_s - 10)
    assert reply.json() == {
        "result": "success",
        "status": "success",
        "data": {"action": "added"},
    }
    assert settings_of(app) == {
        "UNIT_TEMPERATURE": "F",
        "UNIT_TEMPERATURE_lastUpdated": now_s - 10,
    }
    assert save(app, "K").json()["data"] == {"action": "updated"}
    assert settings_of(app)["UNIT_TEMPERATURE_lastUpdated"] == now_s


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("true", "true"),
        ("0", "0"),
        (0, "0"),
        (2, "2"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        ('["AA:BB:CC:DD:EE:FF"]', '["AA:BB:CC:DD:EE:FF"]'),
        (" å😀 ", " å😀 "),
    ],
)
def test_values_are_text_as_given(app, given, kept):
    assert save(app, given).status_code == 200
    assert settings_of(app)["UNIT_TEMPERATURE"] == kept


def test_an_older_edit_is_refused_and_changes_nothing(app, now_s):
    save(app, "F", timestamp=now_s)
    reply = save(app, "K", timestamp=now_s - 1)
    assert reply.status_code == 409
    assert reply.json() == {
        "result": "error",
        "error": "Newer setting already exists",
        "code": "ER_CONFLICT",
        "sub_code": "ER_OLD_ENTRY",
    }
    assert settings_of(app)["UNIT_TEMPERATURE"] == "F"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "A"},
        {"value": "1"},
        {"name": "", "value": "1"},
        {"name": "A", "value": ""},
        {"name": "A", "value": None},
    ],
)
def test_a_missing_name_or_value_is_named(app, body):
    reply = app.post("/settings", body)
    assert (reply.status_code, reply.json()) == (
        400,
        {
            "result": "error",
            "error": "Missing setting name or value.",
            "code": "ER_MISSING_ARGUMENT",
        },
    )


@pytest.mark.parametrize(
    "body",
    [
        {"name": "no spaces", "value": "1"},
        {"name": "A\n", "value": "1"},
        {"name": "ä", "value": "1"},
        {"name": "A_lastUpdated", "value": "1"},
        {"name": "A" * 65, "value": "1"},
        {"name": ["A"], "value": "1"},
        {"name": "A", "value": {"a": 1}},
        {"name": "A", "value": ["a"]},
        {"name": "A", "value": "a\0b"},
        {"name": "A", "value": "a" * 10_001},
        {"name": "A", "value": "1", "timestamp": "soon"},
        {"name": "A", "value": "1", "timestamp": -1},
        {"name": "A", "value": "1", "timestamp": 10**30},
        {"name": "A", "value": "1", "timestamp": True},
        [{"name": "A", "value": "1"}],
    ],
)
def test_an_odd_body_is_refused(app, body):
    reply = app.post("/settings", body)
    assert (reply.status_code, reply.json()["code"]) == (400, "ER_INVALID_FORMAT")
    assert not UserSetting.objects.exists()


def test_there_is_an_end_to_settings(app, alice, now):
    UserSetting.objects.bulk_create(
        UserSetting(user=alice, name=f"S{n}", value="1", edited_at=now) for n in range(MAX_SETTINGS)
    )
    assert save(app, "F").json()["code"] == "ER_INVALID_FORMAT"
    assert save(app, "2", name="S1").status_code == 200


def test_nobody_sees_the_settings_of_others(app, bob, signed_in):
    save(app, "F")
    assert settings_of(signed_in(bob)) == {}


@pytest.mark.parametrize("method", ["get", "post"])
def test_settings_need_a_token(client, method):
    assert getattr(client, method)("/settings").status_code == 401


@pytest.mark.storage
@pytest.mark.django_db(transaction=True)
def test_of_edits_at_once_the_newest_stays(alice, now, now_s):
    def edit(timestamp):
        def job():
            try:
                return save_setting(
                    user=alice, name="A", value=str(timestamp), timestamp=timestamp, now=now
                )
            except NewerExists:
                return "refused"

        return job

    outcomes = at_once(*[edit(now_s - n) for n in (3, 0, 2, 1)])
    assert set(outcomes) <= {"added", "updated", "refused"}
    assert outcomes.count("added") == 1
    assert UserSetting.objects.get().value == str(now_s)
