"""What people may do: the one place that turns plans into limits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Max

from ruuvinet.lib.database import instant
from subscriptions.models import ALLOWANCE_FIELDS, Code, Plan, Subscription


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
        granted = Limits(ends_at=instant(ends_at), **_allowed(allowance))
        if user_id is None:
            default = granted
        else:
            limits[user_id] = granted
    return {user_id: limits.get(user_id, default) for user_id in user_ids}


def longest_history_days() -> int:
    """The days of history that some plan shows or may come to show, also those not yet given."""
    longest = [
        model.objects.aggregate(days=Max("max_history_days"))["days"]
        for model in (Plan, Code, Subscription)
    ]
    has_default = Plan.objects.filter(is_default=True).exists()
    return max(days or 0 for days in [*longest, 0 if has_default else Limits().max_history_days])


# Active subscriptions, those that started last at the end, and the default plan. As SQL, since
# nearly every call of an app asks, and building this query takes the ORM longer than running it.
_GRANTED = """
    SELECT user_id, ends_at, starts_at, id, {columns} FROM subscriptions_subscription
    WHERE user_id IN ({users}) AND starts_at <= %s AND (ends_at IS NULL OR ends_at > %s)
    UNION ALL
    SELECT NULL, NULL, NULL, id, {columns} FROM subscriptions_plan WHERE is_default
    ORDER BY 3, 4
"""


def _granted(user_ids: Collection[int], at: datetime) -> list[tuple[Any, ...]]:
    sql = _GRANTED.format(
        columns=", ".join(ALLOWANCE_FIELDS), users=", ".join(["%s"] * len(user_ids)) or "NULL"
    )
    moment = connection.ops.adapt_datetimefield_value(at)
    with connection.cursor() as cursor:
        cursor.execute(sql, [*user_ids, moment, moment])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _allowed(values: Sequence[Any]) -> dict[str, Any]:
    """By field; SQLite has numbers for true and false."""
    found = dict(zip(ALLOWANCE_FIELDS, values, strict=True))
    return {name: bool(v) if name.endswith("_allowed") else v for name, v in found.items()}
