"""What this process took and refused since it last told the database: a few additions a post."""

import threading
from collections import Counter
from datetime import datetime

from django.db import connection

from gateways.models import Gateway

ADD_MINUTE = """
    INSERT INTO gateways_ingestminute (minute, posts, readings, refused) VALUES (%s, %s, %s, %s)
    ON CONFLICT (minute) DO UPDATE SET
        posts = gateways_ingestminute.posts + excluded.posts,
        readings = gateways_ingestminute.readings + excluded.readings,
        refused = gateways_ingestminute.refused + excluded.refused
"""


# Why a post can be refused: by its proof, before that, or by no fault of its own.
REASONS = (
    *(reason.name.lower() for reason in Gateway.Rejection),
    *("guessing", "malformed", "too_large", "too_slow", "blocked"),
    *("queue_full", "unavailable", "fault"),
)


class Tally:
    """Counts posts; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def accept(self, *, readings: int) -> None:
        """Count a post that was committed."""
        with self._lock:
            self._counts["posts", ""] += 1
            self._counts["readings", ""] += readings

    def refuse(self, reason: str) -> None:
        """Count a post that was answered with an error, for one of REASONS."""
        with self._lock:
            self._counts["refused", reason] += 1

    def tell(self, at: datetime) -> None:
        """Add what was counted to the database's minute `at`, and count from zero.

        Raises DatabaseError; then nothing is forgotten, and the next call tells it.
        """
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            _add(counts, at)
        except BaseException:
            with self._lock:
                self._counts.update(counts)
            raise


def _add(counts: Counter[tuple[str, str]], at: datetime) -> None:
    sums: Counter[str] = Counter()
    for (name, _), count in counts.items():
        sums[name] += count
    minute = connection.ops.adapt_datetimefield_value(at.replace(second=0, microsecond=0))
    with connection.cursor() as cursor:
        cursor.execute(ADD_MINUTE, [minute, sums["posts"], sums["readings"], sums["refused"]])


INGEST = Tally()
