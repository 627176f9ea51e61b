"""`manage.py history`: where the readings lie, and what is about to become of them."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection
from django.utils import timezone

from ruuvinet.history import expiry, tidy_history
from sensors.partitions import TABLES, Partition, partitions
from sensors.selectors import history_extent
from sensors.upkeep import retention_days, state

TITLES = {
    "sensors_measurement": "dense history (a reading a minute)",
    "sensors_sparsemeasurement": "sparse history (a reading each quarter of an hour)",
}
WORDS = {
    "open": "open",
    "closed": "closed, would be rewritten",
    "ordered": "closed, rewritten",
    "expired": "expired, would be dropped",
}


class Command(BaseCommand):
    help = (
        "Show sizes, rows and retention of the history, and what would be rewritten and dropped. "
        "With --tidy do that now, as the timetable does every hour; may be interrupted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tidy", action="store_true", help="rewrite and drop now")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        if options["tidy"]:
            self._tidy(now)
        self.stdout.write("\n".join(_report(int(now.timestamp()), expiry(now))))

    def _tidy(self, now: datetime) -> None:
        start = time.monotonic()
        done = tidy_history(now)
        said = [
            f"{word} {', '.join(names)}"
            for word, names in (
                ("rewrote", done.rewritten),
                ("dropped", done.dropped),
                ("put off", done.put_off),
            )
            if names
        ]
        if done.deleted:
            said.append(
                f"deleted {done.deleted:,} rows, holding the write lock for "
                f"{done.longest_s * 1000:.0f} ms at most"
            )
        said = said or ["nothing to do, or another process is at it"]
        self.stdout.write(f"{'; '.join(said)} ({time.monotonic() - start:.1f} s)\n")


def _report(now: int, expires: Mapping[str, int]) -> Iterator[str]:
    for table in TABLES:
        days = retention_days(table)
        yield f"{TITLES[table]}, kept {days} days: from {_day(expires[table])}"
        if connection.vendor == "postgresql":
            yield from _partition_lines(partitions(table), now, expires)
        else:
            yield from _table_lines(table, expires[table])
    if connection.vendor != "postgresql":
        yield from _file_lines()


def _partition_lines(found: list[Partition], now: int, expires: Mapping[str, int]) -> Iterator[str]:
    yield f"  {'partition':34} {'from':10}  {'to':10} {'rows, about':>14} {'size':>10}  state"
    states = {partition: state(partition, now=now, expires=expires) for partition in found}
    for each, word in states.items():
        rows = "not known" if each.rows is None else f"{each.rows:,}"
        yield (
            f"  {each.name:34} {_day(each.start)}  {_day(each.end)} {rows:>14} "
            f"{_size(each.size):>10}  {WORDS[word]}"
        )
    total = sum(each.rows or 0 for each in found)
    yield f"  {'together':34} {'':22} {total:>14,} {_size(sum(each.size for each in found)):>10}"
    for word, verb in (("closed", "rewritten"), ("expired", "dropped")):
        chosen = [each for each, is_ in states.items() if is_ == word]
        if chosen:
            sizes = _size(sum(each.size for each in chosen))
            yield f"  would be {verb}: {len(chosen)} partitions, {sizes}"


def _table_lines(table: str, before: int) -> Iterator[str]:
    extent = history_extent(table, before=before)
    if extent is None:
        yield "  empty"
        return
    yield (
        f"  {extent.sensors:,} sensors, at most {extent.most_rows:,} rows, "
        f"from {_day(extent.first)} to {_day(extent.last)}"
    )
    yield f"  would be deleted: rows of {extent.expired_sensors:,} sensors"


def _file_lines() -> Iterator[str]:
    with connection.cursor() as cursor:
        pages, free, size = (
            cursor.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    log = Path(f"{settings.DATABASES['default']['NAME']}-wal")
    logged = log.stat().st_size if log.exists() else 0
    yield (
        f"file {_size(pages * size)}, of which free for new rows {_size(free * size)}; "
        f"write-ahead log {_size(logged)}"
    )


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"
