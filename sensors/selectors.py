"""Sensors as a person sees them: a few queries, however many sensors there are."""

from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import connection

from accounts.models import User
from ruuvinet.lib.database import instant
from ruuvinet.lib.mac import Mac
from ruuvinet.lib.masking import mask_email
from sensors.history import Row
from sensors.models import (
    DENSE_INTERVAL_S,
    SPARSE_INTERVAL_S,
    Sensor,
)

_NEVER = datetime.fromtimestamp(0, UTC)


class Seen(NamedTuple):
    """A sensor as one person sees it. `access` is None for one that is merely public."""

    sensor: Sensor
    owner: str
    name: str
    picture: str
    edited_at: datetime
    access: int | None
    is_own: bool


class Sharees(NamedTuple):
    """E-mail addresses with which a sensor is shared, and those that were only invited."""

    shared: list[str]
    pending: list[str]


class Choice(NamedTuple):
    """A setting of a sensor; one that was cleared has no value."""

    type: str
    value: str
    edited_at: datetime


class Newest(NamedTuple):
    """The newest reception of a sensor, or the newest one of sparse history."""

    row: Row | None
    has_data: bool


def sensors_of(user: User) -> list[Seen]:
    """All that `user` owns or was given a share of, by address. One query."""
    return _seen(user, "mine.id IS NOT NULL AND s.owner_id IS NOT NULL")


def readable_sensor(user: User, mac: Mac) -> Seen | None:
    """The sensor, if `user` may read it: as an owner, by a share or since it is public."""
    seen = _seen(user, "s.mac = %s AND s.owner_id IS NOT NULL", int(mac))
    return next((s for s in seen if s.access or s.is_own or s.sensor.public), None)


# As SQL, since building this query takes the ORM three times as long as running it.
_SEEN = """
    SELECT s.mac, s.owner_id, s.public, s.handed_over_at, s.offset_temperature_c,
        s.offset_humidity_pct, s.offset_pressure_pa, owner.email, mine.id,
        COALESCE(mine.name, owners.name, ''), COALESCE(mine.picture, owners.picture, ''),
        COALESCE(mine.edited_at, owners.edited_at, s.claimed_at)
    FROM sensors_sensor s
    LEFT JOIN sensors_access mine ON mine.sensor_id = s.mac AND mine.user_id = %s
    LEFT JOIN sensors_access owners ON owners.sensor_id = s.mac AND owners.user_id = s.owner_id
    LEFT JOIN accounts_user owner ON owner.id = s.owner_id
    WHERE {which} ORDER BY s.mac
"""


def _seen(user: User, which: str, *values: int) -> list[Seen]:
    with connection.cursor() as cursor:
        cursor.execute(_SEEN.format(which=which), [user.pk, *values])
        return [_as_seen(user, *row) for row in cursor.fetchall()]


def _as_seen(
    user: User,
    mac: int,
    owner_id: int | None,
    public: bool,
    handed_over_at: int,
    *rest: Any,
) -> Seen:
    temperature_c, humidity_pct, pressure_pa, email, access, name, picture, edited_at = rest
    sensor = Sensor(
        mac=Mac(mac),
        owner_id=owner_id,
        public=bool(public),
        handed_over_at=handed_over_at,
        offset_temperature_c=temperature_c,
        offset_humidity_pct=humidity_pct,
        offset_pressure_pa=pressure_pa,
    )
    is_own = owner_id == user.pk
    owner = email or ""
    return Seen(
        sensor=sensor,
        owner=owner if access or is_own else mask_email(owner),
        name=name,
        picture=picture,
        edited_at=instant(edited_at) or _NEVER,
        access=access,
        is_own=is_own,
    )


_LATEST = """
    SELECT l.sensor, l.measured_at, {columns} FROM sensors_latest l {join} WHERE l.sensor IN ({macs})
"""
_SPARSE = """
    LEFT JOIN sensors_sparsemeasurement s ON s.sensor = l.sensor AND s.slot = (
        SELECT max(slot) FROM sensors_sparsemeasurement WHERE sensor = l.sensor
    )
"""
_RECEPTION = "{0}, {1}.gateway, {1}.rssi_dbm, {1}.payload"


