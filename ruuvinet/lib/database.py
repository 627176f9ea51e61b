"""What Django leaves to the database's driver."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler


@contextmanager
def pipeline() -> Iterator[None]:
    """Send statements without waiting for their answers, until one is asked for (PostgreSQL).

    Around a transaction: all of it, with BEGIN and COMMIT, takes one round trip. A statement's
    fault is raised where its answer is waited for, at the latest by the end of the transaction.
    """
    if connection.vendor != "postgresql":
        yield
        return
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def size_bytes() -> int:
    """Of the whole database on disk, indexes included. One cheap query."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return int(cursor.fetchone()[0])


def instant(value: datetime | str | None) -> datetime | None:
    """A time as plain SQL gives it; SQLite gives text, or a time without zone, in UTC."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at


def database_at(config: dict[str, Any]) -> BaseDatabaseWrapper:
    """A connection of its own to a database that is configured as in the setting DATABASES."""
    database: BaseDatabaseWrapper = ConnectionHandler({DEFAULT_DB_ALIAS: dict(config)})[
        DEFAULT_DB_ALIAS
    ]
    return database
