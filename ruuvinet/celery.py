"""The Celery application and its timetable."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ruuvinet.settings")

app = Celery("ruuvinet")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
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
}
