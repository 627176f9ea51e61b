"""Verbs on sensors: store what gateways heard, claim, edit, register what the factory made.

Those that also touch alerts are in ruuvinet.services.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from accounts.models import User
from ruuvinet.lib.api import DomainError, Forbidden, InvalidFormat
from ruuvinet.lib.edits import NewerExists, edit_time
from ruuvinet.lib.mac import Mac
from ruuvinet.lib.masking import mask_email
from sensors import decoders, pictures, storage
from sensors.models import (
    Access,
    Latest,
    Measurement,
    Sensor,
    SensorSetting,
    SparseMeasurement,
)
from sensors.secret import hash_secret
from sensors.storage import Row, SparseSlots
from subscriptions.limits import Limits, limits_for

EXTENDED_FORMAT, LEGACY_FORMAT = 0xE1, 6
ECHO_WINDOW_S = 300
MAX_SETTINGS = 100  # of one sensor; the apps know three
DESCRIPTION = "description"  # the setting that holds the notes on a sensor


class SensorTaken(DomainError):
    status = 409
    code = "ER_SENSOR_ALREADY_CLAIMED"


class ClaimLimitReached(DomainError):
    code = "ER_CLAIM_COUNT_REACHED"


class SensorNotFound(DomainError):
    status = 404
    code = "ER_SENSOR_NOT_FOUND"


class NoSettingSaved(DomainError):
    status = 409
    code = "ER_CONFLICT"


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


def store(receptions: Iterable[Reception], slots: SparseSlots | None = None) -> list[Mac]:
    """Store `receptions` and return the sensors that were kept.

    Idempotent: the same receptions again change nothing. Runs in the caller's transaction, which
    may remember the sparse slots that it has taken.
    Left out are unknown formats of sensors that nobody claimed or registered, and what a
    Ruuvi Air repeats in the old format beside the extended one.
    """
    rows = [Row(*r, decoders.data_format(r.payload)) for r in sorted(receptions)]
    kept = _without_echoes(_without_strangers(rows))
    storage.write(kept, slots)
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
def claim_sensor(
    *, user: User, mac: Mac, name: str = "", description: str = "", at: datetime | None = None
) -> Sensor:
    """Make `user` the owner of `mac`, at `at` (default: now). Raises ClaimLimitReached, SensorTaken.

    A share that the user had becomes the owner's own profile.
    """
    at = at or timezone.now()
    ensure_may_claim(user, at)
    Sensor.objects.bulk_create([Sensor(mac=mac)], ignore_conflicts=True)
    sensor = locked_sensor(mac)
    assert sensor  # noqa: S101  # made above, and nobody deletes sensors
    if sensor.owner:
        raise SensorTaken(f"Sensor already claimed by {mask_email(sensor.owner.email)}.")
    return give_sensor(sensor, user=user, name=name, description=description, at=at)


def ensure_may_claim(user: User, at: datetime) -> None:
    """Raise ClaimLimitReached if the plan allows no more sensors. In the caller's transaction.

    Locks the user: two claims at once must not both find the last place free.
    """
    limits = locked_limits(user, at)
    if Sensor.objects.filter(owner=user).count() >= limits.max_claims:
        raise ClaimLimitReached("Maximum claims for subscription reached.")


def locked_limits(user: User, at: datetime) -> Limits:
    """What the plan of `user` allows, while nobody else claims or shares in that person's name."""
    # No key: those who only refer to this person need not wait.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    return limits_for([user.pk], at)[user.pk]


def locked_sensor(mac: Mac) -> Sensor | None:
    """The sensor with its owner, if it is known. Lock people before sensors."""
    locked = Sensor.objects.select_for_update(of=("self",), no_key=True)
    return locked.select_related("owner").filter(mac=mac).first()


def give_sensor(sensor: Sensor, *, user: User, name: str, description: str, at: datetime) -> Sensor:
    """Make `user` the owner of a locked sensor. In the caller's transaction."""
    sensor.give_to(user, at)
    sensor.save(update_fields=["owner", "last_owner", "claimed_at", "handed_over_at"])
    profile = {"edited_at": at} | ({"name": name} if name else {})
    Access.objects.update_or_create(user=user, sensor=sensor, defaults=profile)
    if description:
        SensorSetting.objects.update_or_create(
            sensor=sensor, type=DESCRIPTION, defaults={"value": description, "edited_at": at}
        )
    return sensor


def delete_data(mac: Mac) -> None:
    """Forget everything that `mac` measured."""
    for table in (Measurement, SparseMeasurement, Latest):
        table.objects.filter(sensor=mac).delete()


class Changes(NamedTuple):
    """What a person wants to change of a sensor; None for what stays."""

    name: str | None = None
    picture: str | None = None
    offset_temperature_c: float | None = None
    offset_humidity_pct: float | None = None
    offset_pressure_pa: float | None = None
    public: bool | None = None


OF_SENSOR = ("offset_temperature_c", "offset_humidity_pct", "offset_pressure_pa", "public")


