"""What workers and the timetable start. Messages carry ids; the facts are in the database."""

import logging
from collections.abc import Iterable

from celery import shared_task
from django.utils import timezone

from alerts import delivery
from alerts.evaluation import evaluate_sensors as evaluate
from alerts.models import AlertEvent, Delivery
from alerts.selectors import sensors_behind
from ruuvinet.lib.mac import Mac

log = logging.getLogger(__name__)

SWEEP_SENSORS = 500
SWEEP_DELIVERIES = 1000


@shared_task(name="alerts.evaluate_sensors")
def evaluate_sensors(*, sensor_ids: list[int], **_newer: object) -> None:
    try:
        _evaluate(sensor_ids)
    except Exception:
        if len(sensor_ids) == 1:
            raise
        log.exception("judging %d sensors together failed; each is judged alone", len(sensor_ids))
        for sensor_id in sensor_ids:
            try:
                _evaluate([sensor_id])
            except Exception:  # its neighbours must not wait for it
                log.exception("judging %s", Mac(sensor_id))


def _evaluate(sensor_ids: list[int]) -> None:
    unfinished = True
    while unfinished:
        evaluation = evaluate(sensors=sensor_ids, now=timezone.now())
        for event in evaluation.opened:
            log.info("alert: %s (value %g)", event, event.value)
        _send(evaluation.delivery_ids)
        unfinished = evaluation.unfinished


@shared_task(name="alerts.deliver")
def deliver(*, delivery_id: int, **_newer: object) -> None:
    delivery.deliver(delivery_id=delivery_id, now=timezone.now())


@shared_task(name="alerts.sweep")
def sweep(**_newer: object) -> None:
    """Every minute: judge and send what a lost wake-up left behind."""
    AlertEvent.objects.filter(rule=None, resolved_at=None).update(resolved_at=timezone.now())
    behind = sensors_behind(limit=SWEEP_SENSORS)
    if behind:
        evaluate_sensors(sensor_ids=[int(sensor) for sensor in behind])
    due = Delivery.objects.due(timezone.now()).order_by("next_attempt_at")
    _send(due.values_list("pk", flat=True)[:SWEEP_DELIVERIES])


def _send(delivery_ids: Iterable[int]) -> None:
    for delivery_id in delivery_ids:
        deliver.delay(delivery_id=delivery_id)
