"""The Celery application and its timetable."""

import os
from typing import Any

from celery import Celery
from celery.signals import before_task_publish, task_postrun, task_prerun

from ruuvinet.lib.logs import REQUEST_ID
from ruuvinet.lib.timetable import OPTION, Timetable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ruuvinet.settings")

app = Celery("ruuvinet")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.user_options["worker"].add(OPTION)
app.steps["worker"].add(Timetable)


def _every(interval_s: float, task: str, queue: str | None = None, **kwargs: str) -> dict[str, Any]:
    """A tick that no worker took before the next one is dropped: that one does its work."""
    options = {"expires": min(0.9 * interval_s, HOUR_S)} | ({"queue": queue} if queue else {})
    return {"task": task, "schedule": interval_s, "kwargs": kwargs, "options": options}


MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0
app.conf.beat_schedule = {
    # Each kind of worker has its own, to be seen at work: operations.models.Heartbeat.
    "worker-alive": _every(MINUTE_S, "operations.note_alive", part="worker"),
    "delivery-worker-alive": _every(
        MINUTE_S, "operations.note_alive", "delivery", part="delivery worker"
    ),
    "sweep": _every(MINUTE_S, "alerts.sweep"),
    "offline": _every(MINUTE_S, "alerts.scan_offline"),
    "accounts-sweep": _every(MINUTE_S, "accounts.sweep"),
    "notices": _every(MINUTE_S, "ruuvinet.look_for_trouble"),
    "unused-sessions": _every(DAY_S, "accounts.purge_tokens"),
    "audit-trail": _every(DAY_S, "accounts.purge_audit_trail"),
    "alert-events": _every(DAY_S, "alerts.purge_events"),
    "gateway-history": _every(DAY_S, "gateways.purge_history"),
    "ingest-minutes": _every(DAY_S, "gateways.purge_ingest_minutes"),
    "partitions": _every(HOUR_S, "sensors.ensure_partitions"),
    "history": _every(HOUR_S, "ruuvinet.tidy_history"),
}


# --- Which request it was ------------------------------------------------------------------
@before_task_publish.connect
def _pass_on(headers: dict[str, Any], **_: object) -> None:
    """A task that a request starts logs under that request's name,"""
    if name := REQUEST_ID.get():
        headers["request_name"] = name


@task_prerun.connect
def _take_over(task: Any, task_id: str, **_: object) -> None:
    """and one that nobody asked for under its own."""
    REQUEST_ID.set(getattr(task.request, "request_name", None) or task_id)


@task_postrun.connect
def _put_down(**_: object) -> None:
    REQUEST_ID.set("")
