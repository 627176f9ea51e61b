"""What the timetable starts."""

from celery import shared_task
from django.utils import timezone

from gateways import history


@shared_task(name="gateways.purge_history")
def purge_history(**_newer: object) -> None:
    history.purge(timezone.now())
