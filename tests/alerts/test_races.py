"""Many workers, one truth: threads with their own connections to a real database."""

from datetime import timedelta
from functools import partial

import pytest

from alerts import offline
from alerts.delivery import claim_deliveries
from alerts.evaluation import evaluate_sensors
from alerts.models import AlertEvent, Delivery
from alerts.services import edit_rule, note_listening, register_push_token
from tests.threads import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]


def test_racing_workers_make_one_event_and_one_delivery_for_each_phone(
    alice, porch, phone, rule_for, hear, start
):
    register_push_token(user=alice, token="alice-tablet", platform="ios")
    rule_for(alice)
    for round_ in range(1, 6):
        began = 3600 * round_
        hear(9.5, after_s=began)
        hear(5.0, after_s=began + 60)
        hear(5.0, after_s=began + 360)
        now = start + timedelta(seconds=began + 361)
        at_once(*[partial(evaluate_sensors, sensors=[porch.mac], now=now)] * 8)
        assert AlertEvent.objects.count() == round_
        assert Delivery.objects.filter(channel="push").count() == 2 * round_


def test_racing_workers_claim_a_delivery_once(alice, porch, phone, rule_for, hear, start):
    rule_for(alice)
    hear(9.5, after_s=60)
    now = start + timedelta(seconds=61)
    evaluate_sensors(sensors=[porch.mac], now=now)
    claim = partial(claim_deliveries, channel="push", now=now, limit=10)
    assert sorted(map(len, at_once(*[claim] * 8))) == [0, 0, 0, 0, 0, 0, 0, 1]


def test_the_same_alert_posted_at_once_is_one_rule(alice, porch, start):
    post = partial(
        edit_rule,
        user=alice,
        sensor=porch.mac,
        type_="temperature",
        changes={"min": 2.0, "max": 8.0},
        timestamp=None,
        at=start,
    )
    assert len({rule.pk for rule in at_once(*[post] * 6)}) == 1


def test_one_phone_registered_by_many_at_once_is_one_phone(alice, bob, start):
    jobs = [
        partial(register_push_token, user=user, token="t", platform="ios", at=start)
        for user in (alice, bob) * 3
    ]
    assert len({token.pk for token in at_once(*jobs)}) == 1


def test_a_rule_that_changes_while_it_is_judged_is_never_half_of_both(
    alice, porch, phone, rule_for, hear, start
):
    rule = rule_for(alice, updated_at=start)
    for round_ in range(1, 6):
        at = start + timedelta(hours=round_)
        hear(9.5, after_s=3600 * round_)
        changes = {"max": 8.0 + round_ / 10}
        edit = partial(
            edit_rule,
            user=alice,
            sensor=porch.mac,
            type_="temperature",
            changes=changes,
            timestamp=None,
            at=at,
        )
        at_once(partial(evaluate_sensors, sensors=[porch.mac], now=at), edit)
        rule.refresh_from_db()
        open_events = AlertEvent.objects.filter(rule=rule, resolved_at=None).count()
        assert rule.triggered == bool(open_events)


def test_scans_for_silence_at_once_trigger_once(alice, porch, phone, rule_for, hear, start):
    rule_for(alice, type="offline", max=900)
    hear(5.0, after_s=0)
    for second in range(0, 1000, 30):
        note_listening(start + timedelta(seconds=second))
    at_once(*[partial(offline.scan, start + timedelta(seconds=990))] * 6)
    assert AlertEvent.objects.count() == 1
    assert Delivery.objects.filter(channel="push").count() == 1


def test_racing_drains_of_two_processes_send_once(alice, porch, phone, rule_for, hear, start):
    rule_for(alice)
    hear(9.5, after_s=60)
    now = start + timedelta(seconds=61)
    evaluate_sensors(sensors=[porch.mac], now=now)
    claimed = at_once(*[partial(claim_deliveries, channel="email", now=now, limit=5)] * 6)
    assert len([delivery for taken in claimed for delivery in taken]) == 1
