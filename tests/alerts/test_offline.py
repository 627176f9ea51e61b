"""Silence: told once, and only where it was listened to."""

from datetime import timedelta

import pytest

from alerts import offline
from alerts.evaluation import evaluate_sensors
from alerts.models import AlertEvent, AlertRule, Delivery, ListeningSpan
from alerts.offline import GRACE_S, Listening
from alerts.services import note_listening
from ruuvinet.lib.mac import Mac
from sensors.services import claim_sensor
from subscriptions.models import Subscription

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


@pytest.fixture
def scan(start):
    return lambda after_s: offline.scan(start + timedelta(seconds=after_s))


@pytest.fixture
def listen(start):
    """Ingest listened from one second to another."""

    def listen(since: int, until: int) -> None:
        for second in [*range(since, until, 10), until]:
            note_listening(start + timedelta(seconds=second))

    return listen


@pytest.fixture
def offline_rule(rule_for, alice):
    return rule_for(alice, type="offline", min=0, max=900)


def triggered() -> bool:
    return AlertRule.objects.get().triggered


def test_a_silent_sensor_triggers_once(offline_rule, hear, listen, scan, start, phone):
    hear(5.0, after_s=0)
    listen(0, 1000)
    assert scan(900).opened == []
    (event,) = scan(960).opened
    assert (event.type, event.trigger, event.value, event.threshold) == (
        "offline",
        "over",
        960,
        900,
    )
    assert event.opened_at == start + timedelta(seconds=960)
    assert "push" in Delivery.objects.values_list("channel", flat=True)
    assert scan(1000).opened == []


def test_a_sensor_that_never_had_data_is_not_judged(offline_rule, listen, scan):
    listen(0, 5000)
    assert scan(5000).opened == []


def test_a_reading_resolves_it_after_five_minutes(offline_rule, hear, listen, scan, porch, start):
    hear(5.0, after_s=0)
    listen(0, 2000)
    scan(960)
    for second in (1000, 1280, 1300):
        hear(5.0, after_s=second)
        evaluate_sensors(sensors=[porch.mac], now=start + timedelta(seconds=second))
        assert triggered() == (second < 1300)
    assert AlertEvent.objects.get().resolved_at == start + timedelta(seconds=1300)


def test_an_hour_in_which_nobody_listened_raises_no_alert(offline_rule, hear, listen, scan):
    hear(5.0, after_s=0)
    listen(0, 60)
    listen(3660, 3700)
    assert scan(3700).opened == []


def test_silence_before_and_after_a_gap_is_added_up(offline_rule, hear, listen, scan):
    hear(5.0, after_s=0)
    listen(0, 700)
    listen(4000, 4300)
    assert scan(4200).opened == []
    (event,) = scan(4300).opened
    assert event.value == 1000


def test_after_a_gap_gateways_have_minutes_to_come_back(offline_rule, hear, listen, scan):
    hear(5.0, after_s=0)
    listen(0, 899)
    listen(4000, 4000 + GRACE_S)
    assert scan(4000 + GRACE_S - 1).opened == []
    assert len(scan(4000 + GRACE_S).opened) == 1


def test_a_short_restart_is_no_gap(offline_rule, hear, listen, scan):
    hear(5.0, after_s=0)
    listen(0, 500)
    listen(555, 1000)
    assert len(scan(960).opened) == 1


def test_while_nobody_listens_nothing_is_silent(offline_rule, hear, scan):
    hear(5.0, after_s=0)
    assert scan(90_000).opened == []


def test_a_plan_without_offline_alerts_has_none(offline_rule, hear, listen, scan, alice, start):
    Subscription.objects.create(
        user=alice,
        name="Free",
        starts_at=start,
        ends_at=start + timedelta(days=1),
        offline_alert_allowed=False,
    )
    hear(5.0, after_s=0)
    listen(0, 1000)
    assert scan(960).opened == []


def test_a_disabled_rule_is_not_judged(offline_rule, hear, listen, scan):
    AlertRule.objects.update(enabled=False)
    hear(5.0, after_s=0)
    listen(0, 1000)
    assert scan(960).opened == []


def test_a_delay_begins_with_the_silence_and_ends_with_it(
    rule_for, alice, hear, listen, scan, start
):
    rule_for(alice, type="offline", max=900, delay_s=120)
    hear(5.0, after_s=0)
    listen(0, 3000)
    assert scan(960).opened == []
    hear(5.0, after_s=980)
    assert scan(1020).opened == []
    assert AlertRule.objects.get().breached_since is None
    assert scan(1920).opened == []
    assert len(scan(2040).opened) == 1


@pytest.mark.parametrize("count", [1, 20])
def test_the_scan_costs_the_same_for_many(
    alice, rule_for, hear, listen, scan, django_assert_num_queries, count
):
    for number in range(count):
        sensor = claim_sensor(user=alice, mac=Mac(5_000_000 + number))
        rule_for(alice, sensor=sensor, type="offline", max=900)
        hear(5.0, after_s=0, sensor=sensor.mac)
    listen(0, 1000)
    with django_assert_num_queries(17):
        assert len(scan(960).opened) == count


# --- the heartbeat -------------------------------------------------------------------------
def test_heartbeats_extend_one_row(listen):
    listen(0, 600)
    assert ListeningSpan.objects.count() == 1


def test_a_gap_begins_another_row(listen):
    listen(0, 600)
    listen(700, 800)
    assert ListeningSpan.objects.count() == 2


def test_a_clock_that_is_set_back_begins_another_row_and_counts_nothing_twice(listen, start):
    listen(3600, 4000)
    listen(0, 100)
    spans = [(s.since, s.until) for s in ListeningSpan.objects.all()]
    now = int(start.timestamp()) + 100
    assert Listening(spans, now).since(0) == 100


def test_spans_of_several_processes_count_once():
    assert Listening([(0, 100), (5, 90), (80, 130), (500, 600)], 550).since(50) == 80 + 50


def test_old_spans_are_forgotten(listen, start):
    listen(0, 10)
    offline.forget_old_spans(start + timedelta(days=31))
    assert not ListeningSpan.objects.exists()


def test_an_alert_of_a_plan_that_ended_ends_too(
    offline_rule, hear, listen, scan, porch, start, alice
):
    hear(5.0, after_s=0)
    listen(0, 2000)
    scan(960)
    Subscription.objects.create(
        user=alice, name="Free", starts_at=start, offline_alert_allowed=False
    )
    for second in (1000, 1300):
        hear(5.0, after_s=second)
        evaluate_sensors(sensors=[porch.mac], now=start + timedelta(seconds=second))
    assert not triggered()
    assert AlertEvent.objects.get().resolved_at


def test_a_lower_limit_means_nothing(rule_for, alice, hear, listen, scan):
    rule_for(alice, type="offline", min=900, max=100)
    hear(5.0, after_s=0)
    listen(0, 400)
    (event,) = scan(400).opened
    assert (event.trigger, event.threshold) == ("over", 100)
