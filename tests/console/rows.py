"""Rows of every kind, for tests that open all pages of the console."""

from datetime import timedelta
from itertools import count

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.models import AccessToken, AuditEntry, OutgoingMail, User, UserSetting
from alerts.models import AlertEvent, AlertRule, Delivery, PushToken, Webhook
from gateways.models import (
    Credential,
    Gateway,
    GatewayGroup,
    GatewayReset,
    GatewayStatus,
    NetworkRule,
    ServedConfiguration,
)
from operations.models import Notice
from ruuvinet.lib.mac import Mac
from sensors.models import Access, Latest, Sensor
from subscriptions.models import Code, Plan, Subscription

SENSOR, GATEWAY = 0xF41F0C000000, 0xC8252D000000
numbers = count()


def add_row():
    """One more of everything, each belonging to people, sensors and gateways of its own."""
    n, now = next(numbers), timezone.now()
    user = User.objects.create_user(email=f"person-{n}@example.com")
    AccessToken.objects.create(user=user, secret_hash=f"{n}", created_at=now, last_used_at=now)
    UserSetting.objects.create(user=user, name="UNIT_TEMPERATURE", value="C", edited_at=now)
    OutgoingMail.objects.create(
        template="AccountVerification", address=user.email, created_at=now, next_attempt_at=now
    )
    AuditEntry.objects.create(at=now, kind="call", actor="shop", action="POST /x", result="200")
    Group.objects.create(name=f"rights {n}")
    for model in (AccessAttempt, AccessFailureLog, AccessLog):
        more = {"failures_since_start": 1} if model is AccessAttempt else {}
        model.objects.create(username=user.email, ip_address=f"192.0.2.{n % 250}", **more)
    add_fleet(n, now)
    add_sensor(n, now, user)
    Notice.objects.create(what="silent", about=str(Mac(GATEWAY + n)), since=now, told_at=now)
    Plan.objects.create(name=f"Plan {n}")
    Code.objects.create(
        name="Basic", code_hash=f"{n}", valid_days=9, claimed_by=user, claimed_at=now
    )
    Subscription.objects.create(
        user=user, name="Basic", starts_at=now, ends_at=now + timedelta(days=9)
    )


def add_fleet(n, now):
    group = GatewayGroup.objects.create(name=f"group {n}")
    gateway = Gateway.objects.create(
        mac=Mac(GATEWAY + n), group=group, last_seen_at=now, rejected_at=now
    )
    Credential.objects.create(kind="bearer", group=group, created_at=now)
    Credential.objects.create(kind="bearer", gateway=gateway, created_at=now)
    GatewayStatus.objects.create(gateway=gateway, received_at=now, nonce=n, told={})
    GatewayReset.objects.create(gateway=gateway, seen_at=now, reason="POWER_ON")
    ServedConfiguration.objects.create(
        group=group, version=1, document="{}", first_served_at=now, last_served_at=now, times=1
    )
    NetworkRule.objects.create(network=f"198.51.100.{n % 250}/32")


def add_sensor(n, now, user):
    sensor = Sensor.objects.create(mac=Mac(SENSOR + n), owner=user)
    Access.objects.create(user=user, sensor=sensor, name="Porch")
    Latest.objects.create(
        sensor=sensor.mac, measured_at=0, gateway=Mac(GATEWAY + n), rssi_dbm=-60, payload=b""
    )
    rule = AlertRule.objects.create(user=user, sensor=sensor, type="humidity", max=80)
    event = AlertEvent.objects.create(
        rule=rule, user=user, sensor=sensor.mac, sensor_name="Porch", type="humidity",
        trigger="over", value=81, threshold=80, opened_at=now,
    )  # fmt: skip
    Delivery.objects.create(
        event=event, channel="email", address=user.email, created_at=now, next_attempt_at=now
    )
    PushToken.objects.create(user=user, token=f"{n}" * 20, platform="ios")
    Webhook.objects.create(user=user, url="https://hook.example.com/")
