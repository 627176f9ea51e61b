"""`/sessions`: see them, end one, end all."""

import pytest

from accounts.models import AccessToken

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(alice, signed_in, clock):
    return signed_in(alice)


def sessions(app):
    return app.get("/sessions").json()["data"]["sessions"]


def test_sessions_are_listed_with_times_in_seconds(app, alice, signed_in, now, clock):
    clock.shift(120)
    other = signed_in(alice)
    other.get("/sessions")
    first, second = AccessToken.objects.order_by("pk")
    at = int(now.timestamp())
    assert sessions(other) == [
        {"id": second.pk, "createdAt": at + 120, "lastAccessed": at + 120, "current": True},
        {"id": first.pk, "createdAt": at, "lastAccessed": at, "current": False},
    ]


def test_nobody_sees_the_sessions_of_others(app, bob, signed_in):
    signed_in(bob)
    assert len(sessions(app)) == 1


def test_an_ended_session_is_answered_401(app, alice, signed_in):
    other = signed_in(alice)
    (ended,) = [session["id"] for session in sessions(app) if not session["current"]]
    assert app.delete(f"/sessions/{ended}").json() == {"result": "success"}
    assert other.get("/sessions").status_code == 401
    assert app.get("/sessions").status_code == 200


def test_all_sessions_end_with_the_callers(app, alice, signed_in):
    other = signed_in(alice)
    assert app.delete("/sessions").json() == {"result": "success"}
    assert [client.get("/sessions").status_code for client in (app, other)] == [401, 401]


def test_the_session_of_another_person_cannot_be_ended(app, bob, signed_in):
    signed_in(bob)
    session = AccessToken.objects.get(user=bob)
    reply = app.delete(f"/sessions/{session.pk}")
    assert (reply.status_code, reply.json()["result"]) == (404, "error")
    assert AccessToken.objects.filter(user=bob).exists()


@pytest.mark.parametrize("session", ["0", "99999999999999999999999", "x", "-1", "1/2"])
def test_an_unknown_session_is_answered_404(app, session):
    reply = app.delete(f"/sessions/{session}")
    assert (reply.status_code, reply.json()["result"]) == (404, "error")


@pytest.mark.parametrize(("method", "url"), [("get", "/sessions"), ("delete", "/sessions/1")])
def test_sessions_need_a_token(client, method, url):
    assert getattr(client, method)(url).status_code == 401
