"""What people may do: the one place that turns plans into limits."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BigIntegerField, DateTimeField, Value
from django.db.models.functions import Cast

from subscriptions.models import ALLOWANCE_FIELDS, Plan, Subscription


@dataclass(frozen=True, slots=True)
class Limits:
    """What a plan allows. The defaults are those of a self-hosted system: everything."""

    name: str = "RuuviNet"
    is_active: bool = True
    ends_at: datetime | None = None
    max_claims: int = 1000
    max_shares: int = 10_000
    max_shares_per_sensor: int = 10
    max_history_days: int = 3650
    max_resolution_minutes: int = 1
    push_alert_allowed: bool = True
    email_alert_allowed: bool = True
    webhook_alert_allowed: bool = True
    telegram_alert_allowed: bool = False
    offline_alert_allowed: bool = True
    delayed_alert_allowed: bool = True
    pdf_export_allowed: bool = True


def limits_for(user_ids: Collection[int], at: datetime) -> dict[int, Limits]:
    """The limits of each of `user_ids` at `at`, by user id, in one query.

    Of several active subscriptions the one that started last counts; of none, the default plan.
    """
    limits, default = {}, Limits()
    for user_id, ends_at, _, _, *allowance in _granted(user_ids, at):
        granted = Limits(ends_at=ends_at, **dict(zip(ALLOWANCE_FIELDS, allowance, strict=True)))
        if user_id is None:
            default = granted
        else:
            limits[user_id] = granted
    return {user_id: limits.get(user_id, default) for user_id in user_ids}


def _granted(user_ids: Collection[int], at: datetime) -> Any:
    """Active subscriptions, those that started last at the end, and the default plan."""
    active = Subscription.objects.active(at).filter(user_id__in=user_ids)
    nobody, no_time = Value(None, BigIntegerField()), Value(None, DateTimeField())
    default = Plan.objects.filter(is_default=True).annotate(
        user_id=Cast(nobody, BigIntegerField()),
        ends_at=Cast(no_time, DateTimeField()),
        starts_at=Cast(no_time, DateTimeField()),
    )
    columns = ("user_id", "ends_at", "starts_at", "pk", *ALLOWANCE_FIELDS)
    both = active.values_list(*columns).union(default.values_list(*columns), all=True)
    return both.order_by("starts_at", "pk")
