"""What people may do: the one place that turns plans into limits."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from subscriptions.models import Subscription


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
    telegram_alert_allowed: bool = False
    offline_alert_allowed: bool = True
    delayed_alert_allowed: bool = True
    pdf_export_allowed: bool = True


def limits_for(user_ids: Collection[int], at: datetime) -> dict[int, Limits]:
    """The limits of each of `user_ids` at `at`, by user id, in one query.

    Of several active subscriptions the one that ends last counts.
    """
    limits = dict.fromkeys(user_ids, Limits())
    active = Subscription.objects.active(at).filter(user_id__in=user_ids).order_by("ends_at")
    for user_id, push in active.values_list("user_id", "push_alert_allowed"):
        limits[user_id] = Limits(push_alert_allowed=push)
    return limits
