"""Second factors: set up, asked for, lost; with codes as an authenticator app computes them."""

import base64
import re
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from axes.models import AccessAttempt
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django_otp.oath import TOTP
from rest_framework.exceptions import Throttled

from accounts import second_factor
from accounts.models import AuditEntry, SecondFactor, User
from tests.threads import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
STEP = timedelta(seconds=30)
PAGE = "/admin/second-factor"
PASSWORD = "a long enough password"


def code_of(key, at=NOW):
    totp = TOTP(base64.b32decode(key))
    totp.time = at.timestamp()
    return f"{totp.token():06}"


def wrong_code(key, at=NOW):
    near = {code_of(key, at + n * STEP) for n in (-1, 0, 1)}
    return next(code for code in ("000000", "111111", "222222", "333333") if code not in near)


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def anna():
    return User.objects.create_superuser("anna@example.com", PASSWORD)


@pytest.fixture
def key(anna):
    """Hers is on since an hour ago."""
    key, then = second_factor.new_key(), NOW - timedelta(hours=1)
    assert second_factor.turn_on(anna, key=key, code=code_of(key, then), at=then)
    return key


def signed_in():
    console = Client()
    console.post("/admin/login/", {"username": "anna@example.com", "password": PASSWORD})
    return console


def sealed_in(reply):
    return reply.context["sealed"], reply.context["key"]


# --- Codes -----------------------------------------------------------------------------------
def test_codes_are_those_of_the_standard():
    """RFC 6238, appendix B, SHA-1, its eight digits cut to six."""
    key = base64.b32encode(b"12345678901234567890").decode()
    for at, code in ((59, "287082"), (1111111109, "081804"), (2000000000, "279037")):
        assert second_factor._step_of(key, code, datetime.fromtimestamp(at, UTC), after=-1)


def test_a_code_is_good_for_one_use(anna, key):
    assert second_factor.redeem(anna, code_of(key), NOW)
    assert second_factor.redeem(anna, code_of(key), NOW) is None
    assert second_factor.redeem(anna, code_of(key, NOW - STEP), NOW) is None
    assert second_factor.redeem(anna, code_of(key, NOW + STEP), NOW + STEP)


