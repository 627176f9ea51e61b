"""`/alerts` as the apps call it."""

import json

import pytest

from alerts.models import AlertRule
from alerts.rules import QUANTITIES
from alerts.services import delete_rules
from ruuvinet.lib.mac import Mac
from sensors.models import Access

pytestmark = pytest.mark.django_db
MAC = "EF:54:4A:E7:1D:9E"
STRANGE = "EF:54:4A:E7:1D:9F"
RULE = {"sensor": MAC, "type": "temperature", "enabled": True, "min": 2, "max": 8}
NOW = 1_775_044_800  # 2026-04-01T12:00:00Z


@pytest.fixture(autouse=True)
def now(time_machine, start):
    """The clock stands, so that what is stored can be compared."""
    time_machine.move_to(start, tick=False)


@pytest.fixture
def app(signed_in, alice, porch):
    return signed_in(alice)


def refused(reply):
    return reply.status_code, reply.json()["error"], reply.json().get("code")


def stored(**fields):
    return {name: getattr(AlertRule.objects.get(), name) for name in fields} == fields


# --- POST ----------------------------------------------------------------------------------
def test_a_new_rule_is_stored_and_answered_with_success(app, alice):
    reply = app.post("/alerts", RULE)
    assert (reply.status_code, reply.json()) == (
        200,
        {"result": "success", "data": {"action": "success"}},
    )
    assert stored(user=alice, type="temperature", min=2, max=8, enabled=True, delay_s=0)


@pytest.mark.parametrize("type_", [*sorted(QUANTITIES), "offline"])
def test_every_type_can_be_posted_and_read(app, type_):
    assert app.post("/alerts", RULE | {"type": type_}).status_code == 200
    (item,) = app.get("/alerts").json()["data"]["sensors"][0]["alerts"]
    limits = (0, 0) if type_ == "movement" else (2, 8)
    assert (item["type"], item["min"], item["max"]) == (type_, *limits)


@pytest.mark.parametrize("body", [{}, {"sensor": MAC}, {"type": "co2"}, {"sensor": None}])
def test_a_body_without_sensor_or_type_misses_an_argument(app, body):
    assert refused(app.post("/alerts", body)) == (
        400,
        "Missing setting sensor, type or enabled.",
        "ER_MISSING_ARGUMENT",
    )


def test_a_sensor_that_is_no_address_is_refused(app):
    assert refused(app.post("/alerts", RULE | {"sensor": "porch"})) == (
        400,
        "Invalid MAC address format",
        "ER_INVALID_MAC_ADDRESS",
    )


@pytest.mark.parametrize("type_", ["Temperature", "RSSI", "voltage", "pm1", "x"])
def test_an_unknown_type_is_refused_by_name(app, type_):
    assert refused(app.post("/alerts", RULE | {"type": type_})) == (
        400,
        f"Invalid type: {type_}",
        "ER_INVALID_ENUM_VALUE",
    )


@pytest.mark.parametrize("missing", ["min", "max"])
def test_a_new_rule_with_one_limit_misses_the_other(app, missing):
    body = {name: value for name, value in RULE.items() if name != missing}
    assert refused(app.post("/alerts", body)) == (
        400,
        "Missing setting min or max argument.",
        "ER_MISSING_ARGUMENT",
    )


def test_a_new_movement_rule_needs_no_limits(app):
    assert app.post("/alerts", {"sensor": MAC, "type": "movement"}).status_code == 200
    assert stored(min=None, max=None, enabled=True)


def test_a_new_offline_rule_needs_no_lower_limit(app):
    assert app.post("/alerts", {"sensor": MAC, "type": "offline", "max": 900}).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"min": "cold"},
        {"min": True},
        {"max": []},
        {"enabled": "perhaps"},
        {"delay": -1},
        {"delay": 10**12},
        {"counter": "x"},
        {"description": "x" * 256},
        {"description": {"a": 1}},
        {"description": "\x00"},
        {"description": "\ud800"},
        {"timestamp": -1},
        {"timestamp": "soon"},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_kind_is_refused(app, wrong):
    reply = app.post("/alerts", json.dumps(RULE | wrong), content_type="application/json")
    assert (reply.status_code, reply.json()["code"]) == (400, "ER_INVALID_FORMAT")
    assert not AlertRule.objects.exists()


@pytest.mark.parametrize("body", ["[]", "7", '"x"', "null", "{", "", '{"sensor":{},"type":[]}'])
def test_a_body_of_another_shape_is_refused(app, body):
    assert app.post("/alerts", body, content_type="application/json").status_code == 400


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_what_is_no_finite_number_is_refused(app, number):
    body = json.dumps(RULE).replace('"min": 2', f'"min": {number}')
    assert app.post("/alerts", body, content_type="application/json").status_code == 400