def newest(sensors: Collection[Sensor], *, mode: str = "mixed") -> dict[Mac, Newest]:
    """What each of `sensors` measured last for its present owner. One query."""
    if not sensors:
        return {}
    sql = _LATEST.format(
        columns=_RECEPTION.format("s.slot + s.offset_s", "s")
        if mode == "sparse"
        else _RECEPTION.format("l.measured_at", "l"),
        join=_SPARSE if mode == "sparse" else "",
        macs=", ".join(["%s"] * len(sensors)),
    )
    handed_over_at = {sensor.mac: sensor.handed_over_at for sensor in sensors}
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, [int(mac) for mac in handed_over_at])
        for mac, last_at, *reception in cursor.fetchall():
            since = handed_over_at[Mac(mac)]
            visible = reception[0] is not None and reception[0] > since
            found[Mac(mac)] = Newest(Row(*reception) if visible else None, last_at > since)
    return found


_SHAREES = """
    SELECT a.sensor_id, u.email, 0 FROM sensors_access a
    JOIN sensors_sensor s ON s.mac = a.sensor_id
    JOIN accounts_user u ON u.id = a.user_id
    WHERE s.owner_id = %s AND a.user_id <> s.owner_id
    UNION ALL
    SELECT sensor_id, email, 1 FROM sensors_pendingshare WHERE shared_by_id = %s
    ORDER BY 1, 2
"""


def sharees_of(owner: User) -> dict[Mac, Sharees]:
    """With whom the sensors of `owner` are shared, by sensor. One query."""
    found: dict[Mac, Sharees] = defaultdict(lambda: Sharees([], []))
    with connection.cursor() as cursor:
        cursor.execute(_SHAREES, [owner.pk, owner.pk])
        for mac, email, pending in cursor.fetchall():
            found[Mac(mac)][pending].append(email)
    return found


_CHOICES = """
    SELECT sensor_id, type, value, edited_at FROM sensors_sensorsetting
    WHERE sensor_id IN ({macs}) ORDER BY type
"""


def settings_of(macs: Collection[Mac]) -> dict[Mac, list[Choice]]:
    """The settings of sensors, by sensor. One query."""
    found: dict[Mac, list[Choice]] = defaultdict(list)
    if not macs:
        return found
    sql = _CHOICES.format(macs=", ".join(["%s"] * len(macs)))
    with connection.cursor() as cursor:
        cursor.execute(sql, list(map(int, macs)))
        for mac, type_, value, edited_at in cursor.fetchall():
            found[Mac(mac)].append(Choice(type_, value, instant(edited_at) or _NEVER))
    return found


def owner_as_seen_by(user: User, mac: Mac) -> str:
    """The owner's address, masked for everybody else; empty when nobody owns the sensor."""
    owner = User.objects.filter(sensors=mac).first()
    if owner is None:
        return ""
    return owner.email if owner == user else mask_email(owner.email)


class Extent(NamedTuple):
    """What a table of history spans; times in Unix seconds (UTC)."""

    sensors: int
    first: int
    last: int
    most_rows: int
    expired_sensors: int


# From sensor to sensor along the key: as many look-ups as sensors, however long the history is.
_EXTENT = """
    WITH RECURSIVE heard (sensor) AS (
        SELECT min(sensor) FROM {table}
        UNION ALL
        SELECT (SELECT min(sensor) FROM {table} t WHERE t.sensor > heard.sensor)
        FROM heard WHERE heard.sensor IS NOT NULL
    ), spans AS (
        SELECT (SELECT min(slot) FROM {table} t WHERE t.sensor = heard.sensor) AS first,
            (SELECT max(slot) FROM {table} t WHERE t.sensor = heard.sensor) AS last
        FROM heard WHERE sensor IS NOT NULL
    )
    SELECT count(*), min(first), max(last), sum((last - first) / {interval_s} + 1),
        count(CASE WHEN first < %s THEN 1 END)
    FROM spans
"""


def history_extent(table: str, *, before: int) -> Extent | None:
    """How much history `table` may hold, without counting it; None if it is empty."""
    interval_s = SPARSE_INTERVAL_S if table == "sensors_sparsemeasurement" else DENSE_INTERVAL_S
    with connection.cursor() as cursor:
        cursor.execute(_EXTENT.format(table=table, interval_s=interval_s), [before])
        extent = Extent(*cursor.fetchone())
    return extent if extent.sensors else None
