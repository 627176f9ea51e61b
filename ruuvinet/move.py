"""From SQLite to PostgreSQL: every row of every table, or none.

Rows are streamed by COPY as SQLite has them; PostgreSQL reads its own types from their text. What
arrived is read back and compared, row by row, before anything is committed.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from hashlib import blake2b
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import psycopg
from cryptography.fernet import InvalidToken
from django.apps import apps
from django.core.management import CommandError, call_command
from django.core.management.color import no_style
from django.db import Error, connection, models, transaction
from django.db.migrations.recorder import MigrationRecorder
from psycopg import sql
from tqdm import tqdm

from ruuvinet import dumps
from ruuvinet.lib.crypto import EncryptedTextField, fernet
from sensors.partitions import TABLES as PARTITIONED
from sensors.partitions import WEEK_S, cover

# What the migrations fill by themselves, and what SQLite has replaces.
OF_MIGRATIONS = {
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "auth_group",
    "auth_group_permissions",
    "subscriptions_plan",
}
ROWS_AT_ONCE = 10_000


class Table(NamedTuple):
    """A table to move: `plain` makes a value of each column comparable, None where it is already."""

    model: type[models.Model]
    name: str
    columns: list[str]
    plain: list[Callable[[Any], object] | None]


class Sum(NamedTuple):
    """How many rows there are, and the sum of their hashes, whatever their order."""

    rows: int
    checksum: int


def move(source: Path, *, screen: TextIO) -> dict[str, int]:
    """Copy all rows of the SQLite at `source` into our empty PostgreSQL; returns rows by table.

    Raises CommandError, and leaves PostgreSQL without a row, when anything does not fit.
    """
    if connection.vendor != "postgresql":
        raise CommandError("Set DATABASE_URL to the PostgreSQL that it shall go to.")
    if not source.is_file():
        raise CommandError(f"There is no {source}.")
    if not dumps.is_unused(source):
        raise CommandError(f"Another program uses {source}. Stop RuuviNet first.")
    with closing(sqlite3.connect(source, isolation_level=None)) as old:
        try:
            old.execute("BEGIN IMMEDIATE")  # nobody writes meanwhile
            _ensure_empty()
            call_command("migrate", verbosity=0)
            _ensure_same_schema(old)
            _ensure_same_keys(old)
            with transaction.atomic():
                return _copy_all(old, screen)
        except (Error, psycopg.Error, sqlite3.Error) as error:
            raise CommandError(f"Nothing was moved: {error}") from error


def tables() -> list[Table]:
    """What is to be moved: all tables of ours and of the libraries, but not Django's own notes."""
    found = apps.get_models(include_auto_created=True)
    return [_table(model) for model in found if model._meta.managed and not model._meta.proxy]


def _table(model: type[models.Model]) -> Table:
    fields = [field for field in model._meta.local_concrete_fields if field.column]
    columns = [str(field.column) for field in fields]
    return Table(model, model._meta.db_table, columns, [_plain(field) for field in fields])


# --- What must hold before --------------------------------------------------------------------
def _ensure_empty() -> None:
    rows = dumps.rows_by_table(connection)
    if held := [table for table in rows if rows[table] and table not in OF_MIGRATIONS]:
        raise CommandError(f"The PostgreSQL is not empty: {', '.join(held)}.")


def _ensure_same_schema(old: sqlite3.Connection) -> None:
    applied = set(old.execute("SELECT app, name FROM django_migrations"))
    if applied != set(MigrationRecorder(connection).applied_migrations()):
        raise CommandError(
            "SQLite is of another version: start this one with it once, without DATABASE_URL."
        )


def _ensure_same_keys(old: sqlite3.Connection) -> None:
    for model in apps.get_models():
        for field in model._meta.local_concrete_fields:
            if isinstance(field, EncryptedTextField):
                _ensure_readable(old, model._meta.db_table, str(field.column))


def _ensure_readable(old: sqlite3.Connection, table: str, column: str) -> None:
    newest = f'SELECT "{column}" FROM "{table}" WHERE "{column}" > ? ORDER BY rowid DESC LIMIT 1'  # noqa: S608
    for (secret,) in old.execute(newest, [""]):
        try:
            fernet().decrypt(secret)
        except InvalidToken as error:
            raise CommandError(
                f"ENCRYPTION_KEYS cannot read {table}: take those that SQLite was used with."
            ) from error


