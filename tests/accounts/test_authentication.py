"""The token: its shape, what is stored of it, and who is let in."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.urls import path
from rest_framework.test import APIClient

from accounts.authentication import UserView
from accounts.models import AccessToken
from accounts.services import issue_token, purge_tokens, use_token
from ruuvinet import urls as real
from ruuvinet.lib.views import success

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)


class WhoAmI(UserView):
    def get(self, request):
        return success({"email": self.user.email, "session": self.token.pk})

    def post(self, request):
        raise RuntimeError("a fault of ours")


urlpatterns = [path("who", WhoAmI.as_view()), *real.urlpatterns]
handler404, handler500 = real.handler404, real.handler500
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def who(header=None, **more):
    headers = {} if header is None else {"Authorization": header}
    return APIClient().get("/who", headers={**headers, **more})


def test_the_token_has_the_shape_that_clients_know(alice):
    token = issue_token(alice, NOW)
    assert re.fullmatch(r"[0-9a-f]+/[0-9a-zA-Z]{64}", token)
    assert bytes.fromhex(token.partition("/")[0]).decode() == f"u{alice.pk}"


def test_only_a_hash_of_the_token_is_stored(alice):
    secret = issue_token(alice, NOW).partition("/")[2]
    stored = AccessToken.objects.values().get()
    assert secret not in str(stored)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "{}", "  Bearer   {} "])
def test_the_token_lets_in_with_and_without_the_word(alice, form):
    with time_machine.travel(NOW, tick=False):
        reply = who(form.format(issue_token(alice, NOW)))
    assert (reply.status_code, reply.json()["data"]["email"]) == (200, "alice@example.com")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YWxpY2U6YWxpY2U=",
        "7531/" + "a" * 64,
        "Bearer 7531/" + "a" * 64,
        "Bearer 7531/short",
        "Bearer /" + "a" * 64,
        "Bearer \0",
        "Bearer 7531/" + "é" * 64,
        "Bearer " + "a" * 10_000,
    ],
)
def test_what_is_no_live_token_is_answered_401(header):
    reply = who(header)
    assert reply.status_code == 401
    assert reply.json() == {
        "result": "error",
        "error": "Unauthorized request.",
        "code": "ER_UNAUTHORIZED",
    }
    assert reply["WWW-Authenticate"] == "Bearer"


def test_another_persons_id_does_not_go_with_the_secret(alice, bob):
    secret = issue_token(alice, NOW).partition("/")[2]
    assert use_token(f"{f'u{bob.pk}'.encode().hex()}/{secret}", NOW) is None


def test_a_person_may_have_many_sessions(alice):
    tokens = [issue_token(alice, NOW) for _ in range(3)]
    assert all(use_token(token, NOW) for token in tokens)


def test_a_locked_person_is_not_let_in(alice):
    token = issue_token(alice, NOW)
    alice.is_active = False
    alice.save()
    assert use_token(token, NOW) is None


def test_use_is_noted_at_most_once_a_minute(alice, django_assert_num_queries):
    token = issue_token(alice, NOW)
    with django_assert_num_queries(1):
        use_token(token, NOW + timedelta(seconds=59))
    assert AccessToken.objects.get().last_used_at == NOW
    with django_assert_num_queries(2):
        use_token(token, NOW + timedelta(seconds=60))
    assert AccessToken.objects.get().last_used_at == NOW + timedelta(seconds=60)


@pytest.mark.parametrize(("days", "lives"), [(179, True), (180, False)])
def test_a_token_unused_for_180_days_is_dead_and_purged(alice, days, lives):
    token = issue_token(alice, NOW)
    at = NOW + timedelta(days=days)
    assert purge_tokens(at) == (0 if lives else 1)
    assert (use_token(token, at) is not None) is lives


ORIGIN = {"Origin": "https://station.ruuvi.com"}


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("get", "/who", 401),
        ("get", "/nowhere", 404),
        ("delete", "/who", 401),
        ("post", "/who", 500),
    ],
)
def test_errors_are_json_and_readable_from_another_origin(alice, signed_in, method, url, status):
    client = signed_in(alice) if status == 500 else APIClient()
    client.raise_request_exception = False
    reply = getattr(client, method)(url, headers=ORIGIN)
    assert (reply.status_code, reply["Content-Type"]) == (status, "application/json")
    assert reply["Access-Control-Allow-Origin"] == "*"
    assert reply.json()["result"] == "error"


def test_an_unknown_method_is_answered_405_in_json(alice, signed_in):
    reply = signed_in(alice).put("/who", {}, headers=ORIGIN)
    assert (reply.status_code, reply.json()["result"]) == (405, "error")
    assert reply["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("url", ["/who", "/record", "/any/where"])
def test_a_preflight_is_answered_without_a_token(url):
    asks = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x"}
    reply = APIClient().options(url, headers={**ORIGIN, **asks})
    assert reply.status_code == 200
    assert reply["Access-Control-Allow-Origin"] == "*"
    assert reply["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert reply["Access-Control-Allow-Methods"] == "GET, POST, PUT, DELETE, OPTIONS"
    assert reply["Access-Control-Max-Age"] == "86400"


def test_options_without_an_origin_needs_no_token_either():
    assert APIClient().options("/who").json() == {"result": "success"}


def test_the_console_is_for_its_own_origin_only(client):
    assert "Access-Control-Allow-Origin" not in client.get("/admin/login/", headers=ORIGIN)


@pytest.mark.parametrize("megabytes", [1.1, 3])
def test_a_huge_body_is_answered_413(internal_post, megabytes):
    reply = internal_post("[" + "1," * int(megabytes * 500_000) + "1]")
    assert (reply.status_code, reply.json()["code"]) == (413, "ER_INVALID_FORMAT")
    assert reply["Access-Control-Allow-Origin"] == "*"


@pytest.fixture
def internal_post(settings):
    def post(body):
        return APIClient().post(
            "/whitelist",
            body,
            content_type="text/plain",
            headers={**ORIGIN, "X-Internal-Secret": settings.INTERNAL_SECRET},
        )

    return post
