"""Counts what became of the posts."""

import math
from array import array
from collections import Counter
from collections.abc import Sequence


class Tally:
    """Posts by status and by kind of failure, and how long answers took."""

    def __init__(self) -> None:
        self.posts = 0
        self.readings = 0
        self.statuses: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self._latencies_ms = array("d")

    def add_answer(self, status: int, *, readings: int, latency_ms: float) -> None:
        self._add_post(readings)
        self.statuses[status] += 1
        self._latencies_ms.append(latency_ms)

    def add_error(self, kind: str, *, readings: int) -> None:
        self._add_post(readings)
        self.errors[kind] += 1

    @property
    def refused(self) -> int:
        """Answers other than 2xx."""
        return sum(count for status, count in self.statuses.items() if not 200 <= status <= 299)

    @property
    def unanswered(self) -> int:
        return self.errors.total()

    @property
    def verdict(self) -> str:
        """What went wrong in a few words; empty if every post was accepted."""
        if not self.posts:
            return "nothing was sent"
        if self.refused or self.unanswered:
            return f"{self.refused} of {self.posts} posts refused, {self.unanswered} unanswered"
        return ""

    def summary(self) -> str:
        lines = [
            f"posts     {self.posts}",
            f"readings  {self.readings}",
            f"statuses  {_counts(self.statuses)}",
            f"latency   {self._latency()}",
            f"errors    {_counts(self.errors)}",
        ]
        return "\n".join(lines)

    def _add_post(self, readings: int) -> None:
        self.posts += 1
        self.readings += readings

    def _latency(self) -> str:
        if not self._latencies_ms:
            return "none"
        ordered = sorted(self._latencies_ms)
        shares = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
        values = (f"{name} {percentile(ordered, at):.1f}" for name, at in shares.items())
        return ", ".join(values) + " ms"


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value which at least `share` (0 to 1) of the sorted values do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _counts(counter: Counter[int] | Counter[str]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counter.most_common()) or "none"
