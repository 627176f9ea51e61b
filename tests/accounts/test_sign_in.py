"""`/register` and `/verify`: codes, their limits, and what they do not tell."""

import logging
import re
from datetime import timedelta

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.codes import Purpose, make_code, redeem_code
from accounts.models import AccessToken, OneTimeCode, OutgoingMail, User
from accounts.sign_in import WRONG_BY_ADDRESS, WRONG_IN_TOTAL
from tests.threads import at_once

EMAIL = "matti@meikalainen.com"
EXPIRED = {
    "result": "error",
    "error": "The code is wrong, was used or has expired.",
    "code": "ER_TOKEN_EXPIRED",
}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


def register(app, email=EMAIL, **extra):
    return app.post("/register", {"email": email}, **extra)


def verify(app, code, **extra):
    return app.get("/verify", {"token": code}, **extra)


@pytest.fixture
def code(app, mailed):
    register(app)
    return mailed(EMAIL)["token"]


def test_the_answer_echoes_the_address_in_lower_case(app):
    reply = register(app, "Matti@Meikalainen.COM")
    assert (reply.status_code, reply.json()) == (
        200,
        {"result": "success", "data": {"email": EMAIL}},
    )


def test_a_code_of_four_letters_and_digits_is_mailed_with_a_link(code, mailed):
    assert re.fullmatch(r"[A-Z0-9]{4}", code)
    assert mailed(EMAIL)["link"].endswith(f"/verify?token={code}")


def test_neither_code_nor_mail_is_stored_in_plain_text(code):
    rows = [*OneTimeCode.objects.values_list(), *OutgoingMail.objects.values_list("template")]
    assert code not in str(rows)
    with connection.cursor() as cursor:
        cursor.execute("SELECT variables FROM accounts_outgoingmail")
        assert code not in str(cursor.fetchall())


def test_a_first_sign_in_makes_the_account(app, code):
    data = verify(app, code).json()["data"]
    assert data == {"email": EMAIL, "accessToken": data["accessToken"], "newUser": True}
    user = User.objects.get(email=EMAIL)
    assert not user.has_usable_password()
    app.credentials(HTTP_AUTHORIZATION=data["accessToken"])
    assert app.get("/settings").status_code == 200


def test_a_later_sign_in_keeps_the_account_and_its_other_sessions(app, alice, mailed):
    for _ in range(2):
        register(app, alice.email)
        assert verify(app, mailed(alice.email)["token"]).json()["data"]["newUser"] is False
    assert AccessToken.objects.filter(user=alice).count() == 2


def test_the_code_may_be_typed_in_small_letters(app, code):
    assert verify(app, code.lower()).status_code == 200


def test_a_code_works_once(app, code):
    assert verify(app, code).status_code == 200
    reply = verify(app, code)
    assert (reply.status_code, reply.json()) == (493, EXPIRED)


@pytest.mark.parametrize(("seconds", "status"), [(299, 200), (300, 493)])
def test_a_code_works_for_five_minutes(app, code, clock, seconds, status):
    clock.shift(seconds)
    assert verify(app, code).status_code == status


@pytest.mark.parametrize("code", ["", " ", "AB-D", "ÄÄÄÄ", "A'--", "\0\0\0\0", "٣٣٣٣"])
def test_what_is_no_code_is_answered_403(app, code):
    reply = verify(app, code)
    assert (reply.status_code, reply.json()["code"]) == (403, "ER_UNAUTHORIZED")


def test_a_missing_code_is_answered_403(app):
    assert app.get("/verify").status_code == 403


@pytest.mark.parametrize("code", ["AAAA", "A" * 5000])
def test_a_wrong_code_is_answered_as_a_used_one(app, code):
    reply = verify(app, code)
    assert (reply.status_code, reply.json()) == (493, EXPIRED)


def test_a_deletion_code_does_not_sign_in(app, alice, now):
    code = make_code(Purpose.DELETE_ACCOUNT, email=alice.email, at=now)
    assert verify(app, code).status_code == 493


