"""How this installation is: what `/health/ready`, `/metrics` and `manage.py doctor` all look at."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from celery import current_app
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from kombu import Connection, Queue
from kombu.exceptions import KombuError

from operations.models import Heartbeat
from sensors.partitions import TABLES, covered_until, partitions

HEARTBEAT_LATE = timedelta(seconds=150)  # two ticks are missing
LIVE = b'{"status": "ok"}'  # what /health says
AHEAD_WANTED_S = 86400  # of the partitions, which are made weeks ahead

_Errors = tuple[type[BaseException], ...]


class Part(NamedTuple):
    """One part of the installation; `problem` is empty when it is well.

    While a part with `stops_posts` is not well, gateways are better sent to another server.
    """

    name: str
    problem: str
    stops_posts: bool


def parts(now: datetime) -> Iterator[Part]:
    """Every part; none after an unreachable database, without which nothing else can be said."""
    yield (base := database_part())
    if base.problem:
        return
    yield partitions_part(now)
    yield _broker(now)
    yield from heartbeat_parts(now)


def database_part() -> Part:
    """Whether the database answers and is migrated."""
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except DatabaseError:
        return Part("database", "database unreachable", True)
    missing = _newest_migrations() - applied.keys()
    return Part("database", "database not migrated" if missing else "", True)


@cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    """The last migration of each app in this code, which does not change while it runs."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def partitions_part(now: datetime) -> Part:
    now_s = int(now.timestamp())
    ahead_s = (
        min(covered_until(partitions(table), now_s) - now_s for table in TABLES)
        if connection.vendor == "postgresql"
        else AHEAD_WANTED_S
    )
    problem = "" if ahead_s >= AHEAD_WANTED_S else "the next partition of the history is missing"
    return Part("partitions", problem, ahead_s <= 0)


def _broker(now: datetime) -> Part:
    return Part("broker", "" if queue_lengths() is not None else "broker unreachable", False)


def queue_lengths() -> dict[str, int] | None:
    """How many messages wait in each of the broker's queues; None if it cannot be reached."""
    with current_app.connection_for_read() as broker:
        lost: _Errors = (*broker.connection_errors, *broker.channel_errors, KombuError)
        try:
            broker.ensure_connection(max_retries=1, timeout=1)
            return {queue.name: _length(broker, queue) for queue in current_app.conf.task_queues}
        except lost:
            return None


def _length(broker: Connection, queue: Queue) -> int:
    missing: _Errors = tuple(broker.channel_errors)
    with broker.channel() as channel:
        try:
            declared: Any = queue(channel).queue_declare(passive=True)
            return int(declared.message_count)
        except missing:  # nobody has put anything into it yet
            return 0


def heartbeat_parts(now: datetime) -> Iterator[Part]:
    """Beat and each kind of worker. Workers get their work from beat, so that one is looked at first."""
    seen = dict(Heartbeat.objects.values_list("part", "at"))
    late = {part: _lateness(seen.get(part), now) for part in Heartbeat.PARTS}
    for part, problem in late.items():
        is_hidden = part != Heartbeat.BEAT and bool(late[Heartbeat.BEAT])
        yield Part(part, "unknown while beat is away" if problem and is_hidden else problem, False)


def _lateness(seen_at: datetime | None, now: datetime) -> str:
    if seen_at is None:
        return "not seen at work yet"
    if now - seen_at <= HEARTBEAT_LATE:
        return ""
    return f"last seen at work {int((now - seen_at).total_seconds())} s ago"
