"""`/metrics`: the same from each process, for whoever knows the token."""

from datetime import timedelta

import pytest
from django.conf import settings as current
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from accounts.models import User
from alerts.delivery import Outcome, note
from alerts.models import AlertEvent, AlertRule, Delivery
from gateways.models import Gateway
from gateways.tally import REASONS, Tally
from operations.models import Heartbeat
from operations.services import note_alive
from ruuvinet.celery import app
from ruuvinet.lib.mac import Mac
from sensors.models import Latest, Sensor
from sensors.partitions import TABLES, ensure_partitions
from tests.gateways.doors import FastLaneClient
from tests.ruuvinet.asgi_server import AsgiServer

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
TOKEN = "tests-only-metrics"


@pytest.fixture(autouse=True)
def _token(settings):
    settings.METRICS_TOKEN = TOKEN


def scrape(client=None, path="/metrics", token=TOKEN):
    return (client or Client()).get(path, headers={"authorization": f"Bearer {token}"})


def samples(reply=None) -> dict[tuple, float]:
    """The value of each name and its labels' values."""
    text = (reply or scrape()).content.decode()
    return {
        (sample.name.removeprefix("ruuvinet_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# --- Who may ask -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer \xff"]
)
def test_another_token_is_refused(given):
    reply = Client().get("/metrics", headers={"authorization": given})

    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert b"ruuvinet_" not in reply.content


@pytest.mark.parametrize("given", ["", " ", TOKEN])
def test_without_a_token_in_the_settings_nobody_may_ask(given, settings):
    settings.METRICS_TOKEN = ""

    assert scrape(token=given).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_the_server_answers_by_whatever_name_it_is_asked():
    with AsgiServer() as FastLaneClient.server:
        for path in ("/metrics", "/metrics/"):
            reply = FastLaneClient().get(
                path, headers={"authorization": f"Bearer {TOKEN}", "host": "10.0.0.5"}
            )
            assert reply.status_code == 200
            assert samples(reply)["database_up",] == 1


# --- Ingest ----------------------------------------------------------------------------------
def test_all_processes_add_to_the_same_counts():
    now = timezone.now()
    for took_s in (0.004, 0.02, 30):  # each in a process of its own
        tally = Tally()
        tally.accept(readings=8, took_s=took_s, in_hand=3)
        tally.refuse("signature")
        tally.commit(1)
        tally.tell(now)
    found = samples()

    assert found["posts_total",] == 3
    assert found["readings_total",] == 24
    assert found["posts_refused_total", "signature"] == 3
    latency = [found["post_duration_seconds_bucket", le] for le in ("0.005", "0.025", "10", "+Inf")]
    assert latency == [1, 2, 2, 3]
    assert found["post_duration_seconds_count",] == 3
    assert found["post_duration_seconds_sum",] == pytest.approx(30.024)
    assert (found["posts_in_hand_bucket", "2"], found["posts_in_hand_bucket", "5"]) == (0, 3)
    assert (found["batch_posts_bucket", "1"], found["batch_posts_sum",]) == (3, 3)


def test_a_value_at_the_end_of_a_bucket_belongs_into_it():
    tally = Tally()
    tally.accept(readings=0, took_s=0.005, in_hand=400)
    tally.tell(timezone.now())
    found = samples()

    assert found["post_duration_seconds_bucket", "0.005"] == 1
    assert found["posts_in_hand_bucket", "400"] == 1


def test_each_reason_is_there_before_it_happens():
    assert {name[1] for name in samples() if name[0] == "posts_refused_total"} == set(REASONS)


def test_the_number_of_series_does_not_grow_with_the_fleet(alice):
    before = samples().keys()
    now = timezone.now()
    Gateway.objects.bulk_create(
        Gateway(mac=Mac(number), whitelisted_at=now, last_seen_at=now) for number in range(1, 300)
    )
    Sensor.objects.bulk_create(Sensor(mac=Mac(number), owner=alice) for number in range(1, 300))
    after = samples()

    assert after.keys() == before
    assert after["gateways", "heard"] == 299


# --- Jobs, alerts, history -------------------------------------------------------------------
def test_messages_that_wait_are_counted_by_queue():
    for queue in ("celery", "celery", "delivery"):
        app.send_task("operations.note_alive", kwargs={"part": "worker"}, queue=queue)
    found = samples()

    assert found["broker_up",] == 1
    assert (found["queue_messages", "celery"], found["queue_messages", "delivery"]) == (2, 1)


def test_heartbeats_grow_old():
    note_alive(Heartbeat.BEAT, timezone.now() - timedelta(seconds=100))

    assert samples()["heartbeat_age_seconds", "beat"] == pytest.approx(100, abs=20)


def test_readings_that_wait_for_their_rules_are_the_lag(alice):
    now_s = int(timezone.now().timestamp())
    for number, rules in ((1, True), (2, True), (3, False)):
        sensor = Sensor.objects.create(mac=Mac(number), owner=alice)
        Latest.objects.create(
            sensor=sensor.mac,
            measured_at=now_s - 100 * number,
            gateway=1,
            rssi_dbm=-70,
            payload=b"",
        )
        if rules:
            AlertRule.objects.create(user=alice, sensor=sensor, type="temperature", max=8)
    found = samples()

    assert found["sensors_unjudged",] == 2
    assert found["evaluation_lag_seconds",] == pytest.approx(200, abs=20)


def event_of(user: User, **fields) -> AlertEvent:
    return AlertEvent.objects.create(
        user=user, sensor=1, sensor_name="Fridge", type="temperature", trigger="over",
        value=9.5, threshold=8, opened_at=timezone.now(), **fields,
    )  # fmt: skip


def test_alerts_count_while_they_are_open(alice):
    event_of(alice)
    event_of(alice, resolved_at=timezone.now())

    assert samples()["alerts_open", "temperature"] == 1


def test_attempts_are_counted_by_channel_and_outcome(alice):
    now = timezone.now()
    event, status = event_of(alice), Delivery.Status
    made = [
        Delivery.objects.create(
            event=event, channel="push", address=f"{n}", created_at=now, next_attempt_at=now
        )
        for n in range(5)
    ]
    note([Outcome(made[0], status.PENDING, "later", next_attempt_at=now)], now=now)
    note([Outcome(each, status.SENT, sent_at=now) for each in made[:2]], now=now)
    note([Outcome(made[2], status.FAILED), Outcome(made[3], status.NOT_SENT)], now=now)
    found = samples()

    ends = {
        name[2]: value
        for name, value in found.items()
        if name[:2] == ("delivery_attempts_total", "push")
    }
    assert ends == {"retried": 1, "sent": 2, "failed": 1, "not_sent": 1}
    assert found["delivery_attempts_total", "email", "sent"] == 0
    assert found["deliveries_pending", "push"] == 1


def test_partitions_tell_their_age_and_how_far_they_reach():
    ensure_partitions(int(timezone.now().timestamp()))
    found = samples()

    assert {name[1] for name in found if name[0] == "partitions"} == (
        set() if current.EMBEDDED_DATABASE else set(TABLES)
    )
    for table in TABLES if not current.EMBEDDED_DATABASE else ():
        assert found["partitions", table] >= 1  # sparse ones last a quarter
        assert found["partition_oldest_age_seconds", table] >= 0
        assert 7 * 86400 < found["partitions_ahead_seconds", table] <= 26 * 7 * 86400


# --- What it costs ---------------------------------------------------------------------------
def test_scraping_costs_a_fixed_number_of_queries(django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        scrape()


@pytest.mark.django_db(transaction=True)
def test_without_a_database_only_that_is_told(monkeypatch):
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    monkeypatch.setitem(connection.settings_dict, "NAME", "/nowhere/at/all")

    assert samples() == {("database_up",): 0}
