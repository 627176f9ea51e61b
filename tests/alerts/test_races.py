"""Many workers, one truth: threads with their own connections to a real database."""

from datetime import timedelta
from functools import partial

import pytest

from alerts.delivery import claim_delivery
from alerts.evaluation import evaluate_sensors
from alerts.models import AlertEvent, Delivery
from alerts.services import register_push_token
from tests.threads import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]


def test_racing_workers_make_one_event_and_one_delivery_for_each_phone(
    alice, porch, phone, rule_for, hear, start
):
    register_push_token(user=alice, token="alice-tablet", platform="ios")
    rule_for(alice)
    for round_ in range(1, 6):
        hear(9.5, after_s=120 * round_)
        hear(5.0, after_s=120 * round_ + 60)
        now = start + timedelta(seconds=120 * round_ + 61)
        at_once(*[partial(evaluate_sensors, sensors=[porch.mac], now=now)] * 8)
        assert AlertEvent.objects.count() == round_
        assert Delivery.objects.count() == 2 * round_


def test_racing_workers_claim_a_delivery_once(alice, porch, phone, rule_for, hear, start):
    rule_for(alice)
    hear(9.5, after_s=60)
    now = start + timedelta(seconds=61)
    (pk,) = evaluate_sensors(sensors=[porch.mac], now=now).delivery_ids
    claims = at_once(*[partial(claim_delivery, delivery_id=pk, now=now)] * 8)
    assert len([c for c in claims if c is not None]) == 1
