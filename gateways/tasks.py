"""What the timetable starts."""

from celery import shared_task
from django.utils import timezone

from gateways.models import IngestMinute


@shared_task(name="gateways.purge_ingest_minutes")
def purge_ingest_minutes(**_newer: object) -> None:
    IngestMinute.objects.filter(minute__lt=timezone.now() - IngestMinute.KEPT).delete()
