"""Verbs on sensors: store what gateways heard, claim."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db import connection, transaction

from accounts.models import User
from ruuvinet.lib.api import DomainError
from ruuvinet.lib.mac import Mac
from sensors import decoders
from sensors.models import DENSE_INTERVAL_S, SPARSE_INTERVAL_S, Access, Latest, Sensor

EXTENDED_FORMAT, LEGACY_FORMAT = 0xE1, 6
ECHO_WINDOW_S = 300


class SensorTaken(DomainError):
    status = 409
    code = "ER_SENSOR_ALREADY_CLAIMED"


class Reception(NamedTuple):
    """One advertisement as a gateway received it; `measured_at` in Unix seconds (UTC)."""

    sensor: int
    measured_at: int
    gateway: int
    rssi_dbm: int
    payload: bytes


_HISTORY = """
    INSERT INTO {table} (sensor, slot, measured_at, gateway, rssi_dbm, payload)
    VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (sensor, slot) DO NOTHING
"""
_LATEST = """
    INSERT INTO sensors_latest (sensor, measured_at, gateway, rssi_dbm, payload, data_format)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (sensor) DO UPDATE SET
        measured_at = excluded.measured_at, gateway = excluded.gateway,
        rssi_dbm = excluded.rssi_dbm, payload = excluded.payload,
        data_format = excluded.data_format
    WHERE excluded.measured_at > sensors_latest.measured_at
"""


def store(receptions: Iterable[Reception]) -> list[Mac]:
    """Store `receptions` (at most one per sensor) and return the sensors that were kept.

    Idempotent: the same receptions again change nothing. Runs in the caller's transaction.
    Left out are unknown formats of sensors that nobody claimed or registered, and what a
    Ruuvi Air repeats in the old format beside the extended one.
    """
    # In the order of the sensors, so that two gateways at once never lock crosswise.
    formats = [(r, decoders.data_format(r.payload)) for r in sorted(receptions)]
    kept = _without_echoes(_without_strangers(formats))
    if not kept:
        return []
    with connection.cursor() as cursor:
        for table, interval_s in (
            ("sensors_measurement", DENSE_INTERVAL_S),
            ("sensors_sparsemeasurement", SPARSE_INTERVAL_S),
        ):
            rows = [(r.sensor, r.measured_at - r.measured_at % interval_s, *r[1:]) for r, _ in kept]
            cursor.executemany(_HISTORY.format(table=table), rows)
        cursor.executemany(_LATEST, [(*r, data_format) for r, data_format in kept])
    return [Mac(r.sensor) for r, _ in kept]


Formatted = tuple[Reception, int | None]


def _without_strangers(receptions: Sequence[Formatted]) -> list[Formatted]:
    """Phones that pass by must not fill the disk."""
    unknown = [r.sensor for r, data_format in receptions if data_format is None]
    if not unknown:
        return list(receptions)
    ours = set(Sensor.objects.filter(mac__in=unknown).values_list("mac", flat=True))
    return [(r, f) for r, f in receptions if f is not None or r.sensor in ours]


def _without_echoes(receptions: Sequence[Formatted]) -> list[Formatted]:
    """A receiver of both formats of a Ruuvi Air drops the older one (data format 6)."""
    legacy = [r.sensor for r, data_format in receptions if data_format == LEGACY_FORMAT]
    if not legacy:
        return list(receptions)
    extended = dict(
        Latest.objects.filter(sensor__in=legacy, data_format=EXTENDED_FORMAT).values_list(
            "sensor", "measured_at"
        )
    )
    return [
        (r, f)
        for r, f in receptions
        if f != LEGACY_FORMAT or r.measured_at - extended.get(Mac(r.sensor), 0) > ECHO_WINDOW_S
    ]


@transaction.atomic
def claim_sensor(*, user: User, mac: Mac, name: str = "") -> Sensor:
    """Make `user` the owner of `mac`. Raises SensorTaken. Claiming one's own again is fine."""
    Sensor.objects.bulk_create([Sensor(mac=mac)], ignore_conflicts=True)
    sensor = Sensor.objects.select_for_update().get(mac=mac)
    if sensor.owner_id not in (None, user.pk):
        raise SensorTaken("Sensor already claimed.")
    sensor.owner = user
    sensor.save(update_fields=["owner"])
    Access.objects.update_or_create(user=user, sensor=sensor, defaults={"name": name})
    return sensor
