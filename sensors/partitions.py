"""Weekly partitions of the history on PostgreSQL, made ahead; SQLite needs none.

Weeks are counted from the Unix epoch. A partition closes a day after its end: older readings
are refused, so that a closed partition can be put in order and later dropped whole.
"""

import logging
import re

from django.db import OperationalError, connection, transaction

log = logging.getLogger(__name__)

WEEK_S = 7 * 86400
CLOSES_AFTER_S = 86400
WEEKS_AHEAD = 8
ADVISORY_LOCK = 0x5255555649  # "RUUVI"; any number that nobody else locks
TABLES = ("sensors_measurement", "sensors_sparsemeasurement")


def oldest_open(now: int) -> int:
    """The start of the oldest partition that still takes readings; both in Unix seconds."""
    return (now - CLOSES_AFTER_S) // WEEK_S * WEEK_S


def ensure_partitions(now: int) -> None:
    """Make every partition from the oldest open one to WEEKS_AHEAD weeks after `now`."""
    if connection.vendor != "postgresql":
        return
    try:
        _make_partitions(now)
    except OperationalError as error:  # a long read holds the table; there are weeks of slack
        log.warning("partitions are made at the next tick: %s", error)


def _make_partitions(now: int) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        # One at a time: of two that make the same table at once, one fails.
        # While this waits for the table, every insert waits behind it.
        cursor.execute("SET LOCAL lock_timeout = '200ms'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        for table in TABLES:
            for start in range(oldest_open(now), now + WEEKS_AHEAD * WEEK_S, WEEK_S):
                cursor.execute(
                    f"CREATE TABLE IF NOT EXISTS {table}_{start // WEEK_S} PARTITION OF {table} "
                    f"FOR VALUES FROM ({start}) TO ({start + WEEK_S})"
                )


def bounds() -> dict[str, list[tuple[int, int]]]:
    """The partitions of each table as (start, end) in Unix seconds, in order; none on SQLite."""
    if connection.vendor != "postgresql":
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_BOUNDS, [list(TABLES)])
        found = [
            (table, int(between[1]), int(between[2]))
            for table, text in cursor.fetchall()
            if (between := re.search(r"FROM \('?(-?\d+)'?\) TO \('?(-?\d+)'?\)", text))
        ]
    return {table: sorted(row[1:] for row in found if row[0] == table) for table in TABLES}


_BOUNDS = """
    SELECT parent.relname, pg_get_expr(child.relpartbound, child.oid)
    FROM unnest(%s::text[]) AS name
    JOIN pg_class AS parent ON parent.oid = to_regclass(name)
    JOIN pg_inherits ON inhparent = parent.oid
    JOIN pg_class AS child ON child.oid = inhrelid
"""


def covered_until(now: int) -> dict[str, int]:
    """For each table until when readings of `now` and later find their partition, without a gap."""
    until: dict[str, int] = {}
    for table, partitions in bounds().items():
        until[table] = now
        for start, end in partitions:
            if start <= until[table] < end:
                until[table] = end
    return until
