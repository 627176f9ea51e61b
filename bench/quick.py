"""RuuviNet's Celery application for bench.faults: every wait is a SPEEDth, the clock can be set.

`celery -A bench.quick worker` runs the same code as `-A ruuvinet` does. What differs are the
numbers below, and that the clock is read with the seconds added that the file CLOCK_FILE holds.
"""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from django.utils import timezone

SPEED = 20
CLOCK_FILE = Path(os.environ["RUUVINET_DATA"]) / "clock-offset"

_real_now: Callable[[], datetime] = timezone.now


def shifted_now() -> datetime:
    try:
        return _real_now() + timedelta(seconds=float(CLOCK_FILE.read_text() or 0))
    except FileNotFoundError:
        return _real_now()


timezone.now = shifted_now  # before anybody binds it

from ruuvinet.celery import app  # noqa: E402
from ruuvinet.lib import outbox  # noqa: E402

outbox.LEASE /= SPEED
outbox.FIRST_RETRY /= SPEED
outbox.LONGEST_RETRY /= SPEED
for _entry in app.conf.beat_schedule.values():
    _entry["schedule"] /= SPEED
    _entry["options"]["expires"] = 60


@app.on_after_finalize.connect
def _hurry(**_: object) -> None:
    from alerts import delivery
    from alerts.transports.fcm import FcmClient

    quick = partial(FcmClient, timeout_s=10.0 / SPEED)
    delivery.FcmClient = quick  # type: ignore[attr-defined,assignment]