def test_a_locked_person_cannot_sign_in_and_the_code_is_not_told_apart_by_401(app, alice, mailed):
    User.objects.update(is_active=False)
    register(app, alice.email)
    reply = verify(app, mailed(alice.email)["token"])
    assert (reply.status_code, reply.json()["code"]) == (403, "ER_FORBIDDEN")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": None},
        {"email": ""},
        {"email": "matti"},
        {"email": "matti@"},
        {"email": 5},
        {"email": ["matti@meikalainen.com"]},
        {"email": "a" * 250 + "@b.fi"},
        {"email": "matti@meikalainen.com\0"},
        {"email": "İİ@İ.com"},
    ],
)
def test_what_is_no_address_is_refused(app, body):
    reply = app.post("/register", body)
    assert (reply.status_code, reply.json()["code"]) == (400, "ER_INVALID_EMAIL_ADDRESS")
    assert not OutgoingMail.objects.exists()


def test_half_a_letter_is_no_address(app):
    reply = app.generic("POST", "/register", '{"email": "\\ud800@meikalainen.com"}')
    assert (reply.status_code, reply.json()["code"]) == (400, "ER_INVALID_EMAIL_ADDRESS")


@pytest.mark.parametrize("body", ["", "[]", '"x"', "null", "{", "5", '{"email": NaN}'])
def test_a_body_that_is_no_object_is_refused(app, body):
    reply = app.generic("POST", "/register", body, content_type="text/plain")
    assert reply.status_code == 400
    assert reply.json()["result"] == "error"


def test_unknown_keys_are_ignored(app):
    assert app.post("/register", {"email": EMAIL, "odd": [1]}).status_code == 200


def test_known_and_unknown_people_are_told_and_cost_the_same(app, alice, django_assert_num_queries):
    replies = []
    for email in (alice.email, EMAIL):
        with django_assert_num_queries(7) as queries:
            replies.append(register(app, email))
        shapes = [re.sub(r"'[^']*'|\d+", "?", query["sql"]) for query in queries]
        assert not any("accounts_user" in shape for shape in shapes)
    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].json().keys() == replies[1].json().keys()


class TestSupport:
    def test_the_internal_secret_gets_the_code_without_a_mail(self, app, settings):
        headers = {"X-Internal-Secret": settings.INTERNAL_SECRET}
        data = register(app, headers=headers).json()["data"]
        assert not OutgoingMail.objects.exists()
        assert verify(app, data["token"]).json()["data"]["email"] == data["email"] == EMAIL

    @pytest.mark.parametrize(("secret", "given"), [("right", "wrong"), ("", ""), ("", "x")])
    def test_another_secret_gets_nothing(self, app, settings, secret, given):
        settings.INTERNAL_SECRET = secret
        reply = register(app, headers={"X-Internal-Secret": given})
        assert (reply.status_code, reply.json()["code"]) == (403, "ER_FORBIDDEN")
        assert not OneTimeCode.objects.exists()


