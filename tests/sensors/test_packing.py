"""The migration that made rows of history smaller keeps every one of them."""

import time

import pytest
from django.core.management import call_command
from django.db import connection

from sensors.models import Measurement, SparseMeasurement
from sensors.partitions import DAY_S, ensure_partitions
from tests.sensors.aged import AGO, fill, fresh_partitions

pytestmark = [pytest.mark.storage, pytest.mark.django_db(transaction=True)]

TABLES = ("sensors_measurement", "sensors_sparsemeasurement")


def rows_as_before():
    found = []
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(
                "SELECT sensor, slot, measured_at, gateway, rssi_dbm, payload "
                f"FROM {table} ORDER BY 1, 2"
            )
            found.append([(*row[:5], bytes(row[5])) for row in cursor.fetchall()])
    return found


def rows_now():
    names = ("sensor", "slot", "measured_at", "gateway", "rssi_dbm", "payload")
    return [
        [
            (int(sensor), slot, at, int(gateway), rssi_dbm, bytes(payload))
            for sensor, slot, at, gateway, rssi_dbm, payload in model.objects.order_by(
                "pk"
            ).values_list(*names)
        ]
        for model in (Measurement, SparseMeasurement)
    ]


def test_all_rows_are_the_same_before_and_after():
    fresh_partitions()
    now = int(time.time())
    fill([1, 2**47], [AGO + 7, AGO + 59, AGO + 60, AGO + 899, AGO + 5 * DAY_S, now])
    whole = rows_now()
    assert [len(rows) for rows in whole] == [10, 6]

    call_command("migrate", "sensors", "0005", verbosity=0)
    assert rows_as_before() == whole
    call_command("migrate", "sensors", verbosity=0)
    assert rows_now() == whole
    ensure_partitions(now)
    fill([3], [now])
    assert len(rows_now()[0]) == 11
