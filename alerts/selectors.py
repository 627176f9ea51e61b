"""Reads that join rooms, as tuned SQL."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import (
    Count,
    Exists,
    F,
    IntegerField,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Coalesce

from accounts.models import User, UserSetting
from alerts.models import (
    AlertEvent,
    AlertRule,
    Delivery,
    EvaluationMark,
    ListeningSpan,
    PushToken,
    Webhook,
)
from alerts.rules import OFFLINE, Rule, State
from alerts.serializers import AlertItem, RuleRow, alert_item_of
from alerts.words import Preferences
from ruuvinet.lib.api import Forbidden
from ruuvinet.lib.database import instant
from ruuvinet.lib.mac import Mac
from sensors.models import DENSE_INTERVAL_S, Access, Latest, Sensor, fallback_name
from subscriptions.limits import Limits, limits_for


def rules_by_sensor(user: User, sensor: Mac | None) -> dict[Mac, list[AlertRule]]:
    """The rules of `user` for each sensor that `user` has, or for `sensor` alone. Two queries.

    A sensor that is merely public is listed if there are rules for it. Raises Forbidden if `user`
    may not read `sensor`.
    """
    readable = Sensor.objects.readable_by(user)
    if sensor is None:
        ruled = AlertRule.objects.filter(user=user, sensor=OuterRef("pk"))
        shared = Access.objects.filter(user=user, sensor=OuterRef("pk"))
        readable = readable.filter(Q(owner=user) | Exists(shared) | Exists(ruled))
    else:
        readable = readable.filter(mac=sensor)
    sensors = {each.mac: each for each in readable.order_by("mac")}
    if sensor is not None and not sensors:
        raise Forbidden("Forbidden.")
    found: dict[Mac, list[AlertRule]] = {mac: [] for mac in sensors}
    for rule in AlertRule.objects.filter(user=user).order_by("pk"):
        if rule.sensor_id in found:
            rule.sensor = sensors[rule.sensor_id]
            found[rule.sensor_id].append(rule)
    return found


# As SQL, since the ORM takes three times as long for what apps ask for again and again.
_RULES = """
    SELECT sensor_id, type, enabled, min, max, description, delay_s, triggered,
        COALESCE(triggered_at, created_at), updated_at, counter
    FROM alerts_alertrule WHERE user_id = %s ORDER BY id
"""


def alert_items_of(user: User, sensors: Collection[Mac]) -> dict[Mac, list[AlertItem]]:
    """The rules of `user` for each of `sensors`, an empty list where there are none. One query."""
    items: dict[Mac, list[AlertItem]] = {sensor: [] for sensor in sensors}
    with connection.cursor() as cursor:
        cursor.execute(_RULES, [user.pk])
        for mac, *fields in cursor.fetchall():
            if mac in items:
                items[mac].append(alert_item_of(_row(*fields)))
    return items


def _row(*fields: Any) -> RuleRow:
    """SQLite knows neither truth values nor times."""
    row = RuleRow(*fields)
    return row._replace(
        enabled=bool(row.enabled),
        triggered=bool(row.triggered),
        changed_at=instant(row.changed_at) or row.changed_at,
        updated_at=instant(row.updated_at) or row.updated_at,
    )


# Clocks of gateways, and of several machines, differ by less. What is further ahead is from
# before our clock was set back.
CLOCK_SET_BACK_S = 300
# A reading is judged in the second in which it comes.
LATE_AFTER_S = 10
# A sensor that is heard all the time has a fresh reading; this is how old its judging may be.
STUCK_AFTER_S = 300


class Unjudged(NamedTuple):
    """A stored reception after its sensor's mark; `measured_at` in Unix seconds (UTC)."""

    sensor: int
    measured_at: int
    rssi_dbm: int
    payload: bytes


