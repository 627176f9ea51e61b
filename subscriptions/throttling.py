"""How often a person may call, which is what the plan allows."""

from datetime import datetime, timedelta
from typing import Any, cast

from django.core.cache import caches
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.models import User
from ruuvinet.lib.rates import Calls
from subscriptions.limits import Limits, limits_for

CALLS = Calls("calls", window=timedelta(minutes=1))
HEADROOM = 1.2  # for what the apps call by themselves
REMEMBERED_S = 60  # a new plan counts after a minute at the latest


def quota(limits: Limits) -> int:
    """Calls a minute: those of the vendor's cloud, 209 for 25 sensors and 90 days."""
    return 8 * limits.max_claims + limits.max_history_days // 10


class PlanThrottle(BaseThrottle):
    """Counts the calls of people who signed in, of all their sessions together.

    Calls that apps make by themselves, whose views say `steady = True`, are refused a little
    later than others: an app that may not sync looks broken.
    """

    def __init__(self) -> None:
        self.now = timezone.now()

    def allow_request(self, request: Request, view: Any) -> bool:
        user = cast(User | None, request.user)
        if user is None:
            return True
        allowed = _quota_of(user, self.now)
        if getattr(view, "steady", False):
            allowed = int(allowed * HEADROOM)
        return CALLS.count(str(user.pk), self.now) <= allowed

    def wait(self) -> float:
        return CALLS.wait_s(self.now)


def _quota_of(user: User, at: datetime) -> int:
    key = f"quota:{user.pk}"
    known: int | None = caches["local"].get(key)
    if known is None:
        known = quota(limits_for([user.pk], at)[user.pk])
        caches["local"].set(key, known, REMEMBERED_S)
    return known
