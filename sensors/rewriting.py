# ruff: noqa: S608  # names are from the catalogue, numbers are ours

"""Putting a closed partition in the order of its key, beside itself and without stopping anybody.

Readings lie in the order in which they came: a week of one sensor is scattered over all pages. A
copy in the order of (sensor, slot), filled to the brim, takes its place. Nobody writes to a closed
partition but imports, `deleteData` and what comes very late; while the copy is made a trigger notes
the keys of such rows, and they are brought up to date under the lock in which the two are swapped.

Killed at any moment, or without the lock for the swap, it leaves the partition as it was, and
leftovers that the next run clears away.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.db import connection

from sensors.partitions import (
    TABLES,
    LockNotGranted,
    Partition,
    briefly_locking,
    note_order,
    patiently,
)

log = logging.getLogger(__name__)

UPKEEP_LOCK = 0x5255555650  # held by the one process that rewrites and drops
COLUMNS = "sensor, slot, offset_s, rssi_dbm, gateway, payload"


@contextmanager
def alone() -> Iterator[bool]:
    """Whether no other process rewrites or drops; none will as long as this lasts.

    Must not be used inside a transaction. What a killed or failed one left behind is cleared away.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [UPKEEP_LOCK])
        (is_alone,) = cursor.fetchone()
    try:
        if is_alone:
            _clear_leftovers()
        yield is_alone
    finally:
        if is_alone and connection.is_usable():  # a lost connection has released it
            with suppress(LockNotGranted):  # the next run will
                _clear_leftovers()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [UPKEEP_LOCK])


def rewrite(partition: Partition, step: Callable[[str], object] = lambda _: None) -> None:
    """Put a closed partition in order; only while `alone`. Raises LockNotGranted.

    `step` is told what is done next. Takes as much free disk as the partition has.
    """
    step(f"{partition.name}: watch")
    patiently(lambda: _watch(partition))
    step(f"{partition.name}: sort")
    _fill(partition)
    step(f"{partition.name}: swap")
    patiently(lambda: _swap(partition))


def _watch(partition: Partition) -> None:
    """Make an empty copy, and have every change of the partition noted from now on."""
    name = partition.name
    with briefly_locking() as cursor:
        cursor.execute(f"""
            CREATE TABLE {name}_copy (
                LIKE {partition.table} INCLUDING STORAGE,
                CONSTRAINT {name}_bounds CHECK (slot >= {partition.start} AND slot < {partition.end})
            ) WITH (autovacuum_enabled = false);
            CREATE TABLE {name}_changes (sensor bigint NOT NULL, slot integer NOT NULL);
            CREATE FUNCTION {name}_note() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO {name}_changes VALUES (
                    coalesce(NEW.sensor, OLD.sensor), coalesce(NEW.slot, OLD.slot)
                );
                RETURN NULL;
            END $$;
            CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON {name}
            FOR EACH ROW EXECUTE FUNCTION {name}_note()
        """)  # waits for those who are writing: what they wrote, the copy will see


def _fill(partition: Partition) -> None:
    copy = f"{partition.name}_copy"
    with connection.cursor() as cursor:
        cursor.execute("SET work_mem = '128MB'")
        cursor.execute("SET maintenance_work_mem = '128MB'")
        try:
            cursor.execute(
                f"INSERT INTO {copy} ({COLUMNS}) "
                f"SELECT {COLUMNS} FROM {partition.name} ORDER BY sensor, slot"
            )
            cursor.execute(
                f"ALTER TABLE {copy} ADD CONSTRAINT {copy}_pkey PRIMARY KEY (sensor, slot) "
                "WITH (fillfactor = 100)"
            )
            cursor.execute(f"VACUUM (FREEZE, ANALYZE) {copy}")  # once, instead of by and by
        finally:
            cursor.execute("RESET work_mem")
            cursor.execute("RESET maintenance_work_mem")


def _swap(partition: Partition) -> None:
    """Let the copy take the place of the partition, with what changed since it was made."""
    table, name = partition.table, partition.name
    with briefly_locking() as cursor:
        cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {name}")
        cursor.execute(f"""
            DELETE FROM {name}_copy USING {name}_changes changed
            WHERE {name}_copy.sensor = changed.sensor AND {name}_copy.slot = changed.slot
        """)
        cursor.execute(f"""
            INSERT INTO {name}_copy ({COLUMNS}) SELECT {COLUMNS} FROM {name}
            WHERE (sensor, slot) IN (SELECT sensor, slot FROM {name}_changes)
        """)
        cursor.execute(f"""
            DROP FUNCTION {name}_note() CASCADE;
            DROP TABLE {name}, {name}_changes;
            ALTER TABLE {name}_copy RENAME TO {name};
            ALTER INDEX {name}_copy_pkey RENAME TO {name}_pkey;
            ALTER TABLE {table} ATTACH PARTITION {name}
                FOR VALUES FROM ({partition.start}) TO ({partition.end});
            ALTER TABLE {name} DROP CONSTRAINT {name}_bounds;
            ALTER TABLE {name} RESET (autovacuum_enabled)
        """)
        note_order(cursor, name)


def _clear_leftovers() -> None:
    """Drop the copies, notes and triggers of runs that did not come to their end."""
    ours = "^({})_\\d+_(copy|changes|note)$".format("|".join(TABLES))
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ %s", [ours])
        tables = [name for (name,) in cursor.fetchall()]
        cursor.execute("SELECT proname FROM pg_proc WHERE proname ~ %s", [ours])
        functions = [name for (name,) in cursor.fetchall()]

    def clear() -> None:
        with briefly_locking() as cursor:
            for name in functions:
                cursor.execute(f"DROP FUNCTION {name}() CASCADE")  # and its trigger
            for name in tables:
                cursor.execute(f"DROP TABLE {name}")

    if tables or functions:
        log.warning("clearing away an unfinished rewrite: %s", ", ".join(tables + functions))
        patiently(clear)
