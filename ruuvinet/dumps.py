"""A database as one file, written while others write, and a database from such a file.

SQLite is copied by its backup interface, PostgreSQL by its own pg_dump and pg_restore. Both read
one snapshot, in which the rows are counted too, and hold up nobody who writes.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from django.conf import settings
from django.core.management import CommandError
from django.db import ProgrammingError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from ruuvinet.lib.database import database_at

Advance = Callable[[int], object]  # told how many more bytes are through

CHUNK_BYTES = 1024 * 1024
PAGES_AT_ONCE = 1000  # of SQLite, between two looks at the progress
PAGE_BYTES = 4096  # SQLite's own choice
# What PostgreSQL's replaced data is called until the new is complete.
ASIDE = "ruuvinet_before_restore"


def ours() -> dict[str, Any]:
    """The database that the settings name, as Django's configuration of it."""
    return connection.settings_dict


def expected_bytes() -> int | None:
    """How much `write_dump` has to go through, None where only the database knows."""
    if connection.vendor == "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return 2 * int(cursor.fetchone()[0])  # copied, then packed


def server_version() -> int:
    """PostgreSQL's major version, 0 on SQLite."""
    if connection.vendor != "postgresql":
        return 0
    connection.ensure_connection()
    return int(connection.connection.info.server_version) // 10_000


def write_dump(out: IO[bytes], advance: Advance, *, scratch: Path) -> dict[str, int]:
    """Write the database to `out`; returns the rows of each table in it.

    `scratch` is a folder with room for a copy of an SQLite database. Raises CommandError.
    """
    with closing(database_at(ours())) as database, snapshot(database):
        rows = rows_by_table(database)
        if database.vendor == "sqlite":
            with tempfile.TemporaryDirectory(dir=scratch) as place:
                copy = Path(place) / "copy.sqlite3"
                copy_sqlite(database, copy, advance)
                with copy.open("rb") as file:
                    _pump(file, out, advance)
        else:
            _dump_postgresql(database, out, advance)
        return rows


@contextmanager
def snapshot(database: BaseDatabaseWrapper) -> Iterator[None]:
    """What is read in here is of one moment; nobody who writes waits for it."""
    postgresql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SELECT 1"
    sqlite = "BEGIN DEFERRED", "SELECT count(*) FROM sqlite_master"
    with database.cursor() as cursor:
        # The second says which moment: that of the first read.
        for statement in postgresql if database.vendor == "postgresql" else sqlite:
            cursor.execute(statement)
        yield
        cursor.execute("ROLLBACK")


def copy_sqlite(database: BaseDatabaseWrapper, path: Path, advance: Advance) -> None:
    """Copy an SQLite database into one new file, without a log beside it.

    To be called inside `snapshot`: otherwise it starts anew after each write of somebody.
    """
    done = 0

    def tell(_status: int, remaining: int, total: int) -> None:
        nonlocal done
        advance((total - remaining - done) * PAGE_BYTES)
        done = total - remaining

    with closing(sqlite3.connect(path)) as target:
        database.connection.backup(target, pages=PAGES_AT_ONCE, progress=tell)
        target.execute("PRAGMA journal_mode=DELETE")


