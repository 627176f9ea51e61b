"""How often a person may call."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from subscriptions.limits import Limits
from subscriptions.throttling import CALLS, HEADROOM, quota

NOW = datetime(2026, 4, 1, 12, 0, 30, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def app(alice, signed_in, monkeypatch):
    """Alice's, whose plan allows nine calls a minute: one sensor, ten days."""
    small = Limits(max_claims=1, max_history_days=10)
    monkeypatch.setattr(
        "subscriptions.throttling.limits_for", lambda users, at: dict.fromkeys(users, small)
    )
    return signed_in(alice)


@pytest.mark.parametrize(
    ("claims", "days", "calls"),
    [(25, 90, 209), (25, 99, 209), (1, 0, 8), (1000, 3650, 8365)],
)
def test_calls_a_minute_follow_from_the_plan(claims, days, calls):
    assert quota(Limits(max_claims=claims, max_history_days=days)) == calls


def test_more_calls_than_the_plan_allows_are_refused_until_the_minute_is_over(app, clock):
    assert [app.get("/sessions").status_code for _ in range(9)] == [200] * 9
    reply = app.get("/sessions", headers={"Origin": "https://station.ruuvi.com"})
    assert reply.status_code == 429
    assert reply.json() == {
        "result": "error",
        "error": "Too many requests.",
        "code": "ER_THROTTLED",
    }
    assert reply["Retry-After"] == "30"
    assert reply["Access-Control-Allow-Origin"] == "*"
    clock.shift(30)
    assert app.get("/sessions").status_code == 200


def test_what_apps_call_by_themselves_is_refused_a_little_later(app, alice):
    for _ in range(9):
        CALLS.count(str(alice.pk), NOW)
    assert app.get("/settings").status_code == 200
    assert app.get("/sessions").status_code == 429
    for _ in range(int(9 * HEADROOM)):
        CALLS.count(str(alice.pk), NOW)
    assert app.get("/settings").status_code == 429


def test_all_sessions_of_a_person_count_together_and_nobody_elses(app, alice, bob, signed_in):
    for _ in range(10):
        app.get("/sessions")
    assert signed_in(alice).get("/sessions").status_code == 429
    assert signed_in(bob).get("/sessions").status_code == 200


def test_preflights_and_refused_tokens_are_not_counted(app, client):
    for _ in range(20):
        app.options("/sessions")
        assert client.get("/sessions").status_code == 401
    assert app.get("/sessions").status_code == 200


def test_the_plan_is_looked_up_once_a_minute(app, clock, django_assert_num_queries):
    app.get("/sessions")
    clock.shift(timedelta(seconds=10))
    with django_assert_num_queries(2):  # the token and the sessions, not the plan
        app.get("/sessions")
