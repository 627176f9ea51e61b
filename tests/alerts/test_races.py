"""Many workers, one truth: threads with their own connections to a real database."""

from datetime import timedelta
from functools import partial

import pytest

from alerts.delivery import claim_deliveries
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
