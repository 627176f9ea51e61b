"""What the timetable starts and no room can do alone."""

from celery import shared_task
from django.utils import timezone

from ruuvinet import notices
from ruuvinet.history import tidy_history as tidy


@shared_task(name="ruuvinet.tidy_history")
def tidy_history(**_newer: object) -> None:
    """Every hour: rewrite closed partitions, drop expired ones."""
    tidy(timezone.now())


@shared_task(name="ruuvinet.look_for_trouble")
def look_for_trouble(**_newer: object) -> None:
    """Every minute: what operators are to be told of, and what is over."""
    notices.look(timezone.now())
