"""The first page of the console: what it counts, where each number leads, what it costs."""

from datetime import timedelta

import pytest
from celery import current_app
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from alerts.models import AlertEvent, AlertRule, Delivery, EvaluationMark
from alerts.selectors import alert_counts, backlog
from alerts.services import note_listening
from gateways.models import Gateway, IngestMinute
from gateways.services import blacklist, note_rejection, whitelist
from operations.models import Heartbeat
from operations.services import note_alive
from ruuvinet.lib.mac import Mac
from sensors.models import Latest, Sensor

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
INDEX = "/admin/"
KEY = "40:98:A7:78:58:1A:E1:38"
MAC = Mac.parse("C8:25:2D:8E:9C:00")
SENSOR = Mac.parse("F4:1F:0C:28:CB:D6")


def numbers(client):
    return {str(each.label): each for each in client.get(INDEX).context["numbers"]}


@pytest.fixture
def fleet():
    """One that reports, two that are silent (one of them refused), three that wait, one refused."""
    now = timezone.now()
    for number in range(3):
        whitelist(mac=Mac(MAC + number), secret=KEY, at=now - timedelta(days=1))
    Gateway.objects.filter(mac=MAC).update(last_seen_at=now)
    wrong = Gateway.Rejection.SIGNATURE
    note_rejection(mac=Mac(MAC + 1), reason=wrong, address="192.0.2.1", at=now)
    unknown = Gateway.Rejection.UNKNOWN
    for number in range(3, 6):
        note_rejection(mac=Mac(MAC + number), reason=unknown, address="192.0.2.9", at=now)
    blacklist(mac=Mac(MAC + 6), at=now)


@pytest.mark.parametrize(
    ("label", "count"),
    [("Gateways reporting", 1), ("Silent", 2), ("Waiting", 3), ("Rejected", 1)],
)
def test_a_number_of_gateways_leads_to_just_these(admin_client, fleet, label, count):
    number = numbers(admin_client)[label]
    assert number.value == str(count)
    assert admin_client.get(number.url).context["cl"].result_count == count


@pytest.fixture
def event(alice):
    now = timezone.now()
    sensor = Sensor.objects.create(mac=SENSOR, owner=alice)
    rule = AlertRule.objects.create(user=alice, sensor=sensor, type="temperature", max=8)
    event = AlertEvent.objects.create(
        rule=rule, user=alice, sensor=SENSOR, sensor_name="Fridge", type=rule.type,
        trigger="over", value=9.5, threshold=8, opened_at=now,
    )  # fmt: skip
    Delivery.objects.create(
        event=event, channel=Delivery.Channel.EMAIL, address=alice.email, created_at=now,
        next_attempt_at=now, status=Delivery.Status.FAILED,
    )  # fmt: skip
    return event


@pytest.mark.parametrize("label", ["Alerts open", "Deliveries failed"])
def test_a_number_of_alerting_leads_to_just_these(admin_client, event, label):
    longer_ago = timezone.now() - timedelta(days=1, seconds=1)
    Delivery.objects.create(
        event=event, channel=Delivery.Channel.PUSH, address="a phone", created_at=longer_ago,
        next_attempt_at=longer_ago, status=Delivery.Status.FAILED,
    )  # fmt: skip
    number = numbers(admin_client)[label]
    assert (number.value, number.is_bad) == ("1", True)
    assert admin_client.get(number.url).context["cl"].result_count == 1


def heard(event, *, judged, measured):
    """The sensor of `event` was heard so many seconds ago, and judged to so many ago."""
    now = int(timezone.now().timestamp())
    Latest.objects.create(
        sensor=SENSOR, measured_at=now - measured, gateway=MAC, rssi_dbm=-60, payload=b""
    )
    EvaluationMark.objects.create(sensor=event.rule.sensor, evaluated_to=now - judged)


@pytest.mark.parametrize(
    ("judged", "measured", "waits"),
    [(0, 0, False), (60, 2, False), (60, 30, True), (3600, 2, True)],
)
def test_readings_that_nobody_judges_are_told(admin_client, event, judged, measured, waits):
    heard(event, judged=judged, measured=measured)
    number = numbers(admin_client)["Oldest unjudged reading"]
    assert number.is_bad == waits
    assert (backlog(timezone.now()).sensors == 1) == waits
    assert admin_client.get(number.url).context["cl"].result_count == waits


def test_the_size_of_the_database_is_its_size(admin_client):
    value, unit = numbers(admin_client)["Database"].value.split("\xa0")
    assert float(value) > 0
    assert unit in {"KB", "MB"}


