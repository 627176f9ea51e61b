"""Verbs on shares: give, take back, leave, keep for somebody who has not signed up yet.

Rules that somebody loses with a share are dropped by ruuvinet.services.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from accounts.mail import queue_mail
from accounts.models import User
from ruuvinet.lib.api import DomainError, Forbidden
from ruuvinet.lib.mac import Mac
from sensors import pictures
from sensors.models import Access, Latest, PendingShare, Sensor, SensorSetting
from sensors.services import SensorNotFound, locked_limits, locked_sensor
from subscriptions.limits import Limits

INVITED_AGAIN_AFTER = timedelta(hours=1)  # nobody shall be flooded with invitations


class ShareLimitReached(DomainError):
    code = "ER_SHARE_COUNT_REACHED"


class SensorShareLimitReached(DomainError):
    code = "ER_SENSOR_SHARE_COUNT_REACHED"


class NoDataToShare(DomainError):
    code = "ER_NO_DATA_TO_SHARE"


class AlreadyShared(DomainError):
    status = 409
    code = "ER_SENSOR_ALREADY_SHARED"


class UserNotFound(DomainError):
    status = 404
    code = "ER_USER_NOT_FOUND"


class InvalidEmailAddress(DomainError):
    code = "ER_INVALID_EMAIL_ADDRESS"


@transaction.atomic
def share_sensor(*, user: User, mac: Mac, email: str, at: datetime) -> bool:
    """Let the person with the address `email` read a sensor of `user`; both are told by mail.

    Returns whether that person was only invited, and gets the share on signing up.
    Raises ShareLimitReached, SensorShareLimitReached, NoDataToShare, Forbidden, AlreadyShared.
    """
    limits = locked_limits(user, at)
    sensor = locked_sensor(mac)
    pending = PendingShare.objects.filter(sensor=mac, email=email, shared_by=user).first()
    if pending is None:
        _ensure_room(user, mac, limits)
    newer = 0 if sensor is None else sensor.handed_over_at
    if not Latest.objects.filter(sensor=mac, measured_at__gt=newer).exists():
        raise NoDataToShare("There is no data to share yet.")
    if sensor is None or sensor.owner_id != user.pk or email == user.email:
        raise Forbidden("Unable to share sensor.")
    receiver = User.objects.filter(email=email).first()
    if receiver is None:
        _invite(user, sensor, email, pending, at)
        return True
    own = Access.objects.filter(user=user, sensor=sensor).first() or Access()
    copy = {"name": own.name, "picture": own.picture, "edited_at": at}
    _, created = Access.objects.get_or_create(user=receiver, sensor=sensor, defaults=copy)
    if not created:
        raise AlreadyShared("Sensor already shared to user.")
    if pending:
        pending.delete()
    variables = {"sharer": user.email, "sensor": own.name or sensor.fallback_name}
    queue_mail("ShareNotification", to=email, variables=variables, at=at)
    return False


def _ensure_room(user: User, mac: Mac, limits: Limits) -> None:
    shares = Access.objects.filter(sensor__owner=user).exclude(user=user)
    invitations = PendingShare.objects.filter(shared_by=user)
    if shares.count() + invitations.count() >= limits.max_shares:
        raise ShareLimitReached("Maximum shares for subscription reached.")
    of_sensor = shares.filter(sensor=mac).count() + invitations.filter(sensor=mac).count()
    if of_sensor >= limits.max_shares_per_sensor:
        raise SensorShareLimitReached("Maximum shares for sensor reached.")


def _invite(
    user: User, sensor: Sensor, email: str, pending: PendingShare | None, at: datetime
) -> None:
    if pending and pending.invited_at > at - INVITED_AGAIN_AFTER:
        return
    PendingShare.objects.update_or_create(
        sensor=sensor, email=email, defaults={"shared_by": user, "invited_at": at}
    )
    variables = {"from": user.email, "sensor": _name(user, sensor)}
    queue_mail("AccountInvite", to=email, variables=variables, at=at)


@transaction.atomic
def accept_pending_shares(*, user: User, at: datetime) -> int:
    """Give `user` what was shared with the address before there was an account; returns how many.

    What the sharer no longer owns is skipped.
    """
    invited = PendingShare.objects.filter(email=user.email)
    macs = invited.filter(shared_by=F("sensor__owner")).values_list("sensor", flat=True)
    sensors = Sensor.objects.select_for_update(no_key=True).order_by("mac")
    owned = dict(sensors.filter(mac__in=list(macs)).values_list("mac", "owner"))
    profiles = Access.objects.filter(sensor__in=owned, user=F("sensor__owner"))
    looks = {access.sensor_id: access for access in profiles}
    granted = invited.filter(shared_by=F("sensor__owner"), sensor__in=owned)
    accesses = [
        Access(
            user=user,
            sensor_id=share.sensor_id,
            name=looks[share.sensor_id].name if share.sensor_id in looks else "",
            picture=looks[share.sensor_id].picture if share.sensor_id in looks else "",
            edited_at=at,
        )
        for share in granted
        if share.shared_by_id != user.pk
    ]
    Access.objects.bulk_create(accesses, ignore_conflicts=True)
    invited.delete()
    return len(accesses)


@transaction.atomic
def unshare_sensor(*, user: User, mac: Mac, email: str | None, at: datetime) -> User | None:
    """End a share: as the owner that of `email`, otherwise one's own. The other side is mailed.

    Returns who lost it; None when it was only an invitation.
    Raises SensorNotFound, InvalidEmailAddress, UserNotFound, Forbidden.
    """
    sensor = locked_sensor(mac)
    if sensor is None:
        raise SensorNotFound("Sensor not found.")
    if sensor.owner_id == user.pk:
        return _take_back(user, sensor, email, at)
    if email not in (None, user.email):
        raise InvalidEmailAddress("You cannot unshare sensors you do not have access to.")
    _leave(user, sensor, at)
    return user


def _take_back(owner: User, sensor: Sensor, email: str | None, at: datetime) -> User | None:
    if email is None:
        raise InvalidEmailAddress("Invalid or no E-mail given.")
    was_invited = PendingShare.objects.filter(sensor=sensor, email=email).delete()[0]
    receiver = User.objects.filter(email=email).first()
    access = Access.objects.filter(sensor=sensor, user=receiver).first() if receiver else None
    if access is None and was_invited:
        return None
    if receiver is None:
        raise UserNotFound("User not found.")
    if access is None or receiver == owner:
        raise Forbidden("No access to sensor or sensor not shared.")
    _end([access], sensor, sharer=owner.email, at=at)
    return receiver


def _leave(user: User, sensor: Sensor, at: datetime) -> None:
    access = Access.objects.filter(sensor=sensor, user=user).first()
    if access is None:
        raise Forbidden("No access to sensor or sensor not shared.")
    pictures.forget([access.picture])
    access.delete()
    if sensor.owner:
        variables = {"sensor": _name(sensor.owner, sensor), "sharee": user.email}
        to = sensor.owner.email
        queue_mail("UnshareByShareeNotification", to=to, variables=variables, at=at)


def release_sensor(sensor: Sensor, at: datetime) -> None:
    """Make a locked sensor nobody's: profiles, shares, settings go, sharees are told by mail.

    In the caller's transaction. What it measured stays: see Sensor.handed_over_at.
    """
    owner = sensor.owner
    profiles = list(Access.objects.filter(sensor=sensor).select_related("user"))
    shares = [access for access in profiles if access.user_id != sensor.owner_id]
    own = [access for access in profiles if access.user_id == sensor.owner_id]
    _end(shares, sensor, sharer=owner.email if owner else "", at=at)
    pictures.forget([access.picture for access in own])
    Access.objects.filter(pk__in=[access.pk for access in own]).delete()
    PendingShare.objects.filter(sensor=sensor).delete()
    SensorSetting.objects.filter(sensor=sensor).delete()
    sensor.owner = None
    sensor.public = False
    sensor.offset_temperature_c = sensor.offset_humidity_pct = sensor.offset_pressure_pa = 0
    offsets = ["offset_temperature_c", "offset_humidity_pct", "offset_pressure_pa"]
    sensor.save(update_fields=["owner", "public", *offsets])


def _end(shares: Collection[Access], sensor: Sensor, *, sharer: str, at: datetime) -> None:
    for access in shares:
        variables = {"sensor": access.name or sensor.fallback_name, "sharer": sharer}
        queue_mail("UnshareNotification", to=access.user.email, variables=variables, at=at)
    pictures.forget([access.picture for access in shares])
    Access.objects.filter(pk__in=[access.pk for access in shares]).delete()


def _name(user: User, sensor: Sensor) -> str:
    own = Access.objects.filter(user=user, sensor=sensor).first()
    return (own and own.name) or sensor.fallback_name