@transaction.atomic
def update_sensor(
    *, user: User, mac: Mac, changes: Changes, timestamp: int | None, now: datetime
) -> set[str]:
    """Change what a person sees of a sensor, and the owner also what all see.

    `timestamp` is when the client made the edit, Unix seconds; None for now. Returns the names of
    the changes that were made: others than the owner may repeat offsets, not change them.
    Raises SensorNotFound, Forbidden, NewerExists.
    """
    sensor = locked_sensor(mac)
    access = Access.objects.select_for_update().filter(user=user, sensor=mac).first()
    if sensor is None or access is None:
        raise SensorNotFound("Sensor not claimed or found. Data not updated.")
    given = {name: value for name, value in changes._asdict().items() if value is not None}
    edited_at = edit_time(timestamp, stored=access.edited_at, now=now)
    _change_sensor(sensor, user, {n: v for n, v in given.items() if n in OF_SENSOR}, edited_at)
    if sensor.owner_id != user.pk:
        given = {name: value for name, value in given.items() if name not in OF_SENSOR}
    if "picture" in given:
        pictures.forget([access.picture])
    for name in given.keys() & {"name", "picture"}:
        setattr(access, name, given[name])
    access.edited_at = edited_at
    access.save(update_fields=["name", "picture", "edited_at"])
    return set(given)


def _change_sensor(
    sensor: Sensor, user: User, given: Mapping[str, object], edited_at: datetime
) -> None:
    changed = [name for name, value in given.items() if getattr(sensor, name) != value]
    if not changed:
        return
    if sensor.owner_id != user.pk:
        raise Forbidden("Only the owner may change offsets or publish a sensor.")
    for name in changed:
        setattr(sensor, name, given[name])
    sensor.save(update_fields=changed)
    # Apps look at a sensor again only when this has grown.
    grown = ExpressionWrapper(F("edited_at") + timedelta(seconds=1), output_field=DateTimeField())
    others = Access.objects.filter(sensor=sensor).exclude(user=user)
    others.update(edited_at=Greatest(grown, Value(edited_at), output_field=DateTimeField()))


@transaction.atomic
def set_picture(*, user: User, mac: Mac, picture: str, at: datetime) -> None:
    """Show `picture`, a stored file's name or nothing, to this person. Raises SensorNotFound."""
    access = Access.objects.select_for_update().filter(user=user, sensor=mac).first()
    if access is None:
        raise SensorNotFound("Sensor not owned or found.")
    pictures.forget([access.picture])
    access.picture = picture
    access.edited_at = max(at, access.edited_at)
    access.save(update_fields=["picture", "edited_at"])


@transaction.atomic
def save_settings(
    *, user: User, mac: Mac, values: Mapping[str, str], timestamp: int | None, now: datetime
) -> bool:
    """Save settings of a sensor that `user` owns, but for those that were edited later.

    Returns whether one of them is new. Raises Forbidden, NoSettingSaved, InvalidFormat.
    """
    sensor = locked_sensor(mac)
    if sensor is None or sensor.owner_id != user.pk:
        raise Forbidden("Forbidden.")
    stored = dict(SensorSetting.objects.filter(sensor=sensor).values_list("type", "edited_at"))
    if len(stored.keys() | values.keys()) > MAX_SETTINGS:
        raise InvalidFormat("Too many settings.")
    rows = []
    for type_, value in values.items():
        try:
            edited_at = edit_time(timestamp, stored=stored.get(type_), now=now)
        except NewerExists:
            continue
        rows.append(SensorSetting(sensor=sensor, type=type_, value=value, edited_at=edited_at))
    if not rows:
        raise NoSettingSaved("No setting was updated or added, newer settings might exist.")
    SensorSetting.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["sensor", "type"],
        update_fields=["value", "edited_at"],
    )
    return any(row.type not in stored for row in rows)


def register_sensor(*, mac: Mac, secret: str) -> None:
    """Remember the secret with which the owner of `mac` can prove to hold it. May be repeated.

    Raises SensorRegistered when another secret is known, ValueError for what is no secret.
    """
    if register_sensors({mac: secret}):
        raise SensorRegistered("The sensor is registered with another secret.")


def register_sensors(secrets: Mapping[Mac, str]) -> set[Mac]:
    """As `register_sensor` for many at once; returns those of which another secret is known."""
    hashes = {mac: hash_secret(mac, secrets[mac]) for mac in sorted(secrets)}
    new = [Sensor(mac=mac, secret_hash=secret_hash) for mac, secret_hash in hashes.items()]
    with transaction.atomic():
        Sensor.objects.bulk_create(new, ignore_conflicts=True)
        stored = Sensor.objects.select_for_update().filter(mac__in=hashes).order_by("mac")
        differing = [sensor for sensor in stored if sensor.secret_hash != hashes[sensor.mac]]
        claimed_before = [sensor for sensor in differing if not sensor.secret_hash]
        for sensor in claimed_before:
            sensor.secret_hash = hashes[sensor.mac]
        Sensor.objects.bulk_update(claimed_before, ["secret_hash"], batch_size=100)
    return {sensor.mac for sensor in differing} - {sensor.mac for sensor in claimed_before}
