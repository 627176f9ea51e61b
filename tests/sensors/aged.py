"""History of long ago, in partitions that no other test uses."""

from django.db import connection, transaction

from ruuvinet.lib.mac import Mac
from sensors import storage
from sensors.models import Measurement, SparseMeasurement
from sensors.partitions import TABLES, WEEK_S, cover, partitions

AGO = 13 * 180 * WEEK_S  # 2014; a partition of dense and one of sparse history begin here
DF5 = bytes.fromhex("0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6")


def fresh_partitions(since=AGO, until=AGO + WEEK_S):
    """Empty partitions from `since` to `until`, as if nobody had rewritten them."""
    for table in TABLES:
        for partition in partitions(table):
            if partition.end > since and partition.start < until:
                with connection.cursor() as cursor:
                    cursor.execute(f"DROP TABLE {partition.name}")
        if connection.vendor == "postgresql":
            cover(table, since, until)


def partition_at(at, table="sensors_measurement"):
    return next(p for p in partitions(table) if p.start <= at < p.end)


def fill(sensors, times):
    """Readings in the order of time, as they come."""
    with transaction.atomic():
        for at in times:
            storage.write([storage.Row(sensor, at, 9, -70, DF5, 5) for sensor in sensors])


def stored(model=Measurement):
    return sorted(model.objects.values_list("sensor", "slot"))


def keys(sensors, times, interval_s=60):
    return sorted({(Mac(sensor), at - at % interval_s) for sensor in sensors for at in times})


def dense_and_sparse():
    return stored(Measurement), stored(SparseMeasurement)
