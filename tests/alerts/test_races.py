"""Many workers, one truth: threads with their own connections to a real database."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection

from alerts.delivery import claim_delivery
from alerts.evaluation import evaluate_sensors
from alerts.models import AlertEvent, Delivery
from alerts.services import register_push_token

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]


def at_once(count: int, work: Callable[[], object]) -> list[object]:
    """Run `work` in `count` threads that start together; their results and errors."""
    barrier, results = Barrier(count), []

    def run() -> None:
        try:
            barrier.wait()
            results.append(work())
        except Exception as error:  # noqa: BLE001  # a thread's error must reach the assertion
            results.append(error)
        finally:
            connection.close()

    threads = [Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_racing_workers_make_one_event_and_one_delivery_for_each_phone(
    alice, porch, phone, rule_for, hear, start
):
    register_push_token(user=alice, token="alice-tablet", platform="ios")
    rule_for(alice)
    for round_ in range(1, 6):
        hear(9.5, after_s=120 * round_)
        hear(5.0, after_s=120 * round_ + 60)
        now = start + timedelta(seconds=120 * round_ + 61)
        results = at_once(8, lambda now=now: evaluate_sensors(sensors=[porch.mac], now=now))
        assert [r for r in results if isinstance(r, Exception)] == []
        assert AlertEvent.objects.count() == round_
        assert Delivery.objects.count() == 2 * round_


def test_racing_workers_claim_a_delivery_once(alice, porch, phone, rule_for, hear, start):
    rule_for(alice)
    hear(9.5, after_s=60)
    now = start + timedelta(seconds=61)
    (pk,) = evaluate_sensors(sensors=[porch.mac], now=now).delivery_ids
    claims = at_once(8, lambda: claim_delivery(delivery_id=pk, now=now))
    assert [c for c in claims if isinstance(c, Exception)] == []
    assert len([c for c in claims if c is not None]) == 1
