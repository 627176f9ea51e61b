"""Reads of subscriptions."""

from datetime import datetime

from accounts.models import User
from subscriptions.limits import limits_for
from subscriptions.models import ALLOWANCE_FIELDS, Subscription


def history_of(user: User, at: datetime) -> list[tuple[Subscription, bool]]:
    """What `user` has at `at` and had before, with whether it counts; the one that does first.

    Where no subscription counts, the default plan stands in its place, unsaved: it began when
    the last subscription ended.
    """
    begun = Subscription.objects.filter(user=user, starts_at__lte=at)
    past = list(begun.order_by("-starts_at", "-pk"))
    current = next((one for one in past if one.ends_at is None or one.ends_at > at), None)
    if current is None:
        ends = [one.ends_at for one in past if one.ends_at]
        limits = limits_for([user.pk], at)[user.pk]
        allowance = {field: getattr(limits, field) for field in ALLOWANCE_FIELDS}
        starts_at = max(ends, default=user.created_at)
        current = Subscription(user=user, starts_at=starts_at, **allowance)
    return [(current, True), *((one, False) for one in past if one is not current)]
