"""Verbs on sensors: store what gateways heard, claim, register what the factory made."""

from collections.abc import Iterable
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from accounts.models import User
from ruuvinet.lib.api import DomainError
from ruuvinet.lib.mac import Mac
from sensors import decoders, storage
from sensors.models import Access, Latest, Sensor
from sensors.secret import hash_secret
from sensors.storage import Row

EXTENDED_FORMAT, LEGACY_FORMAT = 0xE1, 6
ECHO_WINDOW_S = 300


class SensorTaken(DomainError):
    status = 409
    code = "ER_SENSOR_ALREADY_CLAIMED"


class SensorRegistered(DomainError):
    status = 409
    code = "ER_SENSOR_ALREADY_REGISTERED"


class Reception(NamedTuple):
    """One advertisement as a gateway received it; `measured_at` in Unix seconds (UTC)."""

    sensor: int
    measured_at: int
    gateway: int
    rssi_dbm: int
    payload: bytes


def store(receptions: Iterable[Reception]) -> list[Mac]:
    """Store `receptions` and return the sensors that were kept.

    Idempotent: the same receptions again change nothing. Runs in the caller's transaction.
    Left out are unknown formats of sensors that nobody claimed or registered, and what a
    Ruuvi Air repeats in the old format beside the extended one.
    """
    rows = [Row(*r, decoders.data_format(r.payload)) for r in sorted(receptions)]
    kept = _without_echoes(_without_strangers(rows))
    storage.write(kept)
    return [Mac(sensor) for sensor in {row.sensor: None for row in kept}]


def _without_strangers(rows: list[Row]) -> list[Row]:
    """Phones that pass by must not fill the disk."""
    unknown = [row.sensor for row in rows if row.data_format is None]
    if not unknown:
        return rows
    ours = set(Sensor.objects.filter(mac__in=unknown).values_list("mac", flat=True))
    return [row for row in rows if row.data_format is not None or row.sensor in ours]


def _without_echoes(rows: list[Row]) -> list[Row]:
    """A receiver of both formats of a Ruuvi Air drops the older one (data format 6)."""
    legacy = [row.sensor for row in rows if row.data_format == LEGACY_FORMAT]
    if not legacy:
        return rows
    latest = Latest.objects.filter(sensor__in=legacy, data_format=EXTENDED_FORMAT)
    extended = dict(latest.values_list("sensor", "measured_at"))
    return [
        row
        for row in rows
        if row.data_format != LEGACY_FORMAT
        or row.measured_at - extended.get(Mac(row.sensor), 0) > ECHO_WINDOW_S
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


def register_sensor(*, mac: Mac, secret: str) -> None:
    """Remember the secret with which the owner of `mac` can prove to hold it. May be repeated.

    Raises SensorRegistered when another secret is known, ValueError for what is no secret.
    """
    secret_hash = hash_secret(mac, secret)
    Sensor.objects.bulk_create([Sensor(mac=mac)], ignore_conflicts=True)
    first_or_same = Q(secret_hash="") | Q(secret_hash=secret_hash)
    if not Sensor.objects.filter(first_or_same, mac=mac).update(secret_hash=secret_hash):
        raise SensorRegistered("The sensor is registered with another secret.")
