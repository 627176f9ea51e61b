"""What a reading takes on the disk, index and all: docs/scaling.md counts on it."""

import pytest
from django.db import connection

from sensors.rewriting import alone, rewrite
from tests.sensors.aged import AGO, fill, fresh_partitions, partition_at

pytestmark = [pytest.mark.storage, pytest.mark.django_db(transaction=True)]

SENSORS, MINUTES = range(2**47, 2**47 + 3000 * 97, 3000), 400  # 97 of them, far apart


def bytes_a_row():
    rows = len(SENSORS) * MINUTES
    if connection.vendor == "postgresql":
        return partition_at(AGO).size / rows
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(pgsize) FROM dbstat WHERE name = 'sensors_measurement'")
        return cursor.fetchone()[0] / rows


def test_a_dense_row_of_31_bytes_takes_no_more_than_promised():
    fresh_partitions()
    fill(SENSORS, range(AGO, AGO + MINUTES * 60, 60))
    if connection.vendor != "postgresql":
        assert bytes_a_row() < 75
        return

    assert bytes_a_row() < 135
    with alone():
        rewrite(partition_at(AGO))
    assert bytes_a_row() < 120
