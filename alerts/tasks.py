"""What workers and the timetable start. Messages carry ids; the facts are in the database.

Judging and sending wait in different queues. In the embedded set-up one worker with a few threads
serves both, and each channel keeps at most one of its threads busy: alerts.delivery.
"""

import logging
from collections.abc import Collection, Iterable

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from alerts import delivery, offline, services
from alerts.evaluation import Evaluation
from alerts.evaluation import evaluate_sensors as evaluate
from alerts.models import AlertEvent, Delivery
from alerts.selectors import sensors_behind
from alerts.services import SWEPT_AFTER_S
from ruuvinet.lib.mac import Mac

log = logging.getLogger(__name__)

# In one transaction: many, since each costs the same few statements; but SQLite lets nobody else
# write meanwhile.
ROUND_SENSORS = 100 if settings.EMBEDDED_DATABASE else 1000
SWEEP_SENSORS = 20_000


@shared_task(name="alerts.evaluate_sensors")
def evaluate_sensors(*, sensor_ids: list[int], **_newer: object) -> None:
    for start in range(0, len(sensor_ids), ROUND_SENSORS):
        together = sensor_ids[start : start + ROUND_SENSORS]
        try:
            _evaluate(together)
        except Exception:
            if len(sensor_ids) == 1:
                raise
            log.exception("judging %d sensors failed; each is judged alone", len(together))
            _evaluate_each(together)


def _evaluate_each(sensor_ids: Iterable[int]) -> None:
    for sensor_id in sensor_ids:
        try:
            _evaluate([sensor_id])
        except Exception:  # its neighbours must not wait for it
            log.exception("judging %s", Mac(sensor_id))


def _evaluate(sensor_ids: list[int]) -> None:
    unfinished = True
    while unfinished:
        evaluation = evaluate(sensors=sensor_ids, now=timezone.now())
        _tell(evaluation)
        unfinished = evaluation.unfinished


@shared_task(name="alerts.scan_offline")
def scan_offline(**_newer: object) -> None:
    """Every minute: which sensors are silent?"""
    _tell(offline.scan(timezone.now()))


@shared_task(name="alerts.deliver")
def deliver(*, channel: str = "", delivery_id: int = 0, **_newer: object) -> None:
    """Send what is due on `channel`.

    A message from before an update names a delivery instead; it is found like all others.
    """
    for each in [channel] if channel else Delivery.Channel.values:
        delivery.drain(each)


@shared_task(name="alerts.sweep")
def sweep(**_newer: object) -> None:
    """Every minute: judge and send what a lost wake-up left behind."""
    now = timezone.now()
    AlertEvent.objects.filter(rule=None, resolved_at=None).update(resolved_at=now)
    offline.forget_old_spans(now)
    _wake(delivery.due_channels(now))
    behind = sensors_behind(now, limit=SWEEP_SENSORS)
    if behind:
        evaluate_sensors(sensor_ids=[int(sensor) for sensor in behind])


@shared_task(name="alerts.purge_events")
def purge_events(**_newer: object) -> None:
    services.purge_events(timezone.now())


def _tell(evaluation: Evaluation) -> None:
    for event in evaluation.opened:
        log.info("alert: %s (value %g)", event, event.value)
    _wake(evaluation.channels)


def _wake(channels: Collection[str]) -> None:
    for channel in sorted(channels):
        # By the time it expires the sweep has asked for the same.
        deliver.apply_async(kwargs={"channel": channel}, expires=SWEPT_AFTER_S)