# A slot starts less than DENSE_INTERVAL_S before the reading in it, which lets the key find what
# lies after the mark; the constant lower bound lets PostgreSQL leave out old partitions.
_UNJUDGED = """
    SELECT m.sensor, m.slot + m.offset_s, m.rssi_dbm, m.payload
    FROM alerts_evaluationmark k JOIN sensors_measurement m
      ON m.sensor = k.sensor_id AND m.slot > k.evaluated_to - {interval}
     AND m.slot + m.offset_s > k.evaluated_to
    WHERE k.sensor_id {among} AND m.slot > %s
    UNION
    SELECT l.sensor, l.measured_at, l.rssi_dbm, l.payload
    FROM alerts_evaluationmark k JOIN sensors_latest l
      ON l.sensor = k.sensor_id AND l.measured_at > k.evaluated_to
    WHERE k.sensor_id {among}
    ORDER BY 2, 1 LIMIT {limit}
"""


def unjudged(marks: Collection[EvaluationMark], limit: int) -> list[Unjudged]:
    """The oldest `limit` receptions after `marks`, from the history and Latest, in time order."""
    if not marks:
        return []
    among, sensors = _among([mark.sensor_id for mark in marks])
    lower = min(mark.evaluated_to for mark in marks) - DENSE_INTERVAL_S
    sql = _UNJUDGED.format(interval=DENSE_INTERVAL_S, limit=int(limit), among=among)
    with connection.cursor() as cursor:
        cursor.execute(sql, [sensors, lower, sensors])
        return [Unjudged(*row) for row in cursor.fetchall()]


@dataclass(slots=True)
class JudgedRule:
    """An enabled rule with all that judging needs; `state` moves on while it is judged.

    `configured_at` is Unix seconds (UTC). `limits` are those of the sensor's owner.
    """

    id: int
    user_id: int
    sensor: int
    description: str
    configured_at: int
    offset_temperature_c: float
    offset_humidity_pct: float
    offset_pressure_pa: float
    limits: Limits
    rule: Rule
    state: State


_JUDGED = (
    "pk",
    "user_id",
    "sensor_id",
    "description",
    "configured_at",
    "sensor__offset_temperature_c",
    "sensor__offset_humidity_pct",
    "sensor__offset_pressure_pa",
    "sensor__owner_id",
    "type",
    "min",
    "max",
    "delay_s",
    "triggered",
    "triggered_at",
    "told_at",
    "breached_since",
    "clear_since",
    "counter",
)


def rules_of(sensors: Collection[Mac], now: datetime) -> dict[int, list[JudgedRule]]:
    """The rules to judge of each of `sensors`. Two queries."""
    found = AlertRule.objects.judged().filter(sensor__in=sensors)
    by_sensor: dict[int, list[JudgedRule]] = defaultdict(list)
    for rule in judged_rules(found, now):
        by_sensor[rule.sensor].append(rule)
    return by_sensor


def judged_rules(rules: QuerySet[AlertRule], now: datetime) -> Iterator[JudgedRule]:
    """`rules` as the judge takes them: without what the plan of the sensor's owner leaves out."""
    rows = list(rules.values_list(*_JUDGED))
    limits = limits_for({row[8] for row in rows if row[8] is not None}, now)
    nobodys = Limits()
    for pk, user, sensor, text, configured_at, t, h, p, owner, type_, low, high, *rest in rows:
        plan = limits.get(owner, nobodys)
        delay_s, triggered, triggered_at, *remembered = rest
        # One that triggered before the plan changed must still end when the sensor is heard.
        if type_ == OFFLINE and not plan.offline_alert_allowed and not triggered:
            continue
        yield JudgedRule(
            id=pk,
            user_id=user,
            sensor=int(sensor),
            description=text,
            configured_at=int(configured_at.timestamp()),
            offset_temperature_c=t,
            offset_humidity_pct=h,
            offset_pressure_pa=p,
            limits=plan,
            rule=Rule(
                type_,
                low,
                high,
                delay_s if plan.delayed_alert_allowed else 0,
                settings.ALERT_RESOLVED_AFTER_S,
            ),
            state=State(triggered, triggered_at and int(triggered_at.timestamp()), *remembered),
        )


