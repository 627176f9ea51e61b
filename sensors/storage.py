"""The SQL that writes readings: a few statements, however many readings there are.

PostgreSQL gets each column as one array, packed here into PostgreSQL's own binary form: psycopg
would look at every value. SQLite gets the rows; its driver prepares a statement once.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, cast

import psycopg
from django.db import connection
from psycopg.adapt import Dumper
from psycopg.pq import Format

from sensors.models import DENSE_INTERVAL_S, SPARSE_INTERVAL_S

DENSE, SPARSE = "sensors_measurement", "sensors_sparsemeasurement"
INTERVALS_S = {DENSE: DENSE_INTERVAL_S, SPARSE: SPARSE_INTERVAL_S}


class Row(NamedTuple):
    """One advertisement as a gateway received it; `measured_at` in Unix seconds (UTC)."""

    sensor: int
    measured_at: int
    gateway: int
    rssi_dbm: int
    payload: bytes
    data_format: int | None


class SparseSlots:
    """Which slots of the sparse history are known to be taken: the last one of each sensor.

    Nearly every reading finds its slot taken, and to learn that from the database is a fifth of
    its work. For one writer, which says when it has committed. After a sensor's history was
    deleted, its sparse one begins with the next slot.
    """

    def __init__(self) -> None:
        self._taken: dict[int, int] = {}
        self._about_to_be: dict[int, int] = {}

    def free(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Those of `rows` whose slots may be free; this transaction takes them."""
        self._about_to_be = {}
        free = []
        for row in rows:
            slot = row.measured_at - row.measured_at % SPARSE_INTERVAL_S
            if self._taken.get(row.sensor) != slot:
                self._about_to_be[row.sensor] = slot
                free.append(row)
        return free

    def committed(self) -> None:
        """The transaction for which `free` was asked last is durable."""
        if len(self._taken) > LARGEST_MEMORY:
            self._taken.clear()
        self._taken.update(self._about_to_be)


_INSERT = """
    INSERT INTO {table} (sensor, slot, offset_s, gateway, rssi_dbm, payload)
    {values} ON CONFLICT (sensor, slot) DO NOTHING
"""
_UPSERT = """
    INSERT INTO sensors_latest (sensor, measured_at, gateway, rssi_dbm, payload, data_format)
    {values}
    ON CONFLICT (sensor) DO UPDATE SET
        measured_at = excluded.measured_at, gateway = excluded.gateway,
        rssi_dbm = excluded.rssi_dbm, payload = excluded.payload,
        data_format = excluded.data_format
    WHERE excluded.measured_at > sensors_latest.measured_at
"""
_COLUMNS = "SELECT * FROM unnest(%s, %s, %s, %s, %s, %s)"
_COLUMNS_WITH_SLOT = """
    SELECT sensor, measured_at - measured_at %% {interval_s}, measured_at %% {interval_s},
        gateway, rssi_dbm, payload
    FROM unnest(%s, %s, %s, %s, %s) AS heard (sensor, measured_at, gateway, rssi_dbm, payload)
"""
# SQLite: so many rows make a statement. One by one, each would hand over Python's global lock.
_ROWS = 1000
_ROW = "(?, ?, ?, ?, ?, ?)"
LARGEST_MEMORY = 200_000  # sensors; strangers may invent any number


def write(rows: Sequence[Row], slots: SparseSlots | None = None) -> None:
    """Write `rows`, in the order of sensor and time, to history and Latest.

    That order keeps transactions from locking crosswise. Runs in the caller's transaction.
    """
    sparse = slots.free(rows) if slots else rows  # also of none: it forgets what failed before
    if not rows:
        return
    newest = list({row.sensor: row for row in rows}.values())
    if connection.vendor == "postgresql":
        _write_columns(rows, sparse, newest)
    else:
        _write_rows(rows, sparse, newest)


def write_past(
    sensors: Sequence[int],
    measured_at: Sequence[int],
    gateways: Sequence[int],
    rssi_dbm: Sequence[int],
    payloads: Sequence[bytes],
) -> None:
    """Write columns, in the order of sensor and time, to the history alone.

    Runs in the caller's transaction.
    """
    columns = (sensors, measured_at, gateways, rssi_dbm, payloads)
    if connection.vendor == "postgresql":
        kinds = (Int8, Int4, Int8, Int2, Bytea)
        with _binary_cursor() as cursor:
            packed = [kind(values) for kind, values in zip(kinds, columns, strict=True)]
            for table in INTERVALS_S:
                _insert(cursor, table, packed)
    else:
        rows = [Row(*row, None) for row in zip(*columns, strict=True)]
        _write_rows(rows, rows, [])


