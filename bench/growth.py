"""`python -m bench.growth`: is it as fast with millions of rows in place?

Two databases side by side, one empty, one filled: 20 million dense rows of 12,000 sensors on
PostgreSQL, half of them in the open partition, where posts go, half in a closed one, which is then
rewritten; 5 million rows of 528 sensors on SQLite. Posts are played to both in turns, with
checkpoints all the time. Then pages of 5,000 rows are read, cold and warm: cold is after a restart
of the database, its files dropped from the page cache.

`--lock FILE ...` waits for these files, as `flock` does, and holds them while it measures, but not
while it fills: for a machine on which others measure too.
"""

import argparse
import fcntl
import json
import os
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from tqdm import tqdm

from bench.bodies import GATEWAYS, READINGS, fleet, write_keys, write_magazine
from bench.contestants import CONTESTANTS
from bench.load import THREADS, Generator, Mode
from bench.servers import Arena, Running, settle
from bench.system import BenchError, describe, ensure_disk

WARM_UP_S, ROUNDS = 2, 3
POSTS_PER_SECOND = 4000  # prepared
FIRST_WARM_UP_S = 8  # the filled database was just restarted
PAGE, PAGES = 5000, 40
DENSE_S, SPARSE_S, WEEK_S = 60, 900, 7 * 86400
LONGEST_S = 31 * 86400  # few sensors need posts of many days, and these must not be too late
FEW_GATEWAYS = 22  # 528 sensors
CLOSED_SENSORS, CLOSED_MINUTES = 2000, 5000
OPEN_MINUTES, EMBEDDED_MINUTES = 840, 9470
# The shortest pause that PostgreSQL knows: so a checkpoint is on its way nearly all the time.
CHECKPOINTS = {"checkpoint_timeout": "30s"}
COPY = "COPY {} (sensor, slot, offset_s, rssi_dbm, gateway, payload) FROM STDIN (FORMAT BINARY)"
_TUPLE = struct.Struct("!hiqiiihihiqi31s")
_HEAD, _TAIL = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_PREFIX = bytes.fromhex("0201061BFF99040515714D9FC5")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--seconds", type=int, default=15, help="of each measurement")
    parser.add_argument("--share", type=float, default=1.0, help="of the rows, to try it out")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))  # noqa: S108
    parser.add_argument("--lock", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--ingest-only", action="store_true", help="read nothing")
    parser.add_argument("--explain", action="store_true", help="plans of the hottest statements")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is tidied up
    try:
        with ExitStack() as stack:
            folder = Path(
                stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="ruuvinet-growth-", dir=options.folder)
                )
            )
            folder.chmod(0o711)  # PostgreSQL may have to run as somebody else
            ensure_disk(folder)
            _say(json.dumps(describe(folder)))
            _Growth(options, folder, stack).run()
    except (BenchError, pytest.UsageError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    return 0


class _Growth:
    def __init__(self, options: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
        self.options = options
        self.folder = folder
        self.embedded = options.database == "sqlite"
        name = "ruuvinet-sqlite" if self.embedded else "ruuvinet"
        self.contestant = next(c for c in CONTESTANTS if c.name == name)
        self.before_rewriting: dict[str, list[float]] = {}
        self.closed: list[int] = []
        keys = folder / "keys.json"
        write_keys(keys)
        self.arena = Arena(folder, keys, stack, CHECKPOINTS)

    def run(self) -> None:
        posts = POSTS_PER_SECOND * (ROUNDS * (self.options.seconds + WARM_UP_S) + FIRST_WARM_UP_S)
        magazine = write_magazine(
            self.folder,
            posts=posts,
            threads=THREADS,
            gateways=FEW_GATEWAYS if self.embedded else GATEWAYS,
        )
        self.before_s = magazine.start_s
        oldest_s = (int(time.time()) - 86400) // LONGEST_S * LONGEST_S
        if self.before_s < oldest_s:
            raise BenchError("A partition has just begun: try again tomorrow, or fewer --seconds.")
        more = {"PARTITION_DAYS": str(LONGEST_S // 86400)} if self.embedded else {}
        generators = Generator(magazine), Generator(magazine)
        with (
            self.arena.running(self.contestant, more) as empty,
            self.arena.running(self.contestant, more) as full,
        ):
            self.fill(full)
            with self.alone():
                self.ingest((empty, full), generators)
            if not self.options.ingest_only:
                self.read(full)

    @contextmanager
    def alone(self) -> Iterator[None]:
        with ExitStack() as stack:
            for path in self.options.lock:
                file = stack.enter_context(path.open("a"))
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    # --- Filling ----------------------------------------------------------------------------

    def fill(self, full: Running) -> None:
        start = time.monotonic()
        if self.embedded:
            self._fill_sqlite(full.storage.file)
        else:
            self._fill_postgresql(full)
        _say(f"filled in {time.monotonic() - start:.0f} s")

    def _fill_sqlite(self, file: Path) -> None:
        sensors = sorted(s for gateway in fleet()[:FEW_GATEWAYS] for s in gateway.sensors)
        times = _minutes(self.before_s, int(EMBEDDED_MINUTES * self.options.share))
        with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            for at in tqdm(times, desc="fill", disable=None):
                connection.execute("BEGIN IMMEDIATE")
                rows = _rows(sensors, at)
                _insert(connection, "sensors_measurement", rows)
                if at % SPARSE_S == 0:
                    _insert(connection, "sensors_sparsemeasurement", rows)
                connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            stored, size = connection.execute(
                "SELECT sum(ncell), sum(pgsize) FROM dbstat WHERE name = 'sensors_measurement' "
                "AND pagetype IN ('leaf', 'internal')"
            ).fetchone()
        _say(
            f"bytes  SQLite: {size / (len(sensors) * len(times)):.1f} a dense row ({stored} cells)"
        )

    def _fill_postgresql(self, full: Running) -> None:
        everybody = sorted(s for gateway in fleet() for s in gateway.sensors)
        share = self.options.share
        week = self._django(full).oldest_open(self.before_s) - WEEK_S
        self.closed = everybody[:: len(everybody) // CLOSED_SENSORS][:CLOSED_SENSORS]
        closed_times = range(week, week + int(CLOSED_MINUTES * share) * DENSE_S, DENSE_S)
        open_times = _minutes(self.before_s, int(OPEN_MINUTES * share))
        from sensors.partitions import TABLES, cover, partitions

        for table in TABLES:
            cover(table, week, self.before_s)
        for sensors, times in ((self.closed, closed_times), (everybody, open_times)):
            _copy(full.storage.url, "sensors_measurement", sensors, times)
            sparse = [at for at in times if at % SPARSE_S == 0]
            _copy(full.storage.url, "sensors_sparsemeasurement", sensors, sparse)
        with psycopg.connect(full.storage.url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")
        closed = next(p for p in partitions("sensors_measurement") if p.start == week)
        _say(f"bytes  closed, as it came: {closed.size / (closed.rows or 1):.1f} a dense row")
        if not self.options.ingest_only:
            self.before_rewriting = self._read_cold_and_warm(full, self._sample())
        start = time.monotonic()
        from sensors.rewriting import alone, rewrite

        with alone():
            rewrite(closed)
        took_s = time.monotonic() - start
        found = {p.start: p for p in partitions("sensors_measurement")}
        closed, newest = (
            found[week],
            max(found.values(), key=lambda p: p.size if p.start > week else 0),
        )
        _say(
            f"rewriting: {closed.rows} rows in {took_s:.0f} s",
            f"bytes  rewritten: {closed.size / (closed.rows or 1):.1f} a dense row",
            f"bytes  open: {newest.size / (newest.rows or 1):.1f} a dense row",
        )

    def _django(self, full: Running) -> Any:
        """Our own code, on the filled database."""
        import django

        os.environ.update(full.environment())
        django.setup()
        from sensors import partitions

        return partitions

    # --- Ingest -----------------------------------------------------------------------------

    def ingest(self, both: Sequence[Running], generators: Sequence[Generator]) -> None:
        ratios, stored = [], [0, 0]
        for running, generator in zip(both, generators, strict=True):
            settle(running)
            generator.play(running.port, Mode.KEEP_ALIVE, seconds=FIRST_WARM_UP_S)
        for round_ in range(ROUNDS):
            found = {}
            for which in (0, 1) if round_ % 2 else (1, 0):
                settle(both[which])
                play = generators[which].play
                warm_up = play(both[which].port, Mode.KEEP_ALIVE, seconds=WARM_UP_S)
                load = play(both[which].port, Mode.KEEP_ALIVE, seconds=self.options.seconds)
                if load.errors:
                    raise BenchError(f"{load.errors} posts were refused")
                stored[which] += (warm_up.accepted + load.accepted) * READINGS
                found[which] = load.accepted / load.duration_s
            ratios.append(found[1] / found[0])
            _say(
                f"ingest round {round_ + 1}: empty {found[0]:.0f} posts/s, "
                f"filled {found[1]:.0f} posts/s, ratio {ratios[-1]:.2f}"
            )
        if both[0].storage.count_dense() < stored[0]:
            raise BenchError("not all acknowledged readings were stored")
        _say(f"ingest ratio, median: {statistics.median(ratios):.2f}")

    # --- Reading ----------------------------------------------------------------------------

    def _sample(self) -> list[int]:
        """Sensors to read, far from each other; the first to warm up."""
        few = [s for gateway in fleet()[:FEW_GATEWAYS] for s in gateway.sensors]
        return Random(5).sample(few if self.embedded else self.closed, PAGES + 1)  # noqa: S311

    def read(self, full: Running) -> None:
        if self.embedded:
            os.killpg(full.server_pid, signal.SIGKILL)  # what it has mapped stays in memory
            time.sleep(1)
        found = self._read_cold_and_warm(full, self._sample())
        for title, times in (("as it came", self.before_rewriting), ("in order", found)):
            for kind, values in times.items():
                _say(f"/get of {PAGE} rows, {title}, {kind:10} {_spread(values)}")
        _say(
            f"cold p95 is {_p95(found['cold']) / _p95(found['warm']):.2f} times warm p95; warm is "
            f"{statistics.median(found['warm']) / statistics.median(found['bare']):.2f} times bare SQL"
        )

    def _read_cold_and_warm(self, full: Running, sensors: list[int]) -> dict[str, list[float]]:
        until = self.before_s
        if not self.embedded:
            until = self._django(full).oldest_open(self.before_s) - 1
            from django.db import connection

            connection.close()
            self.arena.postgresql.stop()
        os.sync()
        _forget(self.folder)
        if not self.embedded:
            self.arena.postgresql.start()
        command = [sys.executable, "-m", "bench.growth_reads", str(until), json.dumps(sensors)]
        with self.alone():
            result = subprocess.run(  # noqa: S603  # our own program, no shell
                command + ["--explain"] * self.options.explain,
                env=os.environ | full.environment(),
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
        plans, _, times = result.stdout.rstrip().rpartition("\n")
        if plans:
            _say(plans)
        found: dict[str, list[float]] = json.loads(times)
        return found


def _minutes(end: int, count: int) -> range:
    return range(end - count * DENSE_S, end, DENSE_S)


def _rows(sensors: Iterable[int], at: int) -> list[tuple[int, int, int, int, int, bytes]]:
    """A reading of each sensor in the minute of `at`; the noise in it does not compress."""
    noise = os.urandom(12)
    return [
        (s, at, s % DENSE_S, -70 - s % 20, 0xC8252D000000 + s % GATEWAYS,
         _PREFIX + noise + s.to_bytes(6, "big"))
        for s in sensors
    ]  # fmt: skip


def _insert(connection: sqlite3.Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
    connection.executemany(
        f"INSERT INTO {table} (sensor, slot, offset_s, rssi_dbm, gateway, payload) "  # noqa: S608
        "VALUES (?, ?, ?, ?, ?, ?)",
        rows,
    )


def _copy(url: str, table: str, sensors: Sequence[int], times: Sequence[int]) -> None:
    """In the order of time, as readings come."""
    statement = COPY.format(table).encode()
    with psycopg.connect(url) as connection, connection.cursor().copy(statement) as copy:
        copy.write(_HEAD)
        for at in tqdm(times, desc=table, disable=None):
            copy.write(b"".join(_tuples(sensors, at)))
        copy.write(_TAIL)


def _tuples(sensors: Iterable[int], at: int) -> Iterator[bytes]:
    for s, slot, offset_s, rssi_dbm, gateway, payload in _rows(sensors, at):
        yield _TUPLE.pack(6, 8, s, 4, slot, 2, offset_s, 2, rssi_dbm, 8, gateway, 31, payload)


def _forget(folder: Path) -> None:
    """Have the kernel drop what it keeps of the files below `folder`."""
    for path in folder.rglob("*"):
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[len(values) * 95 // 100]


def _spread(values: Sequence[float]) -> str:
    return f"median {statistics.median(values) * 1000:6.1f} ms, p95 {_p95(values) * 1000:6.1f} ms"


_started = time.monotonic()


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(f"{time.monotonic() - _started:5.0f} s  {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