def test_nobody_gets_in_without_a_token(client):
    assert client.post("/alerts", RULE, content_type="application/json").status_code == 401
    assert client.get("/alerts").status_code == 401


def test_a_stranger_may_not_set_an_alert(signed_in, charlie, porch):
    assert refused(signed_in(charlie).post("/alerts", RULE)) == (403, "Forbidden.", "ER_FORBIDDEN")


def test_an_unknown_sensor_is_as_forbidden_as_a_strangers(app):
    assert refused(app.post("/alerts", RULE | {"sensor": STRANGE}))[0] == 403


def test_whom_a_sensor_is_shared_with_has_alerts_of_his_own(signed_in, app, bob, porch):
    Access.objects.create(user=bob, sensor=porch)
    app.post("/alerts", RULE)
    signed_in(bob).post("/alerts", RULE | {"max": 9})
    assert set(AlertRule.objects.values_list("user__email", "max")) == {
        ("alice@example.com", 8),
        ("bob@example.com", 9),
    }


def test_what_is_absent_or_null_stays(app):
    app.post("/alerts", RULE | {"delay": 60, "description": "door", "enabled": False})
    app.post("/alerts", {"sensor": MAC, "type": "temperature", "max": 9, "description": None})
    assert stored(min=2, max=9, delay_s=60, description="door", enabled=False)


def test_the_web_uis_whole_object_can_be_posted_back(app):
    app.post("/alerts", RULE)
    flat = app.get("/alerts").json()["data"]["alerts"][0]
    body = flat | {"sensor": MAC, "enabled": "true", "extended": {"min": 0}, "max": 9}
    assert app.post("/alerts", body).status_code == 200
    assert stored(max=9, triggered=False)


def test_a_sensor_may_be_spelled_in_small_letters_with_hyphens(app):
    assert app.post("/alerts", RULE | {"sensor": MAC.lower().replace(":", "-")}).status_code == 200


# --- concurrency ---------------------------------------------------------------------------
def test_an_older_edit_does_not_replace_a_newer_one(app):
    app.post("/alerts", RULE | {"timestamp": NOW - 10})
    reply = app.post("/alerts", RULE | {"max": 9, "timestamp": NOW - 11})
    assert refused(reply) == (409, "Newer setting already exists", "ER_CONFLICT")
    assert reply.json()["sub_code"] == "ER_OLD_ENTRY"
    assert stored(max=8)


def test_an_edit_of_the_same_second_is_written(app):
    app.post("/alerts", RULE | {"timestamp": NOW - 10})
    assert app.post("/alerts", RULE | {"max": 9, "timestamp": NOW - 10}).status_code == 200
    assert stored(max=9)


def test_the_edits_time_becomes_last_updated(app):
    app.post("/alerts", RULE | {"timestamp": NOW - 10})
    assert app.get("/alerts").json()["data"]["alerts"][0]["lastUpdated"] == NOW - 10


def test_an_edit_without_a_time_is_one_of_now(app):
    app.post("/alerts", RULE)
    assert app.get("/alerts").json()["data"]["alerts"][0]["lastUpdated"] == NOW


def test_a_rule_that_nobody_edited_yet_may_come_with_zero(app):
    assert app.post("/alerts", RULE | {"timestamp": 0}).status_code == 200
    assert app.post("/alerts", RULE | {"timestamp": 0}).status_code == 409


# --- what counts as reconfiguration --------------------------------------------------------
@pytest.fixture
def triggered(app, start):
    app.post("/alerts", RULE | {"delay": 0, "timestamp": NOW - 60})
    told_at = int(start.timestamp())
    AlertRule.objects.update(
        triggered=True, triggered_at=start, told_at=told_at, breached_since=1, clear_since=2
    )


@pytest.mark.parametrize(
    "change", [{"min": 1}, {"max": 9}, {"enabled": False}, {"delay": 60}], ids=str
)
def test_a_change_resolves_and_forgets_delay_and_quiet_hour(app, triggered, change):
    app.post("/alerts", RULE | change)
    assert stored(triggered=False, told_at=None, breached_since=None, clear_since=None)


@pytest.mark.parametrize(
    "change", [{}, {"description": "new"}, {"timestamp": NOW - 1}, {"min": 2.0}], ids=str
)
def test_a_post_that_changes_nothing_else_leaves_it_triggered(app, triggered, change):
    app.post("/alerts", RULE | change)
    assert stored(triggered=True, breached_since=1, clear_since=2)


def test_a_movement_rule_starts_from_the_last_known_counter(app, hear):
    hear(5.0, after_s=-60, movement=77)
    app.post("/alerts", {"sensor": MAC, "type": "movement"})
    assert stored(counter=77)