def names_of(pairs: Collection[tuple[int, Mac]]) -> dict[tuple[int, Mac], str]:
    """What each person calls each sensor. One query."""
    accesses = Access.objects.filter(sensor__in={sensor for _, sensor in pairs})
    own = {(a.user_id, a.sensor_id): a.name for a in accesses}
    return {(user, mac): own.get((user, mac)) or fallback_name(mac) for user, mac in pairs}


def destinations_of(users: Collection[int]) -> dict[int, list[tuple[str, str]]]:
    """Where each of `users` is told, as (channel, address), without what they switched off."""
    off = _switched_off(users)
    found: dict[int, list[tuple[str, str]]] = {user: [] for user in users}
    tokens = PushToken.objects.filter(user__in=users, retired_at=None)
    for user, token in tokens.values_list("user_id", "token"):
        found[user].append((Delivery.Channel.PUSH, token))
    for user, email in User.objects.filter(pk__in=users).values_list("pk", "email"):
        found[user].append((Delivery.Channel.EMAIL, email))
    webhooks = Webhook.objects.filter(user__in=users, retired_at=None)
    for user, webhook in webhooks.values_list("user_id", "pk"):
        found[user].append((Delivery.Channel.WEBHOOK, str(webhook)))
    return {
        user: [each for each in destinations if (user, each[0]) not in off]
        for user, destinations in found.items()
    }


_SWITCHES = {
    "DISABLE_PUSH_NOTIFICATIONS": Delivery.Channel.PUSH,
    "DISABLE_EMAIL_NOTIFICATIONS": Delivery.Channel.EMAIL,
    "disable_emails": Delivery.Channel.EMAIL,  # as old apps call it
}


def _switched_off(users: Collection[int]) -> set[tuple[int, str]]:
    switches = UserSetting.objects.filter(
        user__in=users, name__in=_SWITCHES, value__in=["1", "true"]
    )
    return {(user, _SWITCHES[name]) for user, name in switches.values_list("user_id", "name")}


_PREFERENCES = {
    "PROFILE_LANGUAGE_CODE": "language",
    "UNIT_TEMPERATURE": "temperature",
    "UNIT_PRESSURE": "pressure",
}


def preferences_of(users: Collection[int]) -> dict[int, Preferences]:
    """How each of `users` reads. One query."""
    chosen: dict[int, dict[str, str]] = {user: {} for user in users}
    found = UserSetting.objects.filter(user__in=users, name__in=_PREFERENCES)
    for user, name, value in found.values_list("user_id", "name", "value"):
        chosen[user][_PREFERENCES[name]] = value
    return {user: Preferences(**fields) for user, fields in chosen.items()}


LATELY = timedelta(days=1)


class AlertCounts(NamedTuple):
    """How alerting fares: what is open, and what became of the deliveries of the last day."""

    open: int
    sent: int
    waiting: int
    failed: int


def listened_at() -> datetime | None:
    """When readings were last taken in, give or take ten seconds. One query."""
    until = ListeningSpan.objects.aggregate(until=Max("until"))["until"]
    return until and datetime.fromtimestamp(until, UTC)


def alert_counts(now: datetime) -> AlertCounts:
    """Two queries."""
    status = Delivery.Status
    deliveries = Delivery.objects.filter(created_at__gt=now - LATELY).aggregate(
        sent=Count("status", filter=Q(status=status.SENT)),
        waiting=Count("status", filter=Q(status=status.PENDING)),
        failed=Count("status", filter=Q(status=status.FAILED)),
    )
    return AlertCounts(open=AlertEvent.objects.filter(resolved_at=None).count(), **deliveries)


def open_events(limit: int) -> list[AlertEvent]:
    """The newest that nothing has ended yet. One query."""
    return list(AlertEvent.objects.filter(resolved_at=None).order_by("-opened_at")[:limit])


def timeline(sensor: Mac, limit: int) -> list[AlertEvent]:
    """The newest events of a sensor with their deliveries, newest first. Two queries."""
    events = AlertEvent.objects.filter(sensor=sensor).order_by("-opened_at", "-pk")
    return list(events.select_related("user").prefetch_related("deliveries")[:limit])


