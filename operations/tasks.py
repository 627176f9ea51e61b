"""What the timetable has every kind of worker do, to see that it does anything."""

from celery import shared_task
from django.utils import timezone

from operations.services import note_alive


@shared_task(name="operations.note_alive")
def note_worker_alive(*, part: str, **_newer: object) -> None:
    note_alive(part, timezone.now())
