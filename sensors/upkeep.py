"""What becomes of the history as it ages: put in order, then dropped.

PostgreSQL: whole partitions. SQLite: its tables are in order by nature, old rows are deleted.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DatabaseError, connection
from tqdm import tqdm

from sensors import partitions
from sensors.partitions import DAY_S, TABLES, LockNotGranted, Partition, oldest_open
from sensors.purge import purge
from sensors.rewriting import alone, rewrite
from subscriptions.limits import longest_history_days

log = logging.getLogger(__name__)

_busy = threading.Lock()


@dataclass(slots=True)
class Done:
    """What was done: names of partitions, rows deleted on SQLite and the longest that took."""

    rewritten: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    put_off: list[str] = field(default_factory=list)
    deleted: int = 0
    longest_s: float = 0.0


def retention_days(table: str) -> int:
    """How long rows of `table` are kept: sparse history at least as long as any plan shows it."""
    if table == "sensors_measurement":
        return int(settings.DENSE_RETENTION_DAYS)
    return max(int(settings.SPARSE_RETENTION_DAYS), longest_history_days())


def expiry(now: int, *, judged_until: int) -> dict[str, int]:
    """For each table the time before which nothing is needed; all in Unix seconds.

    `judged_until`: alerts may still need what was measured later. Open partitions never expire.
    """
    expires = {table: now - retention_days(table) * DAY_S for table in TABLES}
    expires["sensors_measurement"] = min(expires["sensors_measurement"], judged_until)
    return {table: min(before, oldest_open(now)) for table, before in expires.items()}


def state(partition: Partition, *, now: int, expires: Mapping[str, int]) -> str:
    """`expired` (to be dropped), `open`, `ordered`, or `closed` (to be put in order)."""
    if partition.end <= expires[partition.table]:
        return "expired"
    if not partition.is_closed(now):
        return "open"
    return "ordered" if partition.is_ordered or not partition.heap else "closed"


def tidy(now: int, *, expires: Mapping[str, int]) -> Done:
    """Drop what expired and put in order what closed, both as `state` says; with a progress bar.

    Only one process does so at a time: the others come back with nothing done.
    """
    done = Done()
    if connection.vendor != "postgresql":
        _purge(expires, done)
        return done
    with alone() as is_alone:
        if is_alone:
            _tidy_partitions(now, expires, done)
    return done


def _tidy_partitions(now: int, expires: Mapping[str, int], done: Done) -> None:
    states: dict[str, list[Partition]] = {"expired": [], "open": [], "ordered": [], "closed": []}
    for table in TABLES:
        for partition in partitions.partitions(table):
            states[state(partition, now=now, expires=expires)].append(partition)
    for partition in states["expired"]:
        try:
            partitions.drop(partition)
            done.dropped.append(partition.name)
        except LockNotGranted:
            done.put_off.append(partition.name)
    total = sum(partition.size for partition in states["closed"])
    with tqdm(total=total, unit="B", unit_scale=True, disable=None) as bar:
        for partition in states["closed"]:
            try:
                rewrite(partition, bar.set_description)
                done.rewritten.append(partition.name)
            except LockNotGranted:
                done.put_off.append(partition.name)
            except DatabaseError:  # a full disk, for example: the copy goes, and with it the need
                log.exception("%s cannot be rewritten", partition.name)
                done.put_off.append(partition.name)
                break
            bar.update(partition.size)
    for name in done.put_off:
        log.warning("%s is put off until the next tick", name)


def _purge(expires: Mapping[str, int], done: Done) -> None:
    if not _busy.acquire(blocking=False):  # the tick before is not through
        return
    try:
        for table, before in expires.items():
            with tqdm(desc=table, unit=" rows", disable=None) as bar:
                for piece in purge(table, before):
                    done.deleted += piece.rows
                    done.longest_s = max(done.longest_s, piece.held_s)
                    bar.update(piece.rows)
    finally:
        _busy.release()
