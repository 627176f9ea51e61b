"""From SQLite to PostgreSQL: every row of every table, or none.

Rows are streamed by COPY as SQLite has them; PostgreSQL reads its own types from their text. What
arrived is read back and compared, row by row, before anything is committed.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from hashlib import blake2b
from ipaddress import ip_address
from typing import Any, NamedTuple, TextIO

import psycopg
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError
from django.core.management.color import no_style
from django.db import Error, connection, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.migrations.executor import MigrationExecutor
from environ import Env
from psycopg import sql
from tqdm import tqdm

from ruuvinet import dumps
from ruuvinet.lib.database import database_at
from sensors.partitions import TABLES as PARTITIONED
from sensors.partitions import WEEK_S, make_partition

OLDEST_SERVER = 15  # PostgreSQL's major version
# Filled by every migration, and replaced by what SQLite has.
OF_MIGRATIONS = {"django_migrations", "django_content_type", "auth_permission"}
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


def move(url: str, *, screen: TextIO) -> dict[str, int]:
    """Copy all rows of our SQLite into the empty PostgreSQL at `url`; returns rows by table.

    Raises CommandError, and leaves PostgreSQL without a row, when anything does not fit.
    """
    _ensure_source()
    dumps.ensure_alone()
    config = settings.DATABASES["default"] | Env.db_url_config(url) | {"OPTIONS": {}}
    if config["ENGINE"] != "django.db.backends.postgresql":
        raise CommandError("Name a PostgreSQL: postgres://user:password@host/name")
    # Nobody else writes meanwhile; a server that is started now waits, and fails.
    with transaction.atomic(), closing(database_at(config)) as target:
        try:
            _ensure_target(target)
            # In a process of its own, which has that database for its own.
            dumps.migrate(_environment(url))
            return _copy_all(target, screen)
        except (Error, psycopg.Error) as error:
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
def _ensure_source() -> None:
    if connection.vendor != "sqlite":
        raise CommandError("DATABASE_URL names the database to leave already: unset it.")
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError("SQLite is not up to date: manage.py migrate")


def _ensure_target(target: BaseDatabaseWrapper) -> None:
    target.ensure_connection()
    if target.connection.info.server_version < OLDEST_SERVER * 10_000:
        raise CommandError(f"PostgreSQL {OLDEST_SERVER} or newer is needed.")
    rows = dumps.rows_by_table(target)
    plans = {"subscriptions_plan"}  # the first one comes with the migrations too
    if held := [table for table in rows if rows[table] and table not in OF_MIGRATIONS | plans]:
        raise CommandError(f"{target.settings_dict['NAME']} is not empty: {', '.join(held)}.")


def _environment(url: str) -> dict[str, str]:
    keys = ",".join(settings.ENCRYPTION_KEYS)
    ours = {"SECRET_KEY": settings.SECRET_KEY, "ENCRYPTION_KEYS": keys, "DATABASE_URL": url}
    return {**os.environ, **ours}


# --- Copying and comparing ---------------------------------------------------------------------
def _copy_all(target: BaseDatabaseWrapper, screen: TextIO) -> dict[str, int]:
    moved = tables()
    rows = dumps.rows_by_table(connection)
    total = 2 * sum(rows[table.name] for table in moved)
    with (
        target.cursor() as cursor,
        target.connection.transaction(),
        tqdm(desc="move", total=total, unit=" rows", file=screen, disable=not screen.isatty())
        as bar,
    ):  # fmt: skip
        cursor.execute("SET LOCAL TIME ZONE 'UTC'")  # SQLite's times are written without one
        names = sql.SQL(", ").join(sql.Identifier(table.name) for table in moved)
        target.connection.execute(sql.SQL("TRUNCATE {}").format(names))
        _make_partitions(cursor)
        # All sums first: foreign keys are looked at when the transaction ends.
        sums = {table.name: _copy(table, target, bar) for table in moved}
        for table in moved:
            if (arrived := _sum_of(table, _arrived(table, target), bar)) != sums[table.name]:
                raise CommandError(
                    f"Nothing was moved: {table.name} has {sums[table.name].rows} rows in SQLite, "
                    f"and {arrived.rows} arrived or differ."
                )
        for statement in target.ops.sequence_reset_sql(no_style(), [t.model for t in moved]):
            cursor.execute(statement)
    with target.cursor() as cursor:
        cursor.execute("ANALYZE")
    return {name: summed.rows for name, summed in sums.items()}


def _make_partitions(cursor: CursorWrapper) -> None:
    """One for each week of the history, however old."""
    for table in PARTITIONED:
        with connection.cursor() as source:
            source.execute(f"SELECT DISTINCT slot / {WEEK_S} FROM {table}")  # noqa: S608
            for (week,) in source.fetchall():
                make_partition(cursor, table, week * WEEK_S)


def _copy(table: Table, target: BaseDatabaseWrapper, bar: "tqdm[Any]") -> Sum:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(*_named(table))
    with target.connection.cursor() as cursor, cursor.copy(statement) as copy:

        def copied() -> Iterator[tuple[Any, ...]]:
            for row in _stored(table):
                copy.write_row(row)
                yield row

        return _sum_of(table, copied(), bar)


def _stored(table: Table) -> Iterator[tuple[Any, ...]]:
    quoted = ", ".join(f'"{column}"' for column in table.columns)
    # Past Django's cursor, which takes rows in steps too, but turns columns into other types.
    connection.ensure_connection()
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(f'SELECT {quoted} FROM "{table.name}"')  # noqa: S608  # names of our models
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield from rows


def _arrived(table: Table, target: BaseDatabaseWrapper) -> Iterator[tuple[Any, ...]]:
    statement = sql.SQL("SELECT {1} FROM {0}").format(*_named(table))
    with psycopg.ServerCursor(target.connection, "arrived") as cursor:
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
