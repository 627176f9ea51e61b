"""Reads that join rooms, as tuned SQL."""

import json
from collections.abc import Collection
from typing import NamedTuple

from django.db import connection
from django.db.models import Exists, OuterRef

from accounts.models import User
from alerts.models import AlertRule, EvaluationMark
from alerts.serializers import AlertItem, alert_item
from ruuvinet.lib.mac import Mac
from sensors.models import DENSE_INTERVAL_S, Latest


class Unjudged(NamedTuple):
    """A stored reception after its sensor's mark; `measured_at` in Unix seconds (UTC)."""

    sensor: int
    measured_at: int
    rssi_dbm: int
    payload: bytes


# A slot starts less than DENSE_INTERVAL_S before the reading in it, which lets the key find what
# lies after the mark; the constant lower bound lets PostgreSQL leave out old partitions.
_UNJUDGED = """
    SELECT m.sensor, m.measured_at, m.rssi_dbm, m.payload
    FROM alerts_evaluationmark k JOIN sensors_measurement m
      ON m.sensor = k.sensor_id AND m.slot > k.evaluated_to - {interval}
     AND m.measured_at > k.evaluated_to
    WHERE k.sensor_id IN ({sensors}) AND m.slot > %s
    UNION
    SELECT l.sensor, l.measured_at, l.rssi_dbm, l.payload
    FROM alerts_evaluationmark k JOIN sensors_latest l
      ON l.sensor = k.sensor_id AND l.measured_at > k.evaluated_to
    WHERE k.sensor_id IN ({sensors})
    ORDER BY 2, 1 LIMIT {limit}
"""


def alert_items_of(user: User, sensors: Collection[Mac]) -> dict[Mac, list[AlertItem]]:
    """The rules of `user` for each of `sensors`, an empty list where there are none. One query."""
    items: dict[Mac, list[AlertItem]] = {sensor: [] for sensor in sensors}
    for rule in AlertRule.objects.filter(user=user).order_by("pk"):
        if rule.sensor_id in items:
            items[rule.sensor_id].append(alert_item(rule))
    return items


def unjudged(marks: Collection[EvaluationMark], limit: int) -> list[Unjudged]:
    """The oldest `limit` receptions after `marks`, from the history and Latest, in time order."""
    if not marks:
        return []
    sensors = [int(mark.sensor_id) for mark in marks]
    lower = min(mark.evaluated_to for mark in marks) - DENSE_INTERVAL_S
    sql = _UNJUDGED.format(
        interval=DENSE_INTERVAL_S, limit=int(limit), sensors=", ".join(["%s"] * len(sensors))
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*sensors, lower, *sensors])
        return [Unjudged(*row) for row in cursor.fetchall()]


def sensors_behind(limit: int) -> list[Mac]:
    """Sensors with enabled rules that were heard after what is judged: what wake-ups missed."""
    has_rules = AlertRule.objects.filter(sensor=OuterRef("sensor"), enabled=True)
    judged = EvaluationMark.objects.filter(
        sensor=OuterRef("sensor"), evaluated_to__gte=OuterRef("measured_at")
    )
    behind = Latest.objects.filter(Exists(has_rules), ~Exists(judged))
    return list(behind.order_by("measured_at").values_list("sensor", flat=True)[:limit])


def ruled_sensors(sensors: Collection[Mac]) -> list[int]:
    """Those of `sensors` that have enabled rules, in order.

    Asked after every commit, with all that was heard: as one parameter, since an ORM lookup
    prepares each value by itself.
    """
    if not sensors:
        return []
    wanted: list[int] | str = [int(sensor) for sensor in sensors]
    among = "= ANY(%s)"
    if connection.vendor == "sqlite":
        wanted, among = json.dumps(wanted), "IN (SELECT value FROM json_each(%s))"
    with connection.cursor() as cursor:
        cursor.execute(_RULED.format(among=among), [wanted])
        return [sensor for (sensor,) in cursor.fetchall()]


_RULED = """
    SELECT DISTINCT sensor_id FROM alerts_alertrule WHERE enabled AND sensor_id {among} ORDER BY 1
"""
