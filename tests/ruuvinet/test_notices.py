"""Operators' notices: what is told, once, and what is not."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.mail import queue_mail, render
from accounts.models import OutgoingMail, User
from alerts.models import ListeningSpan
from alerts.offline import Listening
from gateways.models import Gateway, GatewayReset
from operations.models import Heartbeat, Notice
from operations.services import note_alive
from ruuvinet import notices
from ruuvinet.lib.mac import Mac
from tests.threads import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BARN = Mac(0xC8252D000001)


def stamp(at):
    return int(at.timestamp())


def listened(since, until):
    ListeningSpan.objects.create(since=stamp(since), until=stamp(until))


def live(at):
    """All parts are at work at `at`, and readings are taken in."""
    for part in Heartbeat.PARTS:
        note_alive(part, at)
    span = ListeningSpan.objects.order_by("-until").first()
    ListeningSpan.objects.filter(pk=span.pk).update(until=stamp(at))


def look(at):
    live(at)
    look_only(at)


def look_only(at):
    notices.look(at)
    OutgoingMail.objects.update(status=OutgoingMail.Status.SENT)  # its words are kept


def texts():
    """Subject and words of each mail, oldest first."""
    return [render(mail)[:2] for mail in OutgoingMail.objects.order_by("pk")]


def seen(at, mac=BARN):
    Gateway.objects.filter(mac=mac).update(last_seen_at=at)


@pytest.fixture(autouse=True)
def _partitions_lie_ahead(monkeypatch):
    """They are made for the clock of the machine, and these tests live in another year."""
    monkeypatch.setattr("ruuvinet.health.covered_until", lambda _found, now: now + 30 * 86400)


@pytest.fixture
def anna(db):
    return operator("anna@example.com")


def operator(email):
    return User.objects.create_user(email, is_staff=True, is_superuser=True, wants_notices=True)


@pytest.fixture
def barn(anna):
    """A gateway that posted just now, in an installation that has run for two days."""
    listened(NOW - 48 * HOUR, NOW)
    return Gateway.objects.create(
        mac=BARN, name="Barn", whitelisted_at=NOW - 48 * HOUR, last_seen_at=NOW
    )


# --- Silence -----------------------------------------------------------------------------------
def test_a_gateway_that_falls_silent_is_told_once_and_once_when_it_is_back(barn):
    for minutes in range(0, 40, 5):
        look(NOW + minutes * MINUTE)
    ((subject, words),) = texts()
    assert subject == "RuuviNet: 1 to look at"
    assert f"Barn ({BARN}): It is silent" in words
    assert "Check its power" in words
    assert "/admin/operations/notice/" in words
    seen(NOW + 41 * MINUTE)
    look(NOW + 41 * MINUTE)
    look(NOW + 42 * MINUTE)
    _, (subject, words) = texts()
    assert subject == "RuuviNet: 1 over"
    assert "silent gateway" in words
    notice = Notice.objects.get()
    assert notice.told_at == NOW + 20 * MINUTE
    assert notice.over_at == NOW + 41 * MINUTE


def test_silence_is_not_told_before_a_quarter_of_an_hour(barn):
    look(NOW + 14 * MINUTE)
    assert not Notice.objects.exists()


def test_nobody_is_told_that_all_are_silent_after_we_were_down(barn):
    back = NOW + 3 * HOUR
    listened(back, back)
    look(back)
    look(back + 10 * MINUTE)
    assert not Notice.objects.exists()
    seen(back + 10 * MINUTE)
    look(back + 16 * MINUTE)
    assert not OutgoingMail.objects.exists()


def test_whoever_stays_silent_after_we_were_down_is_told(barn):
    back = NOW + 3 * HOUR
    listened(back, back)
    look(back + 16 * MINUTE)
    assert Notice.objects.get().told_at


def test_what_was_told_before_we_were_down_is_not_told_again(barn):
    look(NOW + 20 * MINUTE)
    back = NOW + 3 * HOUR
    listened(back, back)
    for minutes in (0, 1, 20):
        look(back + minutes * MINUTE)
    assert OutgoingMail.objects.count() == 1


@pytest.mark.parametrize("state", [{"whitelisted_at": None}, {"last_seen_at": None}])
def test_a_gateway_that_never_posted_or_may_not_is_no_trouble(barn, state):
    Gateway.objects.update(**state)
    look(NOW + HOUR)
    assert not Notice.objects.exists()


def test_a_gateway_that_is_blacklisted_troubles_nobody_any_more(barn):
    look(NOW + 20 * MINUTE)
    Gateway.objects.update(whitelisted_at=None)
    look(NOW + 21 * MINUTE)
    assert Notice.objects.get().over_at


def test_many_at_once_are_one_mail_and_no_more_queries(barn, django_assert_num_queries):
    def add(first, count, at):
        Gateway.objects.bulk_create(
            Gateway(mac=Mac(BARN + n), whitelisted_at=NOW - HOUR, last_seen_at=at)
            for n in range(first, first + count)
        )

    live(NOW + 20 * MINUTE)
    with CaptureQueriesContext(connection) as few:
        notices.look(NOW + 20 * MINUTE)
    add(1, 50, NOW + 20 * MINUTE)
    live(NOW + 40 * MINUTE)
    with django_assert_num_queries(len(few)):
        notices.look(NOW + 40 * MINUTE)
    subject, words = texts()[1]
    assert subject == "RuuviNet: 50 to look at"
    assert "and 30 more" in words


# --- Refusals and restarts -----------------------------------------------------------------------
def refused(at):
    Gateway.objects.update(rejected_at=at, rejection="signature", last_seen_at=at)


def test_one_refused_post_is_not_told(barn):
    refused(NOW)
    for minutes in (0, 20, 40):
        seen(NOW + minutes * MINUTE)
        look(NOW + minutes * MINUTE)
    assert Notice.objects.get().told_at is None
    seen(NOW + 61 * MINUTE)
    look(NOW + 61 * MINUTE)
    assert not Notice.objects.exists()  # nobody heard of it, so nobody hears that it is over
    assert not OutgoingMail.objects.exists()


def test_a_gateway_that_is_refused_again_and_again_is_told_with_what_to_do(barn):
    for minutes in range(0, 15, 2):
        refused(NOW + minutes * MINUTE)
        look(NOW + minutes * MINUTE)
    ((_, words),) = texts()
    assert "wrong signature" in words
    assert "Blacklist it, and whitelist it again" in words
    assert Notice.objects.get().told_at == NOW + 10 * MINUTE


def test_a_gateway_that_restarts_too_often_is_told(barn):
    for hours in range(notices.RESTARTS_TOLD):
        assert not Notice.objects.exists()
        at = NOW - hours * HOUR
        GatewayReset.objects.create(gateway=barn, seen_at=at, reason="PANIC", count=hours)
        look(NOW)
    assert "It restarted 5 times within a day." in texts()[0][1]
    seen(NOW + 25 * HOUR)
    look(NOW + 25 * HOUR)
    assert Notice.objects.get().over_at


# --- Parts and queues ----------------------------------------------------------------------------
def test_a_part_that_is_away_for_five_minutes_is_told(barn):
    for minutes in range(3, 9):
        live(NOW + minutes * MINUTE)
        note_alive(Heartbeat.DELIVERY, NOW)
        notices.look(NOW + minutes * MINUTE)
    notice = Notice.objects.get()
    assert (notice.what, notice.about) == ("part", Heartbeat.DELIVERY)
    assert (notice.since, notice.told_at) == (NOW + 3 * MINUTE, NOW + 8 * MINUTE)
    assert "last seen at work" in texts()[0][1]


def test_a_part_that_was_away_for_a_restart_is_not_told(barn):
    live(NOW + 3 * MINUTE)
    note_alive(Heartbeat.DELIVERY, NOW)
    notices.look(NOW + 3 * MINUTE)
    assert Notice.objects.get().told_at is None
    look(NOW + 4 * MINUTE)
    assert not Notice.objects.exists()


def test_ingest_that_stopped_is_told_and_nothing_is_called_silent_meanwhile(barn):
    for minutes in range(2, 40):
        for part in Heartbeat.PARTS:
            note_alive(part, NOW + minutes * MINUTE)
        look_only(NOW + minutes * MINUTE)
    assert [(each.what, each.about) for each in Notice.objects.all()] == [("part", "ingest")]
    assert "takes nothing in" in texts()[0][1]


def test_a_queue_that_does_not_move_is_told(barn):
    queue_mail("SensorContested", to="x@example.com", variables={}, at=NOW)
    for minutes in (4, 6, 12):
        seen(NOW + minutes * MINUTE)
        live(NOW + minutes * MINUTE)
        notices.look(NOW + minutes * MINUTE)
    notice = Notice.objects.get()
    assert (notice.what, notice.about) == ("queue", "mails")
    assert (notice.since, notice.told_at) == (NOW + 6 * MINUTE, NOW + 12 * MINUTE)


# --- Who is told -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "change",
    [{"wants_notices": False}, {"is_staff": False}, {"is_active": False}, {"is_superuser": False}],
)
def test_only_those_who_wish_it_and_may_see_notices_in_the_console_are_told(barn, change):
    User.objects.update(**change)
    look(NOW + 20 * MINUTE)
    assert not OutgoingMail.objects.exists()
    assert Notice.objects.get().told_at  # whoever joins later is not told what is old


def test_each_person_gets_a_mail_of_their_own(barn):
    operator("bert@example.com")
    look(NOW + 20 * MINUTE)
    assert {mail.address for mail in OutgoingMail.objects.all()} == {
        "anna@example.com", "bert@example.com",
    }  # fmt: skip


def test_the_name_of_a_gateway_stays_in_its_line(barn):
    Gateway.objects.update(name="Barn\n\nYour password")
    look(NOW + 20 * MINUTE)
    assert f"Barn Your password ({BARN})" in texts()[0][1]
    assert len(json.loads(OutgoingMail.objects.get().variables)["began"]) == 1


@pytest.mark.parametrize(
    ("spans", "listened_s", "begin"),
    [
        ([(0, 1000)], 900, 100),
        ([(0, 1000)], 1001, None),
        ([(0, 1000), (5000, 5300)], 900, 400),
        ([(0, 1000), (5000, 6000)], 900, 5100),
        ([], 1, None),
    ],
)
def test_time_in_which_nobody_listened_does_not_count(spans, listened_s, begin):
    assert Listening(spans, 10_000).begin_of(listened_s) == begin


# --- In the console ----------------------------------------------------------------------------
def test_each_person_chooses_for_themselves(anna):
    console = Client()
    console.force_login(anna)
    url = reverse("admin:operations_notice_tell_me")
    assert console.get(url).context["form"].initial == {"wanted": True}
    console.post(url, {"confirm": "yes"})
    anna.refresh_from_db()
    assert not anna.wants_notices
    console.post(url, {"confirm": "yes", "wanted": "on"})
    anna.refresh_from_db()
    assert anna.wants_notices


def test_open_notices_lead_to_their_gateway(admin_client, barn):
    look(NOW + 20 * MINUTE)
    page = admin_client.get("/admin/operations/notice/", {"state": "open"}).text
    assert f"/admin/gateways/gateway/{BARN}/change/" in page.replace("%3A", ":").replace("_3A", ":")
    assert (
        admin_client.get("/admin/operations/notice/", {"state": "over"}).context["cl"].result_count
        == 0
    )


def test_the_first_page_shows_what_was_told_and_is_not_over(admin_client, barn):
    Notice.objects.create(what="refused", about=str(BARN), since=NOW)  # may pass by itself
    Notice.objects.create(what="silent", about=str(BARN), since=NOW, told_at=NOW, over_at=NOW)
    shown = Notice.objects.create(what="part", about="broker", since=NOW, told_at=NOW)
    assert list(admin_client.get("/admin/").context["notices"]) == [shown]


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_tells(barn):
    at = NOW + 20 * MINUTE
    live(at)
    at_once(*2 * [lambda: notices.look(at)])
    assert OutgoingMail.objects.count() == 1
    assert Notice.objects.count() == 1
