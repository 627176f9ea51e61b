"""What people may do: the one place that turns plans into limits."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from subscriptions.models import Subscription


@dataclass(frozen=True, slots=True)
class Limits:
    """What a plan allows. The defaults are those of a self-hosted system: everything."""

    push_alert_allowed: bool = True


def limits_for(user_ids: Collection[int], at: datetime) -> dict[int, Limits]:
    """The limits of each of `user_ids` at `at`, by user id, in one query.

    Of several active subscriptions the one that ends last counts.
    """
    limits = dict.fromkeys(user_ids, Limits())
    active = Subscription.objects.active(at).filter(user_id__in=user_ids).order_by("ends_at")
    for user_id, push in active.values_list("user_id", "push_alert_allowed"):
        limits[user_id] = Limits(push_alert_allowed=push)
    return limits