def sensors_behind(now: datetime, *, limit: int) -> list[Mac]:
    """Sensors with enabled rules that were heard after what is judged: what wake-ups missed."""
    return list(_behind(now).order_by("measured_at").values_list("sensor", flat=True)[:limit])


class Backlog(NamedTuple):
    """How far judging is behind. `since`, Unix seconds, is what was judged last, or the reading."""

    sensors: int
    since: int | None


def backlog(now: datetime) -> Backlog:
    """One query, and none over the history: so `since` is when judging stopped, at the latest."""
    counted = late(now).aggregate(sensors=Count("pk"), since=Min("judged_to"))
    return Backlog(counted["sensors"], counted["since"])


def late(now: datetime) -> QuerySet[Latest]:
    """Of `_behind` those that no worker has just in its hands, with `judged_to`, Unix seconds."""
    now_s = int(now.timestamp())
    mark = EvaluationMark.objects.filter(sensor=OuterRef("sensor")).values("evaluated_to")
    judged_to = Coalesce(Subquery(mark), F("measured_at"))
    waits = Q(measured_at__lt=now_s - LATE_AFTER_S) | Q(judged_to__lt=now_s - STUCK_AFTER_S)
    return _behind(now).annotate(judged_to=judged_to).filter(waits)


def evaluation_backlog(now: datetime) -> tuple[int, int]:
    """How many sensors are heard and not judged yet, and for how many seconds the first of them."""
    behind = _behind(now).aggregate(count=Count("sensor"), oldest=Min("measured_at"))
    now_s = int(now.timestamp())
    return behind["count"], max(0, now_s - (behind["oldest"] or now_s))


def _behind(now: datetime) -> QuerySet[Latest]:
    """The newest readings of sensors with enabled rules that are not judged.

    Not those heard in a future that no gateway's clock explains: ours was set back since.
    """
    has_rules = AlertRule.objects.filter(sensor=OuterRef("sensor"), enabled=True)
    judged = EvaluationMark.objects.filter(
        sensor=OuterRef("sensor"), evaluated_to__gte=OuterRef("measured_at")
    )
    possible = Latest.objects.filter(measured_at__lte=int(now.timestamp()) + CLOCK_SET_BACK_S)
    return possible.filter(Exists(has_rules), ~Exists(judged))


def judged_until(now: datetime) -> int:
    """Whatever was measured until then, Unix seconds, no enabled rule waits for any more."""
    heard_at = Latest.objects.filter(sensor=OuterRef("sensor")).values("measured_at")
    has_rules = AlertRule.objects.filter(sensor=OuterRef("sensor"), enabled=True)
    behind = EvaluationMark.objects.filter(
        Exists(has_rules), evaluated_to__lt=Subquery(heard_at, output_field=IntegerField())
    )
    oldest = behind.aggregate(at=Min("evaluated_to"))["at"]
    return int(now.timestamp()) if oldest is None else int(oldest)


def ruled_sensors(sensors: Collection[Mac]) -> list[int]:
    """Those of `sensors` that have enabled rules, in order.

    Asked after every commit, with all that was heard: as one parameter, since an ORM lookup
    prepares each value by itself.
    """
    if not sensors:
        return []
    among, wanted = _among(sensors)
    with connection.cursor() as cursor:
        cursor.execute(_RULED.format(among=among), [wanted])
        return [sensor for (sensor,) in cursor.fetchall()]


_RULED = """
    SELECT DISTINCT sensor_id FROM alerts_alertrule WHERE enabled AND sensor_id {among} ORDER BY 1
"""


def _among(sensors: Collection[Mac]) -> tuple[str, str]:
    """SQL for "is one of `sensors`", and its one parameter.

    A text: the driver would prepare each number of a list by itself.
    """
    ids = ",".join(map(int.__repr__, sensors))
    if connection.vendor == "sqlite":
        return "IN (SELECT value FROM json_each(%s))", f"[{ids}]"
    return "= ANY(%s::bigint[])", f"{{{ids}}}"
