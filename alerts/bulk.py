"""Writing many rows in one statement. Not bulk_update, whose statement grows with rows squared."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

INSTANT = "instant"  # a timestamp that is given in Unix seconds


def update_rows(
    table: str,
    *,
    keys: Mapping[str, str],
    columns: Mapping[str, str],
    rows: Sequence[tuple[Any, ...]],
    only: str = "",
) -> int:
    """Set `columns` of the rows that `keys` find and `only`, a condition on them, leaves.

    `keys` and `columns` name each column with its type (PostgreSQL's, or INSTANT); each of `rows`
    holds the values of the keys, then of the columns. Returns how many rows were written.
    """
    if not rows:
        return 0
    if connection.vendor == "postgresql":
        return _from_arrays(table, keys, columns, rows, only)
    assignments = ", ".join(
        f"{n} = datetime(%s, 'unixepoch')" if kind == INSTANT else f"{n} = %s"
        for n, kind in columns.items()
    )
    found = " AND ".join(f"{name} = %s" for name in keys)
    and_only = f" AND {only}" if only else ""
    sql = f"UPDATE {table} SET {assignments} WHERE {found}{and_only}"  # noqa: S608  # our names
    with connection.cursor() as cursor:
        cursor.executemany(sql, [(*row[len(keys) :], *row[: len(keys)]) for row in rows])
        return int(cursor.rowcount)


def _from_arrays(
    table: str,
    keys: Mapping[str, str],
    columns: Mapping[str, str],
    rows: Sequence[tuple[Any, ...]],
    only: str,
) -> int:
    every = {**keys, **columns}
    arrays = ", ".join(f"%s::{'int' if k == INSTANT else k}[]" for k in every.values())
    assignments = ", ".join(
        f"{n} = to_timestamp(u.{n})" if kind == INSTANT else f"{n} = u.{n}"
        for n, kind in columns.items()
    )
    found = " AND ".join(f"t.{name} = u.{name}" for name in keys)
    sql = (
        f"UPDATE {table} t SET {assignments}"  # noqa: S608  # our own names
        f" FROM unnest({arrays}) AS u({', '.join(every)}) WHERE {found}{f' AND t.{only}' if only else ''}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(column) for column in zip(*rows, strict=True)])
        return int(cursor.rowcount)
