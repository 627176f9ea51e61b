"""Celery's timetable, which says that it lives."""

import logging
import time
from typing import Any

from celery.beat import PersistentScheduler
from django.db import DatabaseError, connection
from django.utils import timezone

from operations.models import Heartbeat
from operations.services import note_alive

log = logging.getLogger(__name__)

SAID_EVERY_S = 30.0


class Scheduler(PersistentScheduler):
    """Notes its heartbeat with its ticks, of which there is one a minute at least."""

    _said = float("-inf")

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() - self._said >= SAID_EVERY_S:
            self._said = time.monotonic()
            _say()
        return super().tick(*args, **kwargs)


def _say() -> None:
    try:
        note_alive(Heartbeat.BEAT, timezone.now())
    except DatabaseError as error:
        log.warning("no heartbeat, the database cannot be reached: %s", type(error).__name__)
    finally:
        connection.close()  # needed too seldom to be kept
