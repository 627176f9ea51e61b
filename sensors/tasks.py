import time

from celery import shared_task

from sensors import partitions


@shared_task(name="sensors.ensure_partitions")
def ensure_partitions(**_newer: object) -> None:
    partitions.ensure_partitions(int(time.time()))