def _write_rows(rows: Sequence[Row], sparse: Sequence[Row], newest: Sequence[Row]) -> None:
    for table, some in ((DENSE, rows), (SPARSE, sparse)):
        interval_s = INTERVALS_S[table]
        with_slots = [
            (
                r.sensor,
                r.measured_at - r.measured_at % interval_s,
                r.measured_at % interval_s,
                *r[2:5],
            )
            for r in some
        ]
        _execute_rows(partial(_INSERT.format, table=table), with_slots)
    _execute_rows(_UPSERT.format, newest)


def _execute_rows(statement: Callable[..., str], rows: Sequence[tuple[Any, ...]]) -> None:
    # Django's own cursor would look for each %s in a text as long as the rows are many.
    connection.ensure_connection()
    with connection.wrap_database_errors:
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            values = "VALUES " + ", ".join([_ROW] * len(some))
            connection.connection.execute(statement(values=values), list(chain.from_iterable(some)))


def _write_columns(rows: Sequence[Row], sparse: Sequence[Row], newest: Sequence[Row]) -> None:
    with _binary_cursor() as cursor:
        columns = _packed(rows)
        _insert(cursor, DENSE, columns[:5])
        if sparse:
            packed = columns if len(sparse) == len(rows) else _packed(sparse)
            _insert(cursor, SPARSE, packed[:5])
        # A sensor that was heard twice is rare.
        latest = columns if len(newest) == len(rows) else _packed(newest)
        cursor.execute(_UPSERT.format(values=_COLUMNS), latest)


def _insert(cursor: psycopg.Cursor[Any], table: str, columns: Sequence["_Array"]) -> None:
    values = _COLUMNS_WITH_SLOT.format(interval_s=INTERVALS_S[table])
    cursor.execute(_INSERT.format(table=table, values=values), columns)


@contextmanager
def _binary_cursor() -> Iterator[psycopg.Cursor[Any]]:
    """A cursor that takes columns: Django's own write every parameter into the text."""
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        for kind in _ARRAYS:
            cursor.adapters.register_dumper(kind, _DUMPERS[kind])
        yield cursor


class _Array:
    """A column of values in PostgreSQL's binary form of a one-dimensional array.

    Header: dimensions, whether there are nulls, element type, length, first index; then for each
    element its length (-1 for null) and its bytes, all in network order.
    """

    element_oid: int
    array_oid: int
    element: struct.Struct

    def __init__(self, values: Sequence[int]) -> None:
        words = [self.element.size] * (2 * len(values))
        words[1::2] = values
        # Not struct.pack, which would remember a layout of each length, megabytes of them.
        layout = struct.Struct("!" + f"i{self.element.format[-1]}" * len(values))
        self.data = self.header(len(values)) + layout.pack(*words)

    def header(self, count: int, *, nulls: bool = False) -> bytes:
        return struct.pack("!iiIii", 1, nulls, self.element_oid, count, 1)


class Int8(_Array):
    element_oid, array_oid, element = 20, 1016, struct.Struct("!q")


class Int4(_Array):
    element_oid, array_oid, element = 23, 1007, struct.Struct("!i")


class Int2(_Array):
    element_oid, array_oid, element = 21, 1005, struct.Struct("!h")


class NullableInt2(Int2):
    def __init__(self, values: Sequence[int | None]) -> None:
        if None not in values:
            super().__init__(cast(Sequence[int], values))
            return
        null, size = struct.pack("!i", -1), struct.pack("!i", 2)
        words = [null if v is None else size + self.element.pack(v) for v in values]
        self.data = self.header(len(values), nulls=True) + b"".join(words)


class Bytea(_Array):
    element_oid, array_oid = 17, 1001

    def __init__(self, values: Sequence[bytes]) -> None:
        lengths = {len(value) for value in values}
        headers = {length: struct.pack("!i", length) for length in lengths}
        words = [b""] * (2 * len(values))
        words[::2] = [headers[len(value)] for value in values]
        words[1::2] = values
        self.data = self.header(len(values)) + b"".join(words)


_ARRAYS: tuple[type[_Array], ...] = (Int8, Int4, Int2, NullableInt2, Bytea)


def _dumper(kind: type[_Array]) -> type[Dumper]:
    class PackedDumper(Dumper):
        format = Format.BINARY
        oid = kind.array_oid

        def dump(self, obj: _Array) -> bytes:
            return obj.data

    return PackedDumper


_DUMPERS = {kind: _dumper(kind) for kind in _ARRAYS}


def _packed(rows: Sequence[Row]) -> list[_Array]:
    sensor, measured_at, gateway, rssi_dbm, payload, data_format = zip(*rows, strict=True)
    return [
        Int8(sensor),
        Int4(measured_at),
        Int8(gateway),
        Int2(rssi_dbm),
        Bytea(payload),
        NullableInt2(data_format),
    ]
