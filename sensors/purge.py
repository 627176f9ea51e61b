"""Deleting old history on SQLite, in pieces so small that nobody waits for the write lock.

What to delete is read before the lock is taken, which also brings its pages into memory; how much
at once follows from how long the last piece held the lock.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

from django.db import connection, transaction

MOST_S = 0.05  # that the lock may be held
AIM_S = 0.015  # leaves room for a slow disk
SMALLEST, LARGEST = 20, 5000  # rows in a piece


class Piece(NamedTuple):
    """What was deleted in one transaction, and how long it held the write lock."""

    rows: int
    held_s: float


class _Range(NamedTuple):
    sensor: int
    until: int  # slot
    rows: int


_NEXT_SENSOR = "SELECT min(sensor) FROM {table} WHERE sensor > %s"
_NEXT_RANGE = """
    SELECT max(slot), count(*) FROM (
        SELECT slot FROM {table} WHERE sensor = %s AND slot > %s AND slot < %s
        ORDER BY slot LIMIT %s
    ) oldest
"""


def purge(table: str, before: int) -> Iterator[Piece]:
    """Delete the rows of slots before `before`, Unix seconds, oldest first for each sensor."""
    size = SMALLEST
    ranges = _Ranges(table, before)
    while piece := ranges.take(size):
        held_s = _delete(table, piece)
        yield Piece(sum(each.rows for each in piece), held_s)
        size = _next_size(size, held_s)
        # SQLite has no queue: who finds the lock taken sleeps and tries again.
        time.sleep(max(0.01, 2 * held_s))


def _next_size(size: int, held_s: float) -> int:
    """Grows by half at most; shrinks at once."""
    return min(LARGEST, max(SMALLEST, int(size * min(1.5, AIM_S / max(held_s, 1e-4)))))


class _Ranges:
    """Walks from sensor to sensor along the key, without a look at what stays."""

    def __init__(self, table: str, before: int) -> None:
        self._table = table
        self._before = before
        self._sensor: int | None = -1
        self._done_until = before

    def take(self, rows: int) -> list[_Range]:
        """The next ranges with `rows` rows together, fewer at the end."""
        taken: list[_Range] = []
        while rows > 0 and self._sensor is not None:
            found = self._next(rows)
            if found is None:
                self._go_on()
            else:
                taken.append(found)
                rows -= found.rows
        return taken

    def _next(self, rows: int) -> _Range | None:
        with connection.cursor() as cursor:
            sql = _NEXT_RANGE.format(table=self._table)
            cursor.execute(sql, [self._sensor, self._done_until, self._before, rows])
            until, count = cursor.fetchone()
        if until is None:
            return None
        self._done_until = until
        assert self._sensor is not None  # noqa: S101  # `take` looked
        return _Range(self._sensor, until, count)

    def _go_on(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_NEXT_SENSOR.format(table=self._table), [self._sensor])
            (self._sensor,) = cursor.fetchone()
        self._done_until = -1


def _delete(table: str, piece: list[_Range]) -> float:
    """Delete the ranges in one transaction; how long it held the write lock, in seconds."""
    with transaction.atomic():  # takes the lock at once: transaction_mode
        start = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.executemany(
                f"DELETE FROM {table} WHERE sensor = %s AND slot <= %s",  # noqa: S608
                [(each.sensor, each.until) for each in piece],
            )
    return time.perf_counter() - start
