"""Partitions of the history on PostgreSQL: made ahead, closed, later dropped; SQLite needs none.

Bounds are counted from the Unix epoch. A partition closes when the oldest reading that is taken
lies after its end, a day later at the latest: then it can be put in order, and dropped whole.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import errors

log = logging.getLogger(__name__)

DAY_S = 86400
WEEK_S = 7 * DAY_S
CLOSES_AFTER_S = DAY_S
WEEKS_AHEAD = 8
# One of sparse history holds about as many rows: ten years of it are 41, and each costs planning.
SPARSE_IS_LONGER = 13
ADVISORY_LOCK = 0x5255555649  # "RUUVI"; any number that nobody else locks
TABLES = ("sensors_measurement", "sensors_sparsemeasurement")
# Who waits for the lock of a whole table makes every insert wait behind.
LOCK_TIMEOUT_MS = 100
PAUSES_S = (0.5, 1, 2, 4, 8, 15, 30, 30, 30, 60, 60, 60)  # between tries to get it

Result = TypeVar("Result")


class LockNotGranted(Exception):
    """Somebody held on to the history for longer than we want others to wait."""


class Partition(NamedTuple):
    """A partition and what the catalogue says of it; `start` and `end` in Unix seconds.

    `rows` is an estimate, None for one that was never analyzed; `size` and `heap` are bytes,
    with and without the index. `ordered_heap` is what `heap` was when it was put in order.
    """

    table: str
    name: str
    start: int
    end: int
    rows: int | None
    size: int
    heap: int
    ordered_heap: int | None

    def is_closed(self, now: int) -> bool:
        return self.end <= oldest_open(now)

    @property
    def is_ordered(self) -> bool:
        """Whether at most a tenth of it came later than its order."""
        return self.ordered_heap is not None and self.heap <= self.ordered_heap * 1.1 + 65536


def oldest_open(now: int) -> int:
    """The time of the oldest reading that is still taken; both in Unix seconds."""
    span_s = settings.PARTITION_DAYS * DAY_S
    return int((now - CLOSES_AFTER_S) // span_s * span_s)


def ensure_partitions(now: int) -> None:
    """Make every partition from the oldest open one to WEEKS_AHEAD weeks after `now`."""
    try:
        for table in TABLES:
            cover(table, oldest_open(now), now + WEEKS_AHEAD * WEEK_S)
    except OperationalError as error:  # a long read holds the table; there are weeks of slack
        log.warning("partitions are made at the next tick: %s", error)


def cover(table: str, since: int, until: int) -> None:
    """Make the partitions that are missing between `since` and `until`, both Unix seconds.

    Those that are there keep their bounds: so PARTITION_DAYS may change.
    """
    if connection.vendor != "postgresql" or not list(_gaps(table, since, until)):
        return
    with transaction.atomic(), connection.cursor() as cursor:
        # One at a time: of two that make the same table at once, one fails.
        cursor.execute("SET LOCAL lock_timeout = '200ms'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        for start, end in list(_gaps(table, since, until)):
            cursor.execute(
                f"CREATE TABLE {table}_{start // DAY_S} PARTITION OF {table} "
                f"FOR VALUES FROM ({start}) TO ({end})"
            )


def _gaps(table: str, since: int, until: int) -> Iterator[tuple[int, int]]:
    span_s = settings.PARTITION_DAYS * DAY_S
    if table == "sensors_sparsemeasurement":
        span_s *= SPARSE_IS_LONGER
    there = [(p.start, p.end) for p in partitions(table)]
    at = since
    while at < until:
        inside = next((end for start, end in there if start <= at < end), None)
        if inside is not None:
            at = inside
            continue
        start = max([at // span_s * span_s, *(end for _, end in there if end <= at)])
        end = min([start // span_s * span_s + span_s, *(first for first, _ in there if first > at)])
        yield start, end
        at = end


_PARTITIONS = """
    SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), c.reltuples::bigint,
        pg_total_relation_size(c.oid), pg_relation_size(c.oid), obj_description(c.oid, 'pg_class')
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = %s::regclass
"""
_BOUNDS = re.compile(r"FROM \('?(-?\d+)'?\) TO \('?(-?\d+)'?\)")
_ORDERED = re.compile(r"in order, (\d+) bytes")


def partitions(table: str) -> list[Partition]:
    """The partitions of `table`, oldest first; none on SQLite."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS, [table])
        found = [_as_partition(table, *row) for row in cursor.fetchall()]
    return sorted(found, key=lambda partition: partition.start)


def _as_partition(
    table: str, name: str, bounds: str, rows: int, size: int, heap: int, comment: str | None
) -> Partition:
    match, ordered = _BOUNDS.search(bounds), _ORDERED.search(comment or "")
    assert match, bounds  # noqa: S101  # all are made by `cover`
    return Partition(
        table=table,
        name=name,
        start=int(match[1]),
        end=int(match[2]),
        rows=None if rows < 0 else rows,
        size=size,
        heap=heap,
        ordered_heap=int(ordered[1]) if ordered else None,
    )


def note_order(cursor: CursorWrapper, name: str) -> None:
    """Remember that a partition is in order, and how large it is."""
    cursor.execute("SELECT pg_relation_size(%s::regclass)", [name])
    (heap,) = cursor.fetchone()
    cursor.execute(f"COMMENT ON TABLE {name} IS 'in order, {heap} bytes'")


def drop(partition: Partition) -> None:
    """Drop a partition and all in it. Raises LockNotGranted."""

    def run() -> None:
        with briefly_locking() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {partition.name}")

    patiently(run)


@contextmanager
def briefly_locking() -> Iterator[CursorWrapper]:
    """A transaction that gives up soon where others hold what it wants to lock."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_MS}ms'")
        yield cursor


def patiently(run: Callable[[], Result]) -> Result:
    """`run` again, after a pause, while it does not get its locks. Raises LockNotGranted."""
    for pause_s in (*PAUSES_S, None):
        try:
            return run()
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.LockNotAvailable | errors.DeadlockDetected):
                raise
            if pause_s is None:
                raise LockNotGranted(str(error)) from error
        time.sleep(pause_s)
    raise AssertionError("not reached")


def covered_until(there: Sequence[Partition], now: int) -> int:
    """Until when readings of `now` and later find one of these partitions, without a gap."""
    until = now
    for partition in there:
        if partition.start <= until < partition.end:
            until = partition.end
    return until
