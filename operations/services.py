"""Verbs on what the installation says about itself."""

from collections.abc import Mapping
from datetime import datetime

from django.db import connection

from operations.models import Heartbeat

_ADD = """
    INSERT INTO operations_total (name, label, value) VALUES {rows}
    ON CONFLICT (name, label) DO UPDATE SET value = operations_total.value + excluded.value
"""


def add_totals(counts: Mapping[tuple[str, str], float]) -> None:
    """Add to the totals of (name, label), in one statement; runs in the caller's transaction."""
    if not counts:
        return
    # In one order, so that two processes never wait for each other crosswise.
    given = [
        value for (name, label), count in sorted(counts.items()) for value in (name, label, count)
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ADD.format(rows=", ".join(["(%s, %s, %s)"] * len(counts))), given)


def note_alive(part: str, at: datetime) -> None:
    """Note that `part`, one of Heartbeat.PARTS, is at work."""
    Heartbeat.objects.update_or_create(part=part, defaults={"at": at})
