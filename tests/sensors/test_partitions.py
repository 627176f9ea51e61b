"""Where the history lies: weekly partitions made ahead, or one table in the order of its key."""

import time
from functools import partial
from itertools import pairwise

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from ruuvinet.lib.mac import Mac
from sensors.models import Measurement, SparseMeasurement
from sensors.partitions import (
    CLOSES_AFTER_S,
    DAY_S,
    SPARSE_IS_LONGER,
    TABLES,
    WEEK_S,
    WEEKS_AHEAD,
    cover,
    ensure_partitions,
    oldest_open,
    partitions,
)
from sensors.tasks import ensure_partitions as ensure_partitions_task
from tests.threads import at_once

FAR = 2040 * WEEK_S  # February 2009, when nothing was measured; Unix seconds


def partitions_of(table: str) -> dict[str, str]:
    """The names of a table's partitions and the range that each one covers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i "
            "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass",
            [table],
        )
        return dict(cursor.fetchall())


def definition_of(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = %s", [table])
        return str(cursor.fetchone()[0])


def insert_at(slot: int, model=Measurement) -> None:
    model.objects.create(
        sensor=Mac(1), slot=slot, measured_at=slot, gateway=Mac(2), rssi_dbm=-70, payload=b"x"
    )


@pytest.mark.parametrize(
    ("now", "oldest"),
    [
        (0, -WEEK_S),
        (CLOSES_AFTER_S - 1, -WEEK_S),
        (CLOSES_AFTER_S, 0),
        (WEEK_S - 1, 0),
        (WEEK_S, 0),
        (WEEK_S + CLOSES_AFTER_S - 1, 0),
        (WEEK_S + CLOSES_AFTER_S, WEEK_S),
    ],
)
def test_partition_closes_a_day_after_its_end(now, oldest):
    assert oldest_open(now) == oldest


@pytest.mark.storage
@pytest.mark.django_db
@pytest.mark.parametrize("table", TABLES)
def test_history_lies_in_the_order_of_its_key(table):
    if settings.EMBEDDED_DATABASE:
        assert definition_of(table).rstrip().endswith("WITHOUT ROWID")
        assert "PRIMARY KEY (sensor, slot)" in definition_of(table)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_partkeydef(%s::regclass)", [table])
        assert cursor.fetchone() == ("RANGE (slot)",)


@pytest.mark.storage
@pytest.mark.django_db
@pytest.mark.parametrize("model", [Measurement, SparseMeasurement])
def test_migrated_database_takes_readings_of_the_next_weeks(model):
    now = int(time.time())
    for slot in (oldest_open(now), now, now + (WEEKS_AHEAD - 1) * WEEK_S):
        insert_at(slot, model)

    assert model.objects.count() == 3


@pytest.mark.storage
@pytest.mark.django_db
@pytest.mark.parametrize("now", [FAR, FAR + CLOSES_AFTER_S, FAR + WEEK_S - 1])
def test_made_partitions_take_every_reading_that_may_come(now):
    ensure_partitions(now)
    for slot in range(oldest_open(now), now + WEEKS_AHEAD * WEEK_S, WEEK_S // 2):
        insert_at(slot)

    assert Measurement.objects.count() >= 2 * WEEKS_AHEAD


@pytest.mark.storage
@pytest.mark.django_db
def test_making_partitions_again_changes_nothing():
    insert_at(int(time.time()))
    ensure_partitions(FAR)
    before = [] if settings.EMBEDDED_DATABASE else [partitions_of(table) for table in TABLES]

    ensure_partitions(FAR)
    after = [] if settings.EMBEDDED_DATABASE else [partitions_of(table) for table in TABLES]
    assert after == before
    assert Measurement.objects.count() == 1


@pytest.mark.storage
@pytest.mark.django_db
def test_timetable_makes_them_and_ignores_what_newer_code_sends():
    ensure_partitions_task(weeks_ahead=99)
    insert_at(int(time.time()))

    assert Measurement.objects.count() == 1


@pytest.mark.storage
@pytest.mark.django_db
def test_each_week_has_a_partition_of_its_own_and_a_quarter_of_sparse_history():
    ensure_partitions(FAR)
    if settings.EMBEDDED_DATABASE:
        insert_at(FAR - 1000 * WEEK_S)  # one table takes any week
        return
    for table in TABLES:
        found = partitions_of(table)
        span_s = WEEK_S if table == "sensors_measurement" else WEEK_S * SPARSE_IS_LONGER
        first = (FAR - WEEK_S) // span_s * span_s
        for start in range(first, FAR + WEEKS_AHEAD * WEEK_S, span_s):
            name, end = f"{table}_{start // DAY_S}", start + span_s
            assert found[name] == f"FOR VALUES FROM ({start}) TO ({end})"
    with pytest.raises(IntegrityError, match="no partition"), transaction.atomic():
        insert_at(FAR - 1000 * WEEK_S)


@pytest.mark.storage
@pytest.mark.django_db(transaction=True)
def test_partitions_may_be_made_by_many_at_once():
    at_once(*[partial(ensure_partitions, FAR + 100 * WEEK_S)] * 6)
    insert_at(FAR + 100 * WEEK_S)


@pytest.mark.storage
@pytest.mark.django_db
@pytest.mark.parametrize("table", [*TABLES, "sensors_latest"])
def test_every_unique_key_of_readings_begins_with_the_sensor(table):
    """So that they can be spread over several servers by sensor: docs/scaling.md."""
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table).values()
    unique = [each["columns"] for each in found if each["unique"] or each["primary_key"]]

    assert unique
    assert {columns[0] for columns in unique} == {"sensor"}


def spans():
    return [(p.start, p.end) for p in partitions("sensors_measurement") if p.end <= FAR]


@pytest.mark.storage
@pytest.mark.django_db
def test_another_length_fills_the_gaps_and_leaves_what_is_there(settings):
    """Whoever shortens or lengthens partitions does so beside those that hold readings."""
    if settings.EMBEDDED_DATABASE:
        return
    long_ago = FAR - 20 * WEEK_S
    cover("sensors_measurement", long_ago + WEEK_S, long_ago + 2 * WEEK_S)
    settings.PARTITION_DAYS = 3
    cover("sensors_measurement", long_ago, long_ago + 3 * WEEK_S)
    found = [(start, end) for start, end in spans() if long_ago - WEEK_S < start]

    assert (long_ago + WEEK_S, long_ago + 2 * WEEK_S) in found
    assert all(end == following for (_, end), (following, _) in pairwise(found))
    assert found[0][0] <= long_ago < long_ago + 3 * WEEK_S <= found[-1][1]
    assert max(end - start for start, end in found) == WEEK_S
    assert sorted(end - start for start, end in found)[len(found) // 2] <= 3 * DAY_S
