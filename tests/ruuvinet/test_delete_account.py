"""What is left of a person who left: nothing."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.test import Client
from django.utils import timezone

from accounts import mail
from accounts.codes import Purpose, make_code
from accounts.models import OutgoingMail, User, UserSetting
from alerts.models import AlertEvent, AlertRule, PushToken
from alerts.services import register_push_token
from ruuvinet.lib.mac import Mac
from ruuvinet.services import delete_account
from sensors.models import Access, Latest, PendingShare, Sensor
from sensors.partitions import ensure_partitions
from sensors.services import Reception, claim_sensor, store
from sensors.sharing import share_sensor

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
PORCH, SAUNA = Mac.parse("EF:54:4A:E7:1D:9E"), Mac.parse("EF:54:4A:E7:1D:9F")
pytestmark = pytest.mark.django_db


def naming(user_id: int, email: str) -> dict[str, list]:
    """The rows that hold the address, or that refer to the person."""
    found = {}
    for model in apps.get_models():
        label = model._meta.label
        to_user = [f.attname for f in model._meta.concrete_fields if f.related_model is User]
        for row in model._default_manager.values():
            if email in str(row).lower() or any(row[name] == user_id for name in to_user):
                found.setdefault(label, []).append(row)
    return found


@pytest.fixture
def busy_alice(alice, bob, admin_user, signed_in):
    """She did all that a person can do here."""
    ensure_partitions(int(NOW.timestamp()))
    porch = claim_sensor(user=alice, mac=PORCH, name="Porch", at=NOW - timedelta(hours=1))
    sauna = claim_sensor(user=bob, mac=SAUNA, name="Sauna", at=NOW - timedelta(hours=1))
    store([Reception(int(mac), int(NOW.timestamp()), 1, -70, b"\1") for mac in (PORCH, SAUNA)])
    share_sensor(user=alice, mac=PORCH, email=bob.email, at=NOW)
    share_sensor(user=alice, mac=PORCH, email="new@example.com", at=NOW)
    share_sensor(user=bob, mac=SAUNA, email=alice.email, at=NOW)
    PendingShare.objects.create(sensor=sauna, shared_by=bob, email=alice.email, invited_at=NOW)
    for user, sensor in ((alice, porch), (alice, sauna), (bob, porch), (bob, sauna)):
        rule = AlertRule.objects.create(user=user, sensor=sensor, type="temperature", max=1)
        AlertEvent.objects.create(
            rule=rule,
            user=user,
            sensor=sensor.mac,
            type="temperature",
            trigger="over",
            value=2,
            threshold=1,
            opened_at=NOW,
        )
    register_push_token(user=alice, token="alice-phone", platform="android")
    UserSetting.objects.create(user=alice, name="UNIT_TEMPERATURE", value="C", edited_at=NOW)
    for purpose in Purpose:
        make_code(purpose, email=alice.email, at=NOW)
    AccessAttempt.objects.create(username=alice.email, failures_since_start=1)
    console = Client()
    console.force_login(admin_user)
    console.post(f"/admin/accounts/user/{alice.pk}/change/", {"email": alice.email})
    signed_in(alice)
    return alice


def test_no_row_names_a_person_who_left(busy_alice, bob):
    user_id, email = busy_alice.pk, busy_alice.email
    before = naming(user_id, email)
    assert {"accounts.User", "accounts.AccessToken", "accounts.OutgoingMail"} <= before.keys()
    assert {"sensors.Sensor", "sensors.Access", "alerts.AlertRule"} <= before.keys()
    delete_account(user=busy_alice, at=NOW)
    for row in OutgoingMail.objects.all():  # bob is told who took the sensor away, and then
        mail.send(mail_id=row.pk, now=timezone.now())
    assert naming(user_id, email) == {}


def test_the_sensors_are_nobodys_and_can_be_claimed(busy_alice, bob):
    delete_account(user=busy_alice, at=NOW)
    porch = Sensor.objects.get(mac=PORCH)
    assert porch.owner is None
    assert not Access.objects.filter(sensor=porch).exists()
    assert not AlertRule.objects.filter(sensor=porch).exists()
    claim_sensor(user=bob, mac=PORCH, at=NOW)


def test_what_was_measured_stays(busy_alice):
    delete_account(user=busy_alice, at=NOW)
    assert Latest.objects.filter(sensor=PORCH).exists()


def test_those_who_lose_a_share_are_told(busy_alice, bob):
    OutgoingMail.objects.all().delete()
    delete_account(user=busy_alice, at=NOW)
    (row,) = OutgoingMail.objects.all()
    assert (row.template, row.address) == ("UnshareNotification", bob.email)
    assert json.loads(row.variables) == {"sensor": "Porch", "sharer": "alice@example.com"}


def test_others_keep_what_is_theirs(busy_alice, bob):
    delete_account(user=busy_alice, at=NOW)
    assert Sensor.objects.get(mac=SAUNA).owner == bob
    assert AlertRule.objects.get().user == bob
    assert Access.objects.get().user == bob
    assert not PushToken.objects.exists()


def test_the_console_deletes_as_thoroughly(busy_alice, admin_user):
    user_id, email = busy_alice.pk, busy_alice.email
    console = Client()
    console.force_login(admin_user)
    console.post(
        "/admin/accounts/user/",
        {"action": "delete_selected", "_selected_action": [user_id], "post": "yes"},
    )
    assert not User.objects.filter(pk=user_id).exists()
    assert not Access.objects.filter(sensor=PORCH).exists()
    OutgoingMail.objects.all().delete()
    assert naming(user_id, email).keys() <= {"admin.LogEntry"}  # that the administrator did it
