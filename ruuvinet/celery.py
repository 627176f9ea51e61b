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
app.conf.beat_schedule = {
    # A tick that no worker took within its minute is dropped: the next one does its work.
    # Each kind of worker has its own, to be seen at work: operations.models.Heartbeat.
    "worker-alive": {
        "task": "operations.note_alive",
        "schedule": 60.0,
        "kwargs": {"part": "worker"},
        "options": {"expires": 55},
    },
    "delivery-worker-alive": {
        "task": "operations.note_alive",
        "schedule": 60.0,
        "kwargs": {"part": "delivery worker"},
        "options": {"expires": 55, "queue": "delivery"},
    },
    "sweep": {"task": "alerts.sweep", "schedule": 60.0, "options": {"expires": 55}},
    "offline": {"task": "alerts.scan_offline", "schedule": 60.0, "options": {"expires": 55}},
    "accounts-sweep": {"task": "accounts.sweep", "schedule": 60.0, "options": {"expires": 55}},
    "notices": {
        "task": "ruuvinet.look_for_trouble",
        "schedule": 60.0,
        "options": {"expires": 55},
    },
    "unused-sessions": {
        "task": "accounts.purge_tokens",
        "schedule": 86400.0,
        "options": {"expires": 3600},
    },
    "audit-trail": {
        "task": "accounts.purge_audit_trail",
        "schedule": 86400.0,
        "options": {"expires": 3600},
    },
    "alert-events": {
        "task": "alerts.purge_events",
        "schedule": 86400.0,
        "options": {"expires": 3600},
    },
    "gateway-history": {
        "task": "gateways.purge_history",
        "schedule": 86400.0,
        "options": {"expires": 3600},
    },
    "ingest-minutes": {
        "task": "gateways.purge_ingest_minutes",
        "schedule": 86400.0,
        "options": {"expires": 3600},
    },
    "partitions": {
        "task": "sensors.ensure_partitions",
        "schedule": 3600.0,
        "options": {"expires": 3500},
    },
    "history": {
        "task": "ruuvinet.tidy_history",
        "schedule": 3600.0,
        "options": {"expires": 3500},
    },
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
