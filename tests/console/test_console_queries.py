"""Every list of the console, with few and with many rows: no query for each row."""

from datetime import timedelta
from itertools import count

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import RequestFactory
from django.urls import reverse
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
from ruuvinet.lib.mac import Mac
from sensors.models import Access, Latest, Sensor
from subscriptions.models import Code, Plan, Subscription

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
SENSOR, GATEWAY = 0xF41F0C000000, 0xC8252D000000
PAGES = {f"{m._meta.app_label}_{m._meta.model_name}": m for m in admin.site._registry}
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
    Plan.objects.create(name=f"Plan {n}")
    Code.objects.create(
        name="Basic", code_hash=f"{n}", valid_days=9, claimed_by=user, claimed_at=now
    )
    Subscription.objects.create(
        user=user, name="Basic", starts_at=now, ends_at=now + timedelta(days=9)
    )


def add_fleet(n, now):
    group = GatewayGroup.objects.create(name=f"group {n}")
    gateway = Gateway.objects.create(mac=Mac(GATEWAY + n), group=group, last_seen_at=now)
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


@pytest.mark.parametrize("page", PAGES)
def test_queries_do_not_grow_with_rows(admin_client, page, django_assert_num_queries):
    url = reverse(f"admin:{page}_changelist")
    for _ in range(2):
        add_row()
    admin_client.get(url)
    with django_assert_num_queries(12, exact=False) as few:
        admin_client.get(url)
    for _ in range(6):
        add_row()
    with django_assert_num_queries(len(few.captured_queries)):
        reply = admin_client.get(url)
    assert reply.context["cl"].result_count >= 8


@pytest.mark.parametrize("page", PAGES)
def test_every_list_can_be_searched_or_filtered(page):
    of = admin.site._registry[PAGES[page]]
    assert of.search_fields or of.list_filter


@pytest.mark.parametrize(
    ("page", "address"),
    [
        ("gateways_gateway", GATEWAY),
        ("gateways_gatewaystatus", GATEWAY),
        ("gateways_gatewayreset", GATEWAY),
        ("sensors_sensor", SENSOR),
        ("sensors_latest", SENSOR),
        ("alerts_alertevent", SENSOR),
        ("alerts_alertrule", SENSOR),
    ],
)
def test_rows_are_found_by_an_address_or_its_last_digits(admin_client, page, address):
    url = reverse(f"admin:{page}_changelist")
    for _ in range(3):
        add_row()
    mac = str(Mac(address + next(numbers) - 1))
    for term in (mac, mac.lower().replace(":", "-"), mac[-5:], mac[-5:].replace(":", "")):
        assert admin_client.get(url, {"q": term}).context["cl"].result_count == 1
    assert admin_client.get(url, {"q": "AA:BB:CC:DD:EE:FF"}).context["cl"].result_count == 0


@pytest.mark.parametrize("page", PAGES)
def test_whatever_is_searched_for_is_answered(admin_client, page):
    url = reverse(f"admin:{page}_changelist")
    for term in ("porch", "\u0661\u0662\u0663\u0664", "' OR 1=1", "AA:BB", "%_"):
        assert admin_client.get(url, {"q": term}).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_a_row_opens(admin_client, page):
    add_row()
    row = PAGES[page].objects.order_by("-pk").first()
    url = reverse(f"admin:{page}_change", args=[row.pk])
    assert admin_client.get(url).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_every_form_for_a_new_row_opens_or_is_refused(admin_client, page):
    status = admin_client.get(reverse(f"admin:{page}_add")).status_code
    request = RequestFactory().get("/")
    request.user = User.objects.get(email="admin@example.com")
    may_add = admin.site._registry[PAGES[page]].has_add_permission(request)
    assert status == (200 if may_add else 403)


def test_a_persons_password_can_be_changed(admin_client, admin_user):
    url = reverse("admin:auth_user_password_change", args=[admin_user.pk])
    assert admin_client.get(url).status_code == 200