def test_a_movement_rule_of_a_sensor_without_data_starts_from_zero(app):
    app.post("/alerts", {"sensor": MAC, "type": "movement"})
    assert stored(counter=0)


def test_a_given_movement_counter_counts(app, hear):
    hear(5.0, after_s=-60, movement=77)
    app.post("/alerts", {"sensor": MAC, "type": "movement", "counter": 3})
    assert stored(counter=3)


def test_another_movement_counter_is_a_reconfiguration(app, start):
    app.post("/alerts", {"sensor": MAC, "type": "movement", "counter": 3})
    AlertRule.objects.update(triggered=True, triggered_at=start)
    app.post("/alerts", {"sensor": MAC, "type": "movement", "counter": 4})
    assert stored(counter=4, triggered=False)


def test_a_repeated_movement_post_without_a_counter_changes_nothing(app, hear, start):
    app.post("/alerts", {"sensor": MAC, "type": "movement"})
    AlertRule.objects.update(triggered=True, triggered_at=start, counter=5)
    hear(5.0, after_s=60, movement=6)  # not judged yet: the post must not swallow it
    app.post("/alerts", {"sensor": MAC, "type": "movement"})
    assert stored(counter=5, triggered=True)


def test_limits_of_a_movement_rule_are_nothing(app):
    app.post("/alerts", RULE | {"type": "movement"})
    assert stored(min=None, max=None)


# --- GET -----------------------------------------------------------------------------------
def test_rules_are_answered_by_sensor_and_flat(app, alice, porch):
    porch.offset_temperature_c = 0.5
    porch.save()
    app.post("/alerts", RULE)
    data = app.get("/alerts").json()["data"]
    item = {
        "type": "temperature",
        "min": 2,
        "max": 8,
        "enabled": True,
        "counter": 0,
        "delay": 0,
        "description": "",
        "triggered": False,
        "triggeredAt": "2026-04-01T12:00:00.000Z",
        "lastUpdated": NOW,
    }
    flat = {"userId": alice.pk, "sensorId": MAC, "offsetHumidity": 0, "offsetPressure": 0}
    assert data["sensors"] == [{"sensor": MAC, "alerts": [item]}]
    assert data["alerts"] == [item | flat | {"offsetTemperature": 0.5}]


def test_a_sensor_without_rules_is_listed_with_none(app):
    assert app.get("/alerts").json()["data"] == {
        "sensors": [{"sensor": MAC, "alerts": []}],
        "alerts": [],
    }


def test_sensors_that_are_merely_public_are_listed_only_with_rules(signed_in, charlie, porch):
    porch.public = True
    porch.save()
    app = signed_in(charlie)
    assert app.get("/alerts").json()["data"]["sensors"] == []
    assert app.post("/alerts", RULE).status_code == 200
    assert len(app.get("/alerts").json()["data"]["alerts"]) == 1


def test_one_sensor_can_be_asked_for(app, alice, rule_for, porch):
    from sensors.services import claim_sensor

    claim_sensor(user=alice, mac=Mac.parse(STRANGE))
    sensors = app.get("/alerts", {"sensor": STRANGE}).json()["data"]["sensors"]
    assert [each["sensor"] for each in sensors] == [STRANGE]


def test_asking_for_no_address_is_refused(app):
    assert refused(app.get("/alerts", {"sensor": "x"}))[::2] == (400, "ER_INVALID_MAC_ADDRESS")


def test_asking_for_a_strangers_sensor_is_forbidden(signed_in, charlie, porch):
    reply = signed_in(charlie).get("/alerts", {"sensor": MAC})
    assert refused(reply) == (403, "Forbidden.", "ER_FORBIDDEN")


def test_rules_of_others_are_not_shown(app, signed_in, bob, porch, rule_for):
    rule_for(bob)
    assert app.get("/alerts").json()["data"]["alerts"] == []


def test_the_answer_costs_the_same_for_many_rules(
    app, alice, rule_for, django_assert_max_num_queries
):
    for type_ in AlertRule.Type.values:
        rule_for(alice, type=type_)
    app.get("/alerts")
    with django_assert_max_num_queries(4):
        assert len(app.get("/alerts").json()["data"]["alerts"]) == len(AlertRule.Type.values)


# --- losing access -------------------------------------------------------------------------
@pytest.mark.parametrize("everybody", [False, True])
def test_rules_vanish_with_the_access_they_need(alice, bob, rule_for, porch, start, everybody):
    rule_for(alice)
    rule_for(bob)
    delete_rules(sensor=porch.mac, users=None if everybody else [bob.pk], at=start)
    assert list(AlertRule.objects.values_list("user", flat=True)) == (
        [] if everybody else [alice.pk]
    )
