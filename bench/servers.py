"""Starts and stops what the benchmark needs: PostgreSQL, Redis and one contestant at a time."""

import http.client
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import redis

from bench.bodies import Reading
from bench.contestants import DATABASE_FILE, Contestant
from bench.system import BenchError, cpu_s
from tests.services import ENVIRONMENT, free_port, postgresql_programs, start, start_redis

# Every acknowledged commit is on the disk: the first three are PostgreSQL's own defaults, named
# because all depends on them. The others keep checkpoints, which come when they like, out of
# short measurements; all contestants have the same.
POSTGRESQL = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "max_connections": "300",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


class PostgreSQL:
    """A server of its own in `folder`, which stops with `stack`; `more` settings beside ours."""

    def __init__(
        self, folder: Path, stack: ExitStack, more: Mapping[str, str] | None = None
    ) -> None:
        home = folder / "postgresql"
        home.mkdir()
        programs, somebody = postgresql_programs(home)
        data, port = home / "cluster", free_port()
        initdb = [str(programs / "initdb"), f"--pgdata={data}", "--username=postgres"]
        subprocess.run(  # noqa: S603  # our own program, no shell
            [*initdb, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"],
            check=True,
            stdout=subprocess.DEVNULL,
            **somebody,
        )
        self._address = f"postgres://postgres@127.0.0.1:{port}"
        settings = [
            word
            for item in (POSTGRESQL | dict(more or {})).items()
            for word in ("-c", "=".join(item))
        ]
        self._start = partial(
            start,
            [programs / "postgres", "-D", data, "-p", str(port), *settings],
            is_ready=lambda: psycopg.connect(self.url("postgres")).close(),
            not_ready=psycopg.OperationalError,
            log=folder / "postgresql.log",
            stack=stack,
            **somebody,
        )
        self.start()

    def start(self) -> None:
        """Start it, also on what a crash left behind."""
        self.pid = int(self._start().pid)

    def stop(self) -> None:
        """End it without waiting for its clients; `start` brings it back."""
        process = psutil.Process(self.pid)
        process.send_signal(signal.SIGINT)
        process.wait(60)

    def kill(self) -> None:
        """End all its processes as a power cut would end them."""
        kill_tree(self.pid)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """None of its processes runs, and none of its connections closes, while this lasts."""
        top = psutil.Process(self.pid)
        family = [top, *top.children(recursive=True)]
        for process in family:
            process.suspend()
        try:
            yield
        finally:
            for process in family:
                process.resume()

    def url(self, database: str) -> str:
        return f"{self._address}/{database}"

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Execute on the server, outside any transaction; returns the rows of the last."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def fresh_database(self, name: str) -> Iterator[str]:
        self.run(f"CREATE DATABASE {name}", "CHECKPOINT")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class Storage:
    """The database of a running contestant, seen from outside."""

    contestant: Contestant
    url: str
    file: Path

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """`query` may name the contestant's `{dense}`, `{sparse}`, `{latest}`, `{gateways}`, `{measured_at}`."""
        text = query.format(**self.contestant.tables._asdict())
        if self.contestant.database == "sqlite":
            with closing(sqlite3.connect(self.file, timeout=5)) as connection:
                return connection.execute(text).fetchall()
        with psycopg.connect(self.url) as connection:
            return connection.execute(text.encode()).fetchall()

    def count_dense(self) -> int:
        return int(self.rows("SELECT count(*) FROM {dense}")[0][0])

    def history(self, table: str) -> dict[tuple[int, int], Reading]:
        """Readings by sensor and slot."""
        rows = self.rows(
            "SELECT sensor, slot, {measured_at}, gateway, rssi_dbm, payload "  # noqa: S608
            f"FROM {{{table}}}"
        )
        return {
            (row[0], row[1]): Reading(row[0], row[2], row[3], row[4], bytes(row[5])) for row in rows
        }

    def latest(self) -> dict[int, tuple[Reading, int | None]]:
        """Reading and data format by sensor."""
        rows = self.rows(
            "SELECT sensor, measured_at, gateway, rssi_dbm, payload, data_format FROM {latest}"
        )
        return {
            row[0]: (Reading(row[0], row[1], row[2], row[3], bytes(row[4])), row[5]) for row in rows
        }


@dataclass(frozen=True)
class Running:
    """A contestant that answers."""

    port: int
    storage: Storage
    server_pid: int
    broker_pid: int
    postgresql_pid: int | None  # None on SQLite: the work is done in the server

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds of each part up to now."""
        database = 0.0 if self.postgresql_pid is None else cpu_s(self.postgresql_pid)
        broker = cpu_s(self.broker_pid)
        return {"server": cpu_s(self.server_pid), "database": database, "broker": broker}

    def environment(self) -> dict[str, str]:
        """What lets our own code in another process work on the same database, without Redis."""
        data = {"RUUVINET_DATA": str(self.storage.file.parent), "DATABASE_URL": "", "REDIS_URL": ""}
        if self.storage.url:
            data |= {"RUUVINET_DATA": str(self.storage.file), "DATABASE_URL": self.storage.url}
        return {**ENVIRONMENT, **data, "DJANGO_SETTINGS_MODULE": "ruuvinet.settings"}


class Arena:
    """One PostgreSQL and one Redis for all, and a fresh database for each contestant."""

    def __init__(
        self,
        folder: Path,
        keys: Path,
        stack: ExitStack,
        postgresql: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._keys = keys
        self.postgresql = PostgreSQL(folder, stack, postgresql)
        self._stack = stack
        self.redis_url = start_redis(folder, stack)
        self._starts = 0

    @property
    def redis_pid(self) -> int:
        with redis.Redis.from_url(self.redis_url) as client:
            return int(client.info("server")["process_id"])

    def restart_redis(self) -> None:
        """Start an empty one in the place of the one that was killed."""
        start_redis(self._folder, self._stack, urlsplit(self.redis_url).port)

    @contextmanager
    def prepared(
        self, contestant: Contestant, more: Mapping[str, str] | None = None
    ) -> Iterator[tuple[Storage, dict[str, str]]]:
        """A database with the tables and gateways of `contestant`, which is dropped afterwards.

        With the environment of its programs, to which `more` adds.
        """
        self._starts += 1
        data = self._folder / f"data-{self._starts}"
        data.mkdir()
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, data)
            storage = Storage(contestant, "", data / DATABASE_FILE)
            environment = {"RUUVINET_DATA": str(data), "DATABASE_URL": "", "REDIS_URL": ""}
            if contestant.database == "postgresql":
                url = stack.enter_context(
                    self.postgresql.fresh_database(f"contestant_{self._starts}")
                )
                storage = Storage(contestant, url, data)
                environment |= {"DATABASE_URL": url, "REDIS_URL": self.redis_url}
            elif not contestant.has_our_tables:  # what is embedded is told nothing
                environment["DATABASE_URL"] = f"sqlite:///{storage.file}"
            # All that the settings read, so that neither shell nor `.env` changes what runs.
            somewhere = (
                os.environ
                | ENVIRONMENT
                | environment
                | {"PORT": str(free_port())}
                | dict(more or {})
            )
            self._prepare(contestant, somewhere)
            yield storage, somewhere

    @contextmanager
    def running(
        self, contestant: Contestant, more: Mapping[str, str] | None = None
    ) -> Iterator[Running]:
        """Prepare and start `contestant`; stop it and drop its data afterwards."""
        with ExitStack() as stack:
            storage, somewhere = stack.enter_context(self.prepared(contestant, more))
            port = int(somewhere["PORT"])
            started: list[int] = []
            stack.callback(_kill_groups, started)  # after the friendly end that `start` sees to
            with _environment(somewhere):
                process = start(
                    list(contestant.serve_command(port)),
                    is_ready=lambda: ensure_answers(port),
                    not_ready=OSError,
                    log=self._folder / f"{contestant.name}.log",
                    stack=stack,
                )
            started.append(process.pid)
            postgresql = self.postgresql.pid if contestant.database == "postgresql" else None
            yield Running(port, storage, process.pid, self.redis_pid, postgresql)

    def _prepare(self, contestant: Contestant, environment: dict[str, str]) -> None:
        result = subprocess.run(  # noqa: S603  # our own program, no shell
            contestant.prepare_command(self._keys),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if result.returncode:
            raise BenchError(f"{contestant.name} cannot be prepared:\n{result.stdout}")


@contextmanager
def responder(folder: Path) -> Iterator[int]:
    """A server that does nothing; its port."""
    port = free_port()
    with ExitStack() as stack:
        start(
            [sys.executable, "-m", "bench.responder", str(port)],
            is_ready=lambda: ensure_answers(port),
            not_ready=OSError,
            log=folder / "responder.log",
            stack=stack,
        )
        yield port


def ensure_answers(port: int) -> None:
    """Raise OSError unless whoever listens there answers HTTP, with whatever status."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", "/record", headers={"Connection": "close"})
        try:
            connection.getresponse().read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error


def kill_tree(pid: int) -> None:
    """`kill -9` for a process and all that descend from it; returns when they are gone."""
    top = psutil.Process(pid)
    top.suspend()  # it must not replace those that end before it
    family = [*top.children(recursive=True), top]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=10)


def _kill_groups(leaders: list[int]) -> None:
    """End what a server left behind: a worker of gunicorn once outlived its master."""
    for leader in leaders:
        with suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGKILL)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """For `start`, whose programs inherit ours."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def post(port: int, head: bytes, body: bytes) -> int:
    """Post once; the status of the answer."""
    headers = dict(line.split(": ", 1) for line in head.decode().strip().split("\r\n"))
    headers["Content-Type"] = "application/json"
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("POST", "/record", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def settle(running: Running) -> None:
    """Wait until every process of the server is up: they start one after the other."""
    calm_since, before = time.monotonic(), running.cpu_s()["server"]
    give_up_at = calm_since + 10
    while time.monotonic() - calm_since < 0.5 and time.monotonic() < give_up_at:
        time.sleep(0.1)
        now = running.cpu_s()["server"]
        if now - before > 0.02:
            calm_since = time.monotonic()
        before = now
