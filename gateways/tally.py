"""What this process took and refused since it last told the database: a few additions a post.

Each process tells every ten seconds, so that whoever asks any of them hears of all; what a process
did since is lost when it is killed.
"""

import threading
from bisect import bisect_left
from collections import Counter
from datetime import datetime

from django.db import connection, transaction

from gateways.models import Gateway
from operations.services import add_totals

# Why a post can be refused: by its proof, before that, or by no fault of its own.
REASONS = (
    *(reason.name.lower() for reason in Gateway.Rejection),
    *("guessing", "malformed", "too_large", "too_slow", "blocked"),
    *("queue_full", "unavailable", "fault"),
)
# The upper ends of histograms' buckets, to which infinity is added.
LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_POSTS = (1, 2, 5, 10, 20, 50, 100, 200)
IN_HAND_POSTS = (1, 2, 5, 10, 20, 50, 100, 200, 400)

ADD_MINUTE = """
    INSERT INTO gateways_ingestminute (minute, posts, readings, refused) VALUES (%s, %s, %s, %s)
    ON CONFLICT (minute) DO UPDATE SET
        posts = gateways_ingestminute.posts + excluded.posts,
        readings = gateways_ingestminute.readings + excluded.readings,
        refused = gateways_ingestminute.refused + excluded.refused
"""


class Tally:
    """Counts posts under the names of operations.models.Total; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def accept(self, *, readings: int, took_s: float, in_hand: int) -> None:
        """Count a post that was committed, and how many its process had in hand with it."""
        latency = _LATENCY[bisect_left(LATENCY_S, took_s)]
        depth = _IN_HAND[bisect_left(IN_HAND_POSTS, in_hand)]
        with self._lock:
            counts = self._counts
            counts[_READINGS] += readings
            counts[latency] += 1
            counts[_LATENCY_SUM] += took_s  # type: ignore[assignment]  # seconds beside counts
            counts[depth] += 1
            counts[_IN_HAND_SUM] += in_hand

    def refuse(self, reason: str) -> None:
        """Count a post that was answered with an error, for one of REASONS."""
        with self._lock:
            self._counts["refused", reason] += 1

    def commit(self, posts: int) -> None:
        """Count a transaction that `posts` shared."""
        batch = _BATCH[bisect_left(BATCH_POSTS, posts)]
        with self._lock:
            self._counts[batch] += 1
            self._counts[_BATCH_SUM] += posts

    def tell(self, at: datetime) -> None:
        """Add what was counted to the database's totals and to its minute `at`; count from zero.

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


def _buckets(name: str, ends: tuple[float, ...]) -> list[tuple[str, str]]:
    return [(name, f"{end:g}") for end in ends] + [(name, "+Inf")]


# Made once, since making them for each post would cost more than counting.
_LATENCY, _LATENCY_SUM = _buckets("latency", LATENCY_S), ("latency_sum", "")
_BATCH, _BATCH_SUM = _buckets("batch", BATCH_POSTS), ("batch_sum", "")
_IN_HAND, _IN_HAND_SUM = _buckets("in_hand", IN_HAND_POSTS), ("in_hand_sum", "")
_READINGS = ("readings", "")


def _add(counts: Counter[tuple[str, str]], at: datetime) -> None:
    sums: Counter[str] = Counter()
    for (name, _), count in counts.items():
        sums[name] += count
    minute = connection.ops.adapt_datetimefield_value(at.replace(second=0, microsecond=0))
    with transaction.atomic():
        add_totals(counts)
        with connection.cursor() as cursor:
            cursor.execute(ADD_MINUTE, [minute, sums["latency"], sums["readings"], sums["refused"]])


INGEST = Tally()
