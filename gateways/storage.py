"""The SQL that notes accepted posts on their gateways: one statement, however many there are."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import psycopg
from django.db import connection


class Seen(NamedTuple):
    """What some accepted posts of one gateway say: the newest, and counts of all of them."""

    mac: int
    at: datetime
    address: str | None
    clock_offset_s: int | None
    bad_tags: int
    late_readings: int


_UPDATE = """
    UPDATE gateways_gateway SET
        first_seen_at = COALESCE(first_seen_at, {at}), connected_at = COALESCE(connected_at, {at}),
        last_seen_at = {at}, last_address = {address}, clock_offset_s = {clock_offset_s},
        bad_tags = gateways_gateway.bad_tags + {bad_tags},
        late_readings = gateways_gateway.late_readings + {late_readings}
    {where}
"""
_ROW = _UPDATE.format(
    where="WHERE mac = %(mac)s", **{field: f"%({field})s" for field in Seen._fields}
)
# Locked in the order of the gateways, so that transactions never lock crosswise.
_LOCKED = """
    FROM json_to_recordset(%s) AS seen (
        mac int8, at timestamptz, address inet, clock_offset_s int8, bad_tags int8,
        late_readings int8
    )
    JOIN (
        SELECT mac FROM gateways_gateway WHERE mac = ANY(%s) ORDER BY mac FOR NO KEY UPDATE
    ) AS locked ON locked.mac = seen.mac
    WHERE gateways_gateway.mac = locked.mac
"""
_ALL = _UPDATE.format(where=_LOCKED, **{field: f"seen.{field}" for field in Seen._fields})


def write(seen: Sequence[Seen]) -> None:
    """Update the rows of gateways, each at most once in `seen`, ordered by MAC.

    Runs in the caller's transaction.
    """
    if connection.vendor == "postgresql":
        _write_at_once(seen)
    else:
        _write_rows(seen)


def _write_rows(seen: Sequence[Seen]) -> None:
    adapt = connection.ops.adapt_datetimefield_value
    rows = [row._asdict() | {"at": adapt(row.at)} for row in seen]
    with connection.cursor() as cursor:
        cursor.executemany(_ROW, rows)


def _write_at_once(seen: Sequence[Seen]) -> None:
    rows = msgspec.json.encode([row._asdict() for row in seen]).decode()
    macs = [row.mac for row in seen]
    # Not through Django's cursor, which would ask for the number of rows and so wait for it.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(_ALL, [rows, macs])
