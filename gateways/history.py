"""How long what gateways told and were served is kept."""

from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db.models import Exists, Model, OuterRef, QuerySet

from gateways.models import GatewayRejection, GatewayReset, GatewayStatus, ServedConfiguration

M = TypeVar("M", bound=Model)
PURGED_AT_ONCE = 1000  # in one statement: on SQLite nobody else can write meanwhile


def expired(at: datetime) -> list[QuerySet[Any]]:
    """What is older than GATEWAY_HISTORY_DAYS, one for each kind.

    The newest status, restart and configuration of each stay: they are its present state, and a
    restart that is told again must be known.
    """
    before = at - timedelta(days=settings.GATEWAY_HISTORY_DAYS)
    served = ServedConfiguration.objects
    return [
        _older(GatewayStatus.objects.all(), "received_at", before),
        _older(GatewayReset.objects.all(), "seen_at", before),
        GatewayRejection.objects.filter(last_at__lt=before),
        _older(served.exclude(gateway=None), "last_served_at", before),
        _older(served.filter(gateway=None), "last_served_at", before, "group"),
    ]


def count_expired(at: datetime) -> int:
    return sum(rows.count() for rows in expired(at))


def purge(at: datetime) -> int:
    """Forget what is expired; returns how many rows."""
    return sum(_purge(rows) for rows in expired(at))


def _older(rows: QuerySet[M], time: str, before: datetime, owner: str = "gateway") -> QuerySet[M]:
    """Those from `before`, unless they are the newest of their owner."""
    newer = rows.filter(**{f"{time}__gt": OuterRef(time), owner: OuterRef(owner)})
    return rows.filter(Exists(newer), **{f"{time}__lt": before})


def _purge(rows: QuerySet[M]) -> int:
    purged = 0
    while found := list(rows.values_list("pk", flat=True)[:PURGED_AT_ONCE]):
        purged += rows.model._default_manager.filter(pk__in=found).delete()[0]
    return purged
