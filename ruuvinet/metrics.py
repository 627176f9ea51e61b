"""What `/metrics` tells Prometheus, read from the database that all processes share.

Not prometheus_client's multiprocess mode: its files know the processes of one machine, or of one
container, only, and outlive them. What is counted is added to operations.Total by whoever did it,
web processes each ten seconds; what is a state is asked for when it is scraped. So every web
process tells the same, whichever the balancer chooses.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db import DatabaseError
from django.db.models import Count
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from alerts.delivery import ENDS
from alerts.models import AlertEvent, Delivery
from alerts.selectors import evaluation_backlog
from gateways import tally
from gateways.models import SILENT_AFTER, Gateway
from operations.models import Heartbeat, Total
from ruuvinet.health import database_part, queue_lengths
from sensors import partitions

__all__ = ["CONTENT_TYPE", "exposition"]

_Totals = Mapping[str, Mapping[str, float]]  # by name and label
_Samples = Mapping[Any, float]  # by the labels' values, a tuple of texts


def exposition(now: datetime) -> bytes:
    """Everything, in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Metrics(now))
    return generate_latest(registry)


class _Metrics(Collector):
    def __init__(self, now: datetime) -> None:
        self._now = now

    def describe(self) -> list[Metric]:
        return []  # otherwise registering would ask for everything once more

    def collect(self) -> Iterator[Metric]:
        try:
            families = [] if database_part().problem else list(_families(self._now))
        except DatabaseError:  # it went while we asked
            families = []
        yield _gauge(
            "database_up", "Whether the database answers and is migrated.", {(): bool(families)}
        )
        yield from families


def _families(now: datetime) -> Iterator[Metric]:
    totals: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for name, label, value in Total.objects.values_list("name", "label", "value"):
        totals[name][label] = value
    yield from _ingest(totals)
    yield from _jobs(now)
    yield from _alerts(totals, now)
    yield from _history(int(now.timestamp()))
    yield from _fleet(now)


def _ingest(totals: _Totals) -> Iterator[Metric]:
    yield _counter("posts", "Accepted posts.", {(): sum(totals["latency"].values())})
    yield _counter("readings", "Readings in accepted posts.", {(): totals["readings"].get("", 0)})
    refused = {(reason,): totals["refused"].get(reason, 0) for reason in tally.REASONS}
    yield _counter("posts_refused", "Posts that were answered with an error.", refused, "reason")
    histograms = (
        ("post_duration_seconds", "From a post's whole body to its commit.", *_LATENCY),
        ("posts_in_hand", "Posts that a process had in hand as one came, with it.", *_IN_HAND),
        ("batch_posts", "Posts that shared a transaction.", *_BATCH),
    )
    for name, text, counted, ends in histograms:
        yield _histogram(name, text, totals[counted], totals[f"{counted}_sum"].get("", 0), ends)


_LATENCY = ("latency", tally.LATENCY_S)
_IN_HAND = ("in_hand", tally.IN_HAND_POSTS)
_BATCH = ("batch", tally.BATCH_POSTS)


def _jobs(now: datetime) -> Iterator[Metric]:
    lengths = queue_lengths()
    yield _gauge("broker_up", "Whether the broker answers.", {(): lengths is not None})
    waiting = {(queue,): length for queue, length in (lengths or {}).items()}
    yield _gauge("queue_messages", "Messages that wait in the broker.", waiting, "queue")
    seen = Heartbeat.objects.values_list("part", "at")
    ages = {(part,): (now - at).total_seconds() for part, at in seen}
    yield _gauge("heartbeat_age_seconds", "Since a part was last seen at work.", ages, "part")


def _alerts(totals: _Totals, now: datetime) -> Iterator[Metric]:
    behind, lag_s = evaluation_backlog(now)
    yield _gauge("sensors_unjudged", "Sensors heard whose rules wait.", {(): behind})
    yield _gauge("evaluation_lag_seconds", "Age of the first reading to judge.", {(): lag_s})
    open_events = AlertEvent.objects.filter(resolved_at=None).values_list("type")
    opened = {(kind,): count for kind, count in open_events.annotate(Count("pk"))}
    yield _gauge("alerts_open", "Alerts that have not ended.", opened, "type")
    pending = Delivery.objects.filter(status=Delivery.Status.PENDING).values_list("channel")
    waiting = dict.fromkeys(((channel,) for channel in Delivery.Channel.values), 0)
    waiting |= {(channel,): count for channel, count in pending.annotate(Count("pk"))}
    yield _gauge("deliveries_pending", "Deliveries to be sent.", waiting, "channel")
    ends = {(channel, end): 0.0 for channel in Delivery.Channel.values for end in ENDS.values()}
    for label, count in totals["deliveries"].items():
        channel, _, end = label.partition(" ")
        ends[channel, end] = count
    yield _counter("delivery_attempts", "Attempts to tell a person.", ends, "channel", "outcome")


def _history(now_s: int) -> Iterator[Metric]:
    """Nothing on SQLite, whose history has no partitions."""
    there = {table: partitions.partitions(table) for table in partitions.TABLES}
    there = {table: found for table, found in there.items() if found}
    oldest = {(table,): now_s - found[0].start for table, found in there.items()}
    ahead = {
        (table,): partitions.covered_until(found, now_s) - now_s for table, found in there.items()
    }
    counts = {(table,): len(found) for table, found in there.items()}
    yield _gauge("partitions", "Partitions of the history.", counts, "table")
    yield _gauge("partition_oldest_age_seconds", "Since the oldest began.", oldest, "table")
    yield _gauge("partitions_ahead_seconds", "Until readings find none.", ahead, "table")


def _fleet(now: datetime) -> Iterator[Metric]:
    whitelisted = Gateway.objects.whitelisted()
    heard = whitelisted.filter(last_seen_at__gt=now - SILENT_AFTER).count()
    gateways = {("heard",): heard, ("silent",): whitelisted.count() - heard}
    yield _gauge("gateways", "Whitelisted gateways; silent for 15 minutes.", gateways, "state")


# --- Forms ---------------------------------------------------------------------------------
def _gauge(name: str, text: str, samples: _Samples, *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"ruuvinet_{name}", text, labels=labels)
    for values, sample in samples.items():
        family.add_metric(values, sample)
    return family


def _counter(name: str, text: str, samples: _Samples, *labels: str) -> CounterMetricFamily:
    family = CounterMetricFamily(f"ruuvinet_{name}", text, labels=labels)
    for values, sample in samples.items():
        family.add_metric(values, sample)
    return family


def _histogram(
    name: str, text: str, counts: Mapping[str, float], total: float, ends: tuple[float, ...]
) -> HistogramMetricFamily:
    """Of counts by bucket; Prometheus wants each with those before it."""
    below, buckets = 0.0, []
    for end in [*(f"{end:g}" for end in ends), "+Inf"]:
        below += counts.get(end, 0)
        buckets.append((end, below))
    return HistogramMetricFamily(f"ruuvinet_{name}", text, buckets=buckets, sum_value=total)
