"""People with a code: `GET` and `POST /subscription`."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from rest_framework.test import APIClient

from subscriptions.services import register_code

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 4, 1, 12, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)
PATH = "/subscription"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def app(alice, signed_in):
    return signed_in(alice)


def sell(text, *, valid_days=30, name="Pro"):
    register_code(
        text=text, allowance={"name": name, "max_claims": 25}, valid_days=valid_days, at=NOW
    )


def shown(reply):
    assert (reply.status_code, reply.json()["result"]) == (200, "success")
    items = reply.json()["data"]["subscriptions"]
    return [(item["subscriptionName"], item["isActive"]) for item in items]


@pytest.mark.storage
def test_claiming_answers_the_same_list_as_asking(app):
    sell("ABCD-EFGH")
    claimed = app.post(PATH, {"code": "ABCD-EFGH"})

    assert claimed.status_code == 200
    assert claimed.json()["data"]["subscriptions"][0] == {
        "subscriptionName": "Pro",
        "maxClaims": 25,
        "maxShares": 10_000,
        "maxSharesPerSensor": 10,
        "maxHistoryDays": 3650,
        "maxResolutionMinutes": 1,
        "isActive": True,
        "startTime": int(NOW.timestamp()),
        "endTime": int((NOW + 30 * DAY).timestamp()),
        "validDays": 30,
    }
    assert app.get(PATH).json() == claimed.json()


@pytest.mark.parametrize("code", ["abcd-efgh", "ABCDEFGH", " abcdefgh "])
def test_case_and_hyphens_do_not_count(code, app):
    sell("ABCD-EFGH")

    assert shown(app.post(PATH, {"code": code})) == [("Pro", True)]


def test_somebody_without_a_code_has_the_default_plan(app, alice):
    (item,) = app.get(PATH).json()["data"]["subscriptions"]

    assert (item["subscriptionName"], item["isActive"], item["endTime"]) == ("RuuviNet", True, None)
    assert item["startTime"] == int(alice.created_at.timestamp())


def test_after_the_end_the_default_plan_is_back_and_the_old_one_is_history(app, clock):
    sell("ABCD-EFGH", valid_days=30)
    app.post(PATH, {"code": "ABCD-EFGH"})
    clock.move_to(NOW + 30 * DAY)

    assert shown(app.get(PATH)) == [("RuuviNet", True), ("Pro", False)]


def test_several_codes_one_after_another_leave_the_last_one_active(app, clock):
    for number, text in enumerate(["AAAA-AAAA", "BBBB-BBBB", "CCCC-CCCC"]):
        sell(text, name=text[0])
        clock.move_to(NOW + number * DAY)
        reply = app.post(PATH, {"code": text})

    assert shown(reply) == [("C", True), ("B", False), ("A", False)]


def test_an_unknown_code_is_404(app):
    reply = app.post(PATH, {"code": "ABCD-EFGH"})

    assert (reply.status_code, reply.json()) == (
        404,
        {"result": "error", "error": "Code not found", "code": "ER_SUBSCRIPTION_NOT_FOUND"},
    )


def test_a_claimed_code_is_409_for_everybody(app, bob, signed_in):
    sell("ABCD-EFGH")
    app.post(PATH, {"code": "ABCD-EFGH"})
    for client in (app, signed_in(bob)):
        reply = client.post(PATH, {"code": "ABCD-EFGH"})
        assert (reply.status_code, reply.json()) == (
            409,
            {
                "result": "error",
                "error": "Code already claimed",
                "code": "ER_SUBSCRIPTION_CODE_USED",
            },
        )


@pytest.mark.parametrize(
    "body",
    [{}, {"code": None}, {"code": ""}, {"code": "a"}, {"code": "a" * 1000}, {"code": ["ABCD"]},
     {"code": "a\0bcd"}, {"code": True}, [], "x", None],
    ids=repr,
)  # fmt: skip
def test_what_is_no_code_is_400(body, app):
    reply = app.post(PATH, body)

    assert (reply.status_code, reply.json()) == (
        400,
        {"result": "error", "error": "Invalid request format.", "code": "ER_INVALID_FORMAT"},
    )


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_is_401(method):
    reply = getattr(APIClient(), method)(PATH)

    assert (reply.status_code, reply.json()["code"]) == (401, "ER_UNAUTHORIZED")


def test_who_guesses_codes_has_to_wait_and_nobody_else(app, bob, signed_in, clock):
    replies = [app.post(PATH, {"code": f"AAAA-{n:04}"}).status_code for n in range(22)]
    sell("ABCD-EFGH")

    assert replies == [404] * 20 + [429] * 2
    assert app.post(PATH, {"code": "ABCD-EFGH"}).status_code == 429
    assert signed_in(bob).post(PATH, {"code": "BBBB-BBBB"}).status_code == 404
    clock.move_to(NOW + timedelta(minutes=15))
    assert app.post(PATH, {"code": "ABCD-EFGH"}).status_code == 200