class TestLimits:
    def test_ten_codes_an_hour_for_one_address(self, app):
        statuses = [register(app, REMOTE_ADDR=f"192.0.2.{n}").status_code for n in range(1, 12)]
        assert statuses == [200] * 10 + [429]

    def test_ten_codes_an_hour_from_one_network_address(self, app):
        statuses = [register(app, f"p{n}@example.com").status_code for n in range(11)]
        assert statuses == [200] * 10 + [429]

    def test_a_household_of_ipv6_addresses_counts_as_one(self, app):
        statuses = [
            register(app, f"p{n}@example.com", REMOTE_ADDR=f"2001:db8::{n}").status_code
            for n in range(1, 12)
        ]
        assert statuses == [200] * 10 + [429]

    def test_too_many_are_told_when_to_come_back(self, app, clock):
        clock.shift(60)
        for n in range(11):
            reply = register(app, f"p{n}@example.com")
        assert reply.json() == {
            "result": "error",
            "error": "Too many requests.",
            "code": "ER_THROTTLED",
        }
        assert reply["Retry-After"] == "3540"
        clock.shift(3540)
        assert register(app).status_code == 200

    def test_five_wrong_codes_close_an_address_for_five_minutes(self, app, code, clock):
        statuses = [verify(app, "WRONG").status_code for _ in range(5)]
        assert statuses == [493] * 5
        reply = verify(app, code)
        assert (reply.status_code, reply["Retry-After"]) == (429, "300")
        assert verify(app, code, REMOTE_ADDR="192.0.2.1").status_code == 200
        clock.shift(300)
        assert verify(app, "WRONG").status_code == 493

    def test_right_codes_close_nothing(self, app, now):
        for _ in range(20):
            code = make_code(Purpose.SIGN_IN, email=EMAIL, at=now)
            assert verify(app, code).status_code == 200

    def test_when_many_guess_a_code_works_only_where_it_was_asked_for(self, app, mailed, now):
        for _ in range(WRONG_IN_TOTAL.limit):
            WRONG_IN_TOTAL.count("", now)
        register(app, REMOTE_ADDR="192.0.2.1")
        code = mailed(EMAIL)["token"]
        assert verify(app, code, REMOTE_ADDR="192.0.2.9").status_code == 429
        register(app, "other@example.com", REMOTE_ADDR="192.0.2.9")
        assert verify(app, code, REMOTE_ADDR="192.0.2.9").status_code == 493
        assert verify(app, code, REMOTE_ADDR="192.0.2.1").status_code == 200

    def test_wrong_codes_of_a_closed_address_do_not_count_in_total(self, app, now):
        for _ in range(WRONG_BY_ADDRESS.limit + 5):
            verify(app, "WRONG")
        assert WRONG_IN_TOTAL.count("", now) == WRONG_BY_ADDRESS.limit + 1

    def test_without_redis_each_process_counts_for_itself(self, app, settings, caplog):
        redis = "django.core.cache.backends.redis.RedisCache"
        unreachable = {"BACKEND": redis, "LOCATION": "redis://127.0.0.1:1/0"}
        settings.CACHES = settings.CACHES | {"default": unreachable}
        with caplog.at_level(logging.WARNING):
            statuses = [verify(app, "WRONG").status_code for _ in range(6)]
        assert statuses == [493] * 5 + [429]
        assert "without Redis" in caplog.text


class TestCodes:
    def test_live_codes_are_unlike(self, now, monkeypatch):
        letters = iter("AAAAAAAABBBB")
        monkeypatch.setattr("accounts.codes.secrets.choice", lambda _: next(letters))
        codes = [make_code(Purpose.SIGN_IN, email=EMAIL, at=now) for _ in range(2)]
        assert codes == ["AAAA", "BBBB"]

    def test_an_expired_code_makes_room(self, now, monkeypatch):
        monkeypatch.setattr("accounts.codes.secrets.choice", lambda _: "A")
        make_code(Purpose.SIGN_IN, email="old@example.com", at=now)
        later = now + timedelta(minutes=5)
        code = make_code(Purpose.SIGN_IN, email=EMAIL, at=later)
        assert redeem_code(Purpose.SIGN_IN, code, at=later) == EMAIL

    def test_another_server_key_makes_other_digests(self, now, settings):
        code = make_code(Purpose.SIGN_IN, email=EMAIL, at=now)
        settings.SECRET_KEY = "another"
        assert redeem_code(Purpose.SIGN_IN, code, at=now) is None


@pytest.mark.storage
@pytest.mark.django_db(transaction=True)
def test_of_two_who_use_a_code_at_once_one_signs_in(now):
    code = make_code(Purpose.SIGN_IN, email=EMAIL, at=now)
    jobs = [lambda n=n: verify(APIClient(), code, REMOTE_ADDR=f"192.0.2.{n}") for n in range(4)]
    statuses = sorted(reply.status_code for reply in at_once(*jobs))
    assert statuses == [200, 493, 493, 493]
    assert AccessToken.objects.count() == 1


@pytest.mark.storage
@pytest.mark.django_db(transaction=True)
def test_two_codes_of_one_newcomer_used_at_once_make_one_account(now):
    codes = [make_code(Purpose.SIGN_IN, email=EMAIL, at=now) for _ in range(4)]
    replies = at_once(*[lambda code=code: verify(APIClient(), code) for code in codes])
    assert [reply.status_code for reply in replies] == [200] * 4
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_guesses_at_once_no_more_than_five_are_tried():
    replies = at_once(*[lambda: verify(APIClient(), "WRONG") for _ in range(12)])
    assert sorted(reply.status_code for reply in replies) == [429] * 7 + [493] * 5