def parts(client):
    return {str(part.name): part for part in client.get(INDEX).context["parts"]}


def test_a_fresh_system_is_not_called_well_before_it_gave_a_sign(admin_client):
    found = parts(admin_client)
    assert [name for name, part in found.items() if part.is_well] == ["Broker"]


def test_signs_of_life_make_all_well(admin_client):
    now = timezone.now()
    note_listening(now)
    for part in Heartbeat.PARTS:
        note_alive(part, now)
    assert all(part.is_well for part in parts(admin_client).values())


def test_a_worker_that_stopped_is_told_within_minutes(admin_client):
    note_alive(Heartbeat.WORKER, timezone.now() - timedelta(minutes=3, seconds=1))
    part = parts(admin_client)["Worker: judging"]
    assert not part.is_well
    assert "3\xa0minutes ago" in part.state


if settings.REDIS_URL:  # a folder is never unreachable

    def test_a_broker_that_is_gone_is_told_and_holds_up_nobody(admin_client, monkeypatch):
        monkeypatch.setattr(current_app.conf, "broker_read_url", "redis://127.0.0.1:1/0")
        part = parts(admin_client)["Broker"]
        assert (part.is_well, part.state) == (False, "unreachable")


def test_it_costs_a_dozen_queries_and_none_over_the_history(
    admin_client, fleet, event, django_assert_max_num_queries
):
    admin_client.get(INDEX)
    with django_assert_max_num_queries(12) as queries:
        admin_client.get(INDEX)
    assert not any("measurement" in query["sql"] for query in queries.captured_queries)


def test_deliveries_are_counted_from_an_index(event):
    if connection.vendor == "postgresql":  # which reads tables of a few pages instead
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    with CaptureQueriesContext(connection) as queries:
        alert_counts(timezone.now())
    explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with connection.cursor() as cursor:
        cursor.execute(explain + queries[0]["sql"])
        assert "delivery_by_time" in str(cursor.fetchall())


def test_who_may_see_one_thing_sees_no_numbers_of_others(fleet, event):
    user = User.objects.create_superuser("helper@example.com", "password")
    User.objects.filter(pk=user.pk).update(is_superuser=False)
    user.user_permissions.add(Permission.objects.get(codename="view_gateway"))
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    assert set(numbers(client)) == {"Gateways reporting", "Silent", "Waiting", "Rejected"}
    page = client.get(INDEX).content.decode()
    assert "Fridge" not in page
    assert reverse("admin:accounts_user_changelist") not in page


def test_no_page_of_the_console_may_run_what_does_not_come_from_here(admin_client, client):
    for page in (admin_client.get(INDEX), client.get("/admin/login/")):
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "script-src 'self' 'unsafe-eval';" in policy


def test_only_the_console_may_make_functions_from_text(client):
    assert "Content-Security-Policy" not in client.get("/health").headers


def test_the_live_chart_has_a_bar_for_each_minute_also_for_quiet_ones(
    admin_client, django_assert_num_queries
):
    minute = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=5)
    for posts, at in ((2, minute), (9, minute - timedelta(hours=2))):
        IngestMinute.objects.create(minute=at, posts=posts, readings=6 * posts, refused=0)
    with django_assert_num_queries(3):
        (bars,) = admin_client.get(reverse("live"), {"range": "year"}).json()["series"]
    assert dict(zip(bars["t"], bars["mid"], strict=True))[int(minute.timestamp())] == 12
    assert sum(bars["mid"]) == 12
    assert 59 <= len(bars["t"]) <= 60


def test_the_live_chart_is_for_those_who_may_see_gateways(client, django_user_model):
    assert client.get(reverse("live")).status_code == 302
    client.force_login(django_user_model.objects.create_user("viewer@example.com", is_staff=True))
    assert client.get(reverse("live")).status_code == 403


@pytest.mark.parametrize(
    ("dense_days", "sparse_days", "told"),
    [
        (90, 3650, "each minute kept 90 days, each quarter of an hour 3650 days"),
        (1, 30, "each minute kept 1 day, each quarter of an hour 30 days"),
    ],
)
def test_it_says_how_long_history_is_kept(admin_client, settings, dense_days, sparse_days, told):
    settings.DENSE_RETENTION_DAYS, settings.SPARSE_RETENTION_DAYS = dense_days, sparse_days
    assert numbers(admin_client)["Database"].hint == told


def test_every_word_of_ruuvi_is_explained(admin_client):
    page = admin_client.get(reverse("words")).content.decode()
    for word in ("Whitelist", "Claim", "Share", "Dense and sparse", "Movement counter"):
        assert f"<dt>{word}</dt>" in page