def read_dump(dump: IO[bytes], database: dict[str, Any], advance: Advance) -> None:
    """Fill the empty `database` from a file that `write_dump` wrote. Raises CommandError."""
    if "sqlite" in database["ENGINE"]:
        with Path(database["NAME"]).open("wb") as file:
            _pump(dump, file, advance)
        return
    program = _program("pg_restore", server_version())
    how = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    login, env = _login(database)
    with subprocess.Popen(  # noqa: S603  # no shell, and nobody else's words
        [program, *how, *login], env=env, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        with suppress(BrokenPipeError):  # it says why
            _pump(dump, cast(IO[bytes], process.stdin), advance)
        _finish(process, "pg_restore")


@contextmanager
def scratch_database(folder: Path) -> Iterator[dict[str, Any]]:
    """An empty database of the same kind, which goes away: in `folder`, or on the same server."""
    if connection.vendor == "sqlite":
        with tempfile.TemporaryDirectory(dir=folder) as place:
            yield ours() | {"NAME": str(Path(place) / "scratch.sqlite3")}
        return
    name = f"ruuvinet_scratch_{os.getpid()}"
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        except ProgrammingError as error:
            raise CommandError(
                f"No scratch database: {error}. Its superuser may ALTER ROLE {ours()['USER']} CREATEDB."
            ) from error
        try:
            yield ours() | {"NAME": name}
        finally:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def rows_in(config: dict[str, Any]) -> dict[str, int]:
    """The rows of each table of a database. Raises CommandError when SQLite finds it damaged."""
    with closing(database_at(config)) as database, database.cursor() as cursor:
        if database.vendor == "sqlite":
            cursor.execute("PRAGMA integrity_check")
            if (verdict := cursor.fetchone()[0]) != "ok":
                raise CommandError(f"The copy is damaged: {verdict}")
        return rows_by_table(database)


def rows_by_table(database: BaseDatabaseWrapper) -> dict[str, int]:
    """How many rows each table has; a table and its partitions are one."""
    rows = {}
    with database.cursor() as cursor:
        for table in sorted(database.introspection.table_names(cursor)):
            name = database.ops.quote_name(table)
            cursor.execute(f"SELECT count(*) FROM {name}")  # noqa: S608  # a table's name
            rows[table] = cursor.fetchone()[0]
    return rows


def migrate(env: Mapping[str, str]) -> None:
    """Bring a database up to date in a process with `env`. Raises CommandError."""
    told = subprocess.run(  # noqa: S603  # as above
        [sys.executable, str(settings.BASE_DIR / "manage.py"), "migrate", "--verbosity=0"],
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        raise CommandError(f"The database cannot be brought up to date: {told.stderr.strip()}")


def is_empty() -> bool:
    """Whether our database has no table yet."""
    return not connection.introspection.table_names()


def ensure_alone() -> None:
    """Raise CommandError while another program has our database open."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid != pg_backend_pid()"
            )
            alone = cursor.fetchone()[0] == 0
    else:
        alone = is_unused(Path(ours()["NAME"]))
    if not alone:
        raise CommandError("Another program uses the database. Stop RuuviNet first.")


@contextmanager
def replacement() -> Iterator[tuple[dict[str, Any], str]]:
    """An empty database to be filled, which takes the place of ours when all went well.

    Gives its configuration, and the file in which our old data is afterwards: empty if there was
    none, and on PostgreSQL, which forgets it then. Raises CommandError.
    """
    connection.close()
    yield from _replacing_file() if connection.vendor == "sqlite" else _replacing_schema()


def _replacing_file() -> Iterator[tuple[dict[str, Any], str]]:
    path = Path(ours()["NAME"])
    aside, draft = (path.with_name(f"{path.name}.{end}") for end in ("before-restore", "draft"))
    draft.unlink(missing_ok=True)
    try:
        yield ours() | {"NAME": str(draft)}, str(aside) if path.exists() else ""
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if path.exists():
        path.replace(aside)
    draft.replace(path)


def _replacing_schema() -> Iterator[tuple[dict[str, Any], str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [ASIDE])
        if cursor.fetchone():
            raise CommandError(
                f"A restore was killed; the data from before it is in the schema {ASIDE}. Bring it "
                f"back (DROP SCHEMA public CASCADE; ALTER SCHEMA {ASIDE} RENAME TO public), or "
                f"forget it (DROP SCHEMA {ASIDE} CASCADE)."
            )
        cursor.execute(f"ALTER SCHEMA public RENAME TO {ASIDE}")
        cursor.execute("CREATE SCHEMA public")
        try:
            yield ours(), ""
        except BaseException:
            cursor.execute("DROP SCHEMA public CASCADE")
            cursor.execute(f"ALTER SCHEMA {ASIDE} RENAME TO public")
            raise
        cursor.execute(f"DROP SCHEMA {ASIDE} CASCADE")


def is_unused(path: Path) -> bool:
    """Whether nobody has an SQLite database open; it is left complete, without a log beside it."""
    connection.close()  # which may be to the same file
    if not path.exists():
        return True
    with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as file:
        try:
            return bool(file.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",))
        except sqlite3.OperationalError:  # it is locked
            return False


def _dump_postgresql(database: BaseDatabaseWrapper, out: IO[bytes], advance: Advance) -> None:
    program = _program("pg_dump", server_version())
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_export_snapshot()")
        of = cursor.fetchone()[0]
    how = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={of}"]
    login, env = _login(ours())
    with subprocess.Popen(  # noqa: S603  # as above
        [program, *how, *login], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        _pump(cast(IO[bytes], process.stdout), out, advance)
        _finish(process, "pg_dump")


def _login(database: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """How PostgreSQL's programs reach `database`: arguments, and an environment with the password."""
    args, env = connection.client.settings_to_cmd_args_env(database, [])
    return [*args[1:-1], f"--dbname={args[-1]}"], {**os.environ, **(env or {}), "LC_ALL": "C"}


def _program(name: str, at_least: int) -> str:
    """Where PostgreSQL's program lies; one older than the server cannot be used."""
    debian = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    for path in filter(None, [shutil.which(name), *map(str, debian)]):
        said = subprocess.run(  # noqa: S603  # as above
            [path, "--version"], capture_output=True, text=True, check=True
        )
        version = re.search(r"\d+", said.stdout)
        if version and int(version[0]) >= at_least:
            return path
    raise CommandError(
        f"The server is PostgreSQL {at_least}, and there is no {name} that is as new. "
        f"On Debian: apt install postgresql-client-{at_least}"
    )


def _pump(source: IO[bytes], target: IO[bytes], advance: Advance) -> None:
    while chunk := source.read(CHUNK_BYTES):
        target.write(chunk)
        advance(len(chunk))


def _finish(process: "subprocess.Popen[bytes]", name: str) -> None:
    _, complaint = process.communicate()
    if process.returncode:
        said = complaint.decode(errors="replace").strip()
        raise CommandError(f"{name} failed: {said}")
