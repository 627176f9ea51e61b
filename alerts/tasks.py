"""What workers and the timetable start. Messages carry ids; the facts are in the database.

Judging and sending wait in different queues. In the embedded set-up one worker with a few threads
serves both: judging, and each channel, keep at most one of its threads busy.
"""

import logging
import threading
import time
from collections.abc import Collection, Iterable
from itertools import islice

from celery import shared_task
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from alerts import delivery, offline, services
from alerts.evaluation import Evaluation
from alerts.evaluation import evaluate_sensors as evaluate
from alerts.models import AlertEvent, Delivery
from alerts.selectors import sensors_behind
from alerts.services import SWEPT_AFTER_S

log = logging.getLogger(__name__)

# In one transaction: many, since each costs the same few statements; but SQLite lets nobody else
# write meanwhile.
ROUND_SENSORS = 100 if settings.EMBEDDED_DATABASE else 1000
SWEEP_SENSORS = 20_000
GATHERING_S = 0.2  # between rounds


class _Judging:
    """Judging in this process: whoever comes meanwhile only leaves sensors behind.

    Many messages become few rounds, since each round costs the same few statements however many
    sensors are in it, and ingest wants the database too. What is left when a process dies, the
    sweep finds.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._judging = threading.Lock()
        self._waiting: dict[int, None] = {}  # as a queue without repeats
        self._last_round = float("-inf")

    def judge(self, sensor_ids: Iterable[int]) -> None:
        """Have `sensor_ids` judged, by this thread or by the one that judges already."""
        self._wait(sensor_ids)
        while self._waiting and self._judging.acquire(blocking=False):
            try:
                while together := self._next_round():
                    self._wait(_evaluate(together))
            finally:
                self._judging.release()

    def _wait(self, sensor_ids: Iterable[int]) -> None:
        with self._guard:
            self._waiting |= dict.fromkeys(sensor_ids)

    def _next_round(self) -> list[int]:
        if self._waiting:
            time.sleep(max(0.0, self._last_round + GATHERING_S - time.monotonic()))
            self._last_round = time.monotonic()
        with self._guard:
            together = list(islice(self._waiting, ROUND_SENSORS))
            for sensor_id in together:
                del self._waiting[sensor_id]
        return together


_judging = _Judging()


@shared_task(name="alerts.evaluate_sensors")
def evaluate_sensors(*, sensor_ids: list[int], **_newer: object) -> None:
    _judging.judge(sensor_ids)


def _evaluate(sensor_ids: list[int]) -> list[int]:
    """Judge them once; those of which more is to be judged, after others had their turn."""
    try:
        _refresh_connection()
        evaluation = evaluate(sensors=sensor_ids, now=timezone.now())
    except Exception:  # whatever it is, one sensor must not keep its neighbours unjudged
        log.exception("judging %d sensors failed", len(sensor_ids))
        return _evaluate_each(sensor_ids) if len(sensor_ids) > 1 else []
    _tell(evaluation)
    return sensor_ids if evaluation.unfinished else []


def _evaluate_each(sensor_ids: Iterable[int]) -> list[int]:
    """One that cannot be judged costs its neighbours nothing."""
    unfinished: list[int] = []
    for sensor_id in sensor_ids:
        try:
            _refresh_connection()
        except OperationalError:  # the sweep comes back
            log.warning("the database cannot be reached, judging waits for the sweep")
            break
        unfinished += _evaluate([sensor_id])
    return unfinished


def _refresh_connection() -> None:
    """Rounds may follow each other for days; a task's end would see to it. Raises OperationalError."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
        connection.ensure_connection()


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
    _judging.judge(int(sensor) for sensor in sensors_behind(now, limit=SWEEP_SENSORS))


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
