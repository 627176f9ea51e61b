"""Verbs on sensors that also touch alerts: whoever cannot read a sensor has no rules for it."""

from datetime import datetime

from django.db import transaction

from accounts.mail import queue_mail
from accounts.models import User
from alerts.models import AlertRule
from alerts.services import delete_rules
from ruuvinet.lib.api import Forbidden
from ruuvinet.lib.mac import Mac
from sensors import services, sharing
from sensors.models import Access, Sensor
from sensors.services import Changes


@transaction.atomic
def unclaim_sensor(*, user: User, mac: Mac, delete_data: bool, at: datetime) -> None:
    """Give a sensor up, and with `delete_data` what it measured. A sharee leaves the share.

    Raises Forbidden.
    """
    sensor = services.locked_sensor(mac)
    if sensor is None or sensor.owner_id != user.pk:
        if sensor and Access.objects.filter(sensor=sensor, user=user).exists():
            return unshare_sensor(user=user, mac=mac, email=None, at=at)
        raise Forbidden("Sensor does not belong to user.")
    sharing.release_sensor(sensor, at)
    delete_rules(sensor=mac, at=at)
    if delete_data:
        services.delete_data(mac)
    return None


@transaction.atomic
def unshare_sensor(*, user: User, mac: Mac, email: str | None, at: datetime) -> None:
    """End a share and the rules of whoever had it; raises what sharing.unshare_sensor raises."""
    person = sharing.unshare_sensor(user=user, mac=mac, email=email, at=at)
    if person is None:
        return
    sensor = Sensor.objects.get(mac=mac)
    if not sensor.public:
        delete_rules(sensor=mac, users=[person.pk], at=at)


@transaction.atomic
def contest_sensor(*, user: User, mac: Mac, secret: str, name: str, at: datetime) -> None:
    """Make `user`, who holds the sensor and so knows its secret, the owner.

    The owner before is told by mail. Raises ClaimLimitReached, Forbidden.
    """
    if not Sensor.objects.filter(owner=user, mac=mac).exists():
        services.ensure_may_claim(user, at)
    sensor = services.locked_sensor(mac)
    if sensor is None or not sensor.has_secret(secret):
        raise Forbidden("Forbidden.")
    before = sensor.owner
    if before != user:
        if before is not None:
            own = Access.objects.filter(user=before, sensor=sensor).first()
            variables = {"sensor": (own and own.name) or sensor.fallback_name}
            queue_mail("SensorContested", to=before.email, variables=variables, at=at)
        sharing.release_sensor(sensor, at)
        delete_rules(sensor=mac, at=at)
    services.give_sensor(sensor, user=user, name=name, description="", at=at)


@transaction.atomic
def update_sensor(
    *, user: User, mac: Mac, changes: Changes, timestamp: int | None, now: datetime
) -> set[str]:
    """As services.update_sensor; a sensor that is not public any more loses strangers' rules."""
    changed = services.update_sensor(
        user=user, mac=mac, changes=changes, timestamp=timestamp, now=now
    )
    if "public" in changed:
        drop_rules_of_strangers(mac, now)
    return changed


def drop_rules_of_strangers(mac: Mac, at: datetime) -> None:
    """Forget the rules of those who cannot read the sensor any more. In the caller's transaction."""
    if Sensor.objects.filter(mac=mac, public=True, owner__isnull=False).exists():
        return
    readers = Access.objects.filter(sensor=mac).values("user")
    strangers = AlertRule.objects.filter(sensor=mac).exclude(user__in=readers)
    users = list(strangers.values_list("user_id", flat=True))
    if users:
        delete_rules(sensor=mac, users=users, at=at)