# --- Copying and comparing ---------------------------------------------------------------------
def _copy_all(old: sqlite3.Connection, screen: TextIO) -> dict[str, int]:
    moved = tables()
    total = 2 * sum(_count(table, old) for table in moved)
    with (
        connection.cursor() as cursor,
        tqdm(desc="move", total=total, unit=" rows", file=screen, disable=not screen.isatty())
        as bar,
    ):  # fmt: skip
        cursor.execute("SET LOCAL TIME ZONE 'UTC'")  # SQLite's times are written without one
        names = sql.SQL(", ").join(sql.Identifier(table.name) for table in moved)
        connection.connection.execute(sql.SQL("TRUNCATE {}").format(names))
        _make_partitions(old)
        sums = {table.name: _copy(table, old, bar) for table in moved}
        for table in moved:
            if (arrived := _sum_of(table, _arrived(table), bar)) != sums[table.name]:
                raise CommandError(
                    f"Nothing was moved: {table.name} has {sums[table.name].rows} rows in SQLite, "
                    f"and {arrived.rows} arrived or differ."
                )
        for statement in connection.ops.sequence_reset_sql(no_style(), [t.model for t in moved]):
            cursor.execute(statement)
        cursor.execute("ANALYZE")
    return {name: summed.rows for name, summed in sums.items()}


def _make_partitions(old: sqlite3.Connection) -> None:
    """One for each week of the history, however old."""
    for table in PARTITIONED:
        weeks = f"SELECT DISTINCT slot / {WEEK_S} FROM {table}"  # noqa: S608
        for (week,) in old.execute(weeks).fetchall():
            cover(table, week * WEEK_S, (week + 1) * WEEK_S)


def _count(table: Table, old: sqlite3.Connection) -> int:
    counted = old.execute(f'SELECT count(*) FROM "{table.name}"')  # noqa: S608
    return int(counted.fetchone()[0])


def _copy(table: Table, old: sqlite3.Connection, bar: "tqdm[Any]") -> Sum:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(*_named(table))
    with connection.connection.cursor() as cursor, cursor.copy(statement) as copy:

        def copied() -> Iterator[tuple[Any, ...]]:
            for row in _stored(table, old):
                copy.write_row(row)
                yield row

        return _sum_of(table, copied(), bar)


def _stored(table: Table, old: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    quoted = ", ".join(f'"{column}"' for column in table.columns)
    yield from old.execute(f'SELECT {quoted} FROM "{table.name}"')  # noqa: S608


def _arrived(table: Table) -> Iterator[tuple[Any, ...]]:
    statement = sql.SQL("SELECT {1} FROM {0}").format(*_named(table))
    with psycopg.ServerCursor(connection.connection, "arrived") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        yield from cursor.execute(statement)


def _named(table: Table) -> tuple[sql.Composable, sql.Composable]:
    columns = sql.SQL(", ").join(sql.Identifier(column) for column in table.columns)
    return sql.Identifier(table.name), columns


def _sum_of(table: Table, rows: Iterable[Sequence[Any]], bar: "tqdm[Any]") -> Sum:
    count = total = 0
    plain = [(place, how) for place, how in enumerate(table.plain) if how]
    for row in rows:
        values = list(row)
        for place, how in plain:
            if values[place] is not None:
                values[place] = how(values[place])
        total += int.from_bytes(blake2b(repr(values).encode(), digest_size=16).digest())
        count += 1
        if count % ROWS_AT_ONCE == 0:
            bar.update(ROWS_AT_ONCE)
    bar.update(count % ROWS_AT_ONCE)
    return Sum(count, total % 2**128)


def _plain(field: "models.Field[Any, Any]") -> Callable[[Any], object] | None:
    """How a value of both databases becomes the same."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    match field.get_internal_type():
        case "BooleanField":
            return int
        case "FloatField":
            return float
        case "DateTimeField":
            return _instant
        case "GenericIPAddressField":
            return lambda value: str(ip_address(str(value)))
        case "BinaryField":
            return bytes
        case "JSONField":
            return lambda value: json.dumps(
                json.loads(value) if isinstance(value, str) else value, sort_keys=True
            )
        case _:
            return None


def _instant(value: str | datetime) -> str:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (at if at.tzinfo is None else at.astimezone(UTC)).replace(tzinfo=None).isoformat()