@pytest.mark.parametrize(("steps", "is_right"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_a_clock_may_be_off_by_half_a_minute(anna, key, steps, is_right):
    assert bool(second_factor.redeem(anna, code_of(key, NOW + steps * STEP), NOW)) == is_right


@pytest.mark.parametrize("code", ["", "12345", "1234567", "\u0661\u0662\u0663\u0664\u0665\u0666"])
def test_what_is_no_code_is_refused(anna, key, code):
    assert second_factor.redeem(anna, code, NOW) is None


@pytest.mark.django_db(transaction=True)
def test_of_two_who_type_one_code_at_once_one_gets_in(anna, key):
    found = at_once(*2 * [lambda: second_factor.redeem(anna, code_of(key), NOW)])
    assert len([each for each in found if each]) == 1


def test_a_key_that_cannot_be_read_lets_nobody_in(anna, key, settings):
    settings.ENCRYPTION_KEYS = [base64.urlsafe_b64encode(b"another".ljust(32, b".")).decode()]
    assert second_factor.redeem(anna, code_of(""), NOW) is None


def test_neither_key_nor_recovery_codes_can_be_read_in_the_database(anna):
    key = second_factor.new_key()
    codes = second_factor.turn_on(anna, key=key, code=code_of(key), at=NOW)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_secondfactor")
        stored = str(cursor.fetchall())
    assert not [secret for secret in (key, *codes) if secret in stored]


def test_a_recovery_code_is_good_once_however_it_is_typed(anna):
    key = second_factor.new_key()
    codes = second_factor.turn_on(anna, key=key, code=code_of(key), at=NOW)
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    assert second_factor.redeem(anna, f" {codes[0].upper().replace('-', ' ')} ", NOW)
    assert second_factor.redeem(anna, codes[0], NOW) is None
    assert len(SecondFactor.objects.get().recovery_digests) == second_factor.RECOVERY_CODES - 1


def test_guessing_is_slow_however_many_addresses_it_comes_from(anna, key):
    for _ in range(second_factor.WRONG_BY_PERSON.limit):
        second_factor.redeem(anna, wrong_code(key), NOW)
    with pytest.raises(Throttled):
        second_factor.redeem(anna, code_of(key), NOW)


# --- Signing in ------------------------------------------------------------------------------
@pytest.mark.parametrize("url", ["/admin/", "/admin/words", "/admin/live", "/admin/accounts/user/"])
def test_no_page_opens_before_the_code(clock, key, url):
    console = signed_in()
    assert console.get(url).headers["Location"].startswith(f"{PAGE}?next=/admin/")


def test_the_right_code_leads_to_the_page_that_was_asked_for(clock, key):
    console = signed_in()
    session = console.session.session_key
    reply = console.post(f"{PAGE}?next=/admin/words", {"code": code_of(key)})
    assert reply.headers["Location"] == "/admin/words"
    assert console.get("/admin/words").status_code == 200
    assert console.session.session_key != session


def test_nobody_is_led_elsewhere(clock, key):
    reply = signed_in().post(f"{PAGE}?next=https://evil.example/", {"code": code_of(key)})
    assert reply.headers["Location"] == "/admin/"


def test_wrong_codes_count_as_wrong_passwords(clock, key, settings):
    console = signed_in()
    for _ in range(settings.AXES_FAILURE_LIMIT - 1):
        assert console.post(PAGE, {"code": wrong_code(key)}).status_code == 200
    assert console.post(PAGE, {"code": wrong_code(key)}).status_code == 429
    assert AccessAttempt.objects.get().failures_since_start == settings.AXES_FAILURE_LIMIT
    assert console.post(PAGE, {"code": code_of(key)}).status_code == 429
    assert signed_in().get("/admin/").headers["Location"].startswith("/admin/login/")


def test_whoever_guesses_too_often_is_told_to_wait(clock, anna, key, monkeypatch):
    monkeypatch.setattr(second_factor.WRONG_BY_PERSON, "limit", 1)
    console = signed_in()
    console.post(PAGE, {"code": wrong_code(key)})
    reply = console.post(PAGE, {"code": code_of(key)})
    assert (reply.status_code, "Too many wrong codes" in reply.text) == (429, True)


def test_a_stranger_is_asked_to_sign_in(client, alice):
    assert client.get(PAGE).headers["Location"].startswith("/admin/login/")
    client.force_login(alice)  # who may not open the console
    assert client.get(PAGE).headers["Location"].startswith("/admin/login/")


# --- Setting up ------------------------------------------------------------------------------
def test_it_is_set_up_with_a_code_and_shows_recovery_codes_once(clock, anna):
    console = signed_in()
    assert console.get("/admin/").status_code == 200  # it is everybody's own choice
    sealed, key = sealed_in(console.get(PAGE))
    reply = console.post(PAGE, {"sealed": sealed, "code": code_of(key)})
    codes = re.findall(r"<code>(\w{5}-\w{5})</code>", reply.text)
    assert len(codes) == second_factor.RECOVERY_CODES
    assert reply.headers["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    assert console.get("/admin/").status_code == 200
    assert codes[0] not in console.get(PAGE).text
    assert signed_in().post(PAGE, {"code": codes[0]}).headers["Location"] == "/admin/"
    assert "Turned on." in AuditEntry.objects.get().action


def test_a_wrong_code_sets_nothing_up_and_keeps_the_key(clock, anna):
    console = signed_in()
    sealed, key = sealed_in(console.get(PAGE))
    reply = console.post(PAGE, {"sealed": sealed, "code": wrong_code(key)})
    assert reply.context["key"] == key
    assert not SecondFactor.objects.exists()


def test_a_key_for_another_person_or_of_yesterday_is_not_taken(clock, anna, alice):
    key = second_factor.new_key()
    others = second_factor.seal(alice, key, NOW)
    old = second_factor.seal(anna, key, NOW - timedelta(hours=2))
    for sealed in (others, old, "nonsense"):
        signed_in().post(PAGE, {"sealed": sealed, "code": code_of(key)})
    assert not SecondFactor.objects.exists()


def test_the_picture_holds_the_key_and_comes_from_here(clock, anna):
    reply = signed_in().get(PAGE)
    assert reply.context["picture"].startswith("data:image/svg+xml")
    assert reply.context["key"] in reply.text


def test_it_is_turned_off_with_a_code_only(clock, anna, key):
    console = signed_in()
    console.post(PAGE, {"code": code_of(key)})
    console.post(PAGE, {"code": wrong_code(key), "off": "1"})
    assert SecondFactor.objects.exists()
    clock.shift(60)
    console.post(PAGE, {"code": code_of(key, NOW + 2 * STEP), "off": "1"})
    assert not SecondFactor.objects.exists()
    assert "Turned off." in AuditEntry.objects.latest("pk").action


def test_question_answered_in_another_tab_does_not_turn_it_off(clock, anna, key):
    console = signed_in()
    console.post(PAGE, {"code": code_of(key)})
    clock.shift(60)
    reply = console.post(PAGE, {"code": code_of(key, NOW + 2 * STEP)})
    assert reply.status_code == 302
    assert SecondFactor.objects.exists()


def test_a_wrong_code_is_kept_nowhere(clock, anna, key):
    signed_in().post(PAGE, {"code": wrong_code(key)})
    assert wrong_code(key) not in AccessAttempt.objects.get().post_data


def test_where_it_is_demanded_nothing_else_opens_before_it_is_set_up(clock, anna, settings):
    settings.SECOND_FACTOR_REQUIRED = True
    console = signed_in()
    assert console.get("/admin/").headers["Location"].startswith(PAGE)
    sealed, key = sealed_in(console.get(PAGE))
    console.post(PAGE, {"sealed": sealed, "code": code_of(key)})
    assert console.get("/admin/").status_code == 200
    other = signed_in()
    assert "sealed" not in other.get(PAGE).context  # no second one without a code of the first


# --- Lost ------------------------------------------------------------------------------------
def test_an_administrator_resets_a_colleagues_which_is_noted(clock, admin_client, anna, key):
    assert "anna@example.com" in admin_client.get("/admin/accounts/user/").text
    chosen = {"action": "reset_second_factor", "_selected_action": [anna.pk]}
    admin_client.post("/admin/accounts/user/", chosen)
    assert not SecondFactor.objects.exists()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.about) == ("admin@example.com", "anna@example.com")
    assert "Reset the second factor" in entry.action
    assert signed_in().get("/admin/").status_code == 200


def test_a_locked_out_administrator_has_a_command(anna, key):
    out = StringIO()
    call_command("reset_second_factor", "Anna@Example.com", stdout=out)
    assert not SecondFactor.objects.exists()
    assert AuditEntry.objects.get().actor == "manage.py"
    for nobody in ("anna@example.com", "nobody@example.com"):
        with pytest.raises(CommandError):
            call_command("reset_second_factor", nobody)


def test_it_costs_people_without_one_no_query(client, anna, django_assert_num_queries):
    client.force_login(anna)
    with django_assert_num_queries(2):  # the session and the person
        client.get("/admin/words")
