from datetime import UTC, datetime

import pytest
from django.urls import reverse

from alerts.models import AlertRule
from ruuvinet.lib.mac import Mac
from sensors.models import Sensor
from sensors.partitions import ensure_partitions
from sensors.services import Reception, claim_sensor, store
from sensors.sharing import share_sensor

pytestmark = pytest.mark.django_db
NOW = 1_775_069_475
TAG = Mac.parse("F4:1F:0C:28:CB:D6")
PAYLOAD = bytes.fromhex("0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6")


@pytest.fixture
def heard():
    ensure_partitions(NOW)
    store([Reception(int(TAG), NOW, 1, -70, PAYLOAD)])


def test_a_heard_sensor_is_shown_with_its_values(admin_client, heard):
    page = admin_client.get(reverse("admin:sensors_latest_change", args=[str(TAG)]))
    assert b"27.445" in page.content
    assert PAYLOAD.hex().upper().encode() in page.content


def test_an_unreadable_advertisement_is_shown_as_it_came(admin_client, heard, alice):
    claim_sensor(user=alice, mac=Mac(5))
    store([Reception(5, NOW, 1, -70, bytes.fromhex("020106"))])
    page = admin_client.get(reverse("admin:sensors_latest_change", args=[str(Mac(5))]))
    assert b"020106" in page.content


def test_a_heard_sensor_can_be_claimed(admin_client, admin_user, heard):
    admin_client.post(
        reverse("admin:sensors_latest_changelist"),
        {"action": "claim_for_me", "_selected_action": [str(TAG)]},
    )
    assert Sensor.objects.get().owner == admin_user


def test_somebody_elses_sensor_cannot_be_claimed(admin_client, alice, heard):
    claim_sensor(user=alice, mac=TAG)
    reply = admin_client.post(
        reverse("admin:sensors_latest_changelist"),
        {"action": "claim_for_me", "_selected_action": [str(TAG)]},
        follow=True,
    )
    assert b"already claimed" in reply.content
    assert Sensor.objects.get().owner == alice


def test_a_sensor_is_added_by_its_address_in_any_spelling(admin_client):
    admin_client.post(
        reverse("admin:sensors_sensor_add"),
        {"mac": "f4-1f-0c-28-cb-d6", "offset_temperature_c": 0, "offset_humidity_pct": 0,
         "offset_pressure_pa": 0, **MANAGEMENT},
    )  # fmt: skip
    assert Sensor.objects.get().mac == TAG


def test_the_address_is_typed_as_text(admin_client):
    page = admin_client.get(reverse("admin:sensors_sensor_add"))
    assert b'<input type="text" name="mac"' in page.content


def test_the_list_costs_the_same_for_many(admin_client, heard, django_assert_max_num_queries):
    store([Reception(n, NOW, 1, -70, PAYLOAD) for n in range(100, 180)])
    with django_assert_max_num_queries(8):
        assert admin_client.get(reverse("admin:sensors_latest_changelist")).status_code == 200


MANAGEMENT = {
    f"{prefix}-{name}_FORMS": 0
    for prefix in ("accesses", "pending_shares", "choices")
    for name in ("TOTAL", "INITIAL")
}


def test_a_sensor_given_to_somebody_is_claimed(admin_client, alice):
    admin_client.post(
        reverse("admin:sensors_sensor_add"),
        {"mac": str(TAG), "owner": alice.pk, "offset_temperature_c": 0, "offset_humidity_pct": 0,
         "offset_pressure_pa": 0, **MANAGEMENT},
    )  # fmt: skip
    sensor = Sensor.objects.get()
    assert (sensor.owner, sensor.last_owner) == (alice, alice)
    assert sensor.accesses.get().user == alice


def test_a_sensor_can_be_unclaimed(admin_client, alice):
    claim_sensor(user=alice, mac=TAG)
    admin_client.post(
        reverse("admin:sensors_sensor_changelist"),
        {"action": "unclaim", "_selected_action": [str(TAG)]},
    )
    sensor = Sensor.objects.get()
    assert (sensor.owner, sensor.last_owner) == (None, alice)
    assert not sensor.accesses.exists()


def test_an_owner_is_not_simply_replaced_nor_a_sensor_deleted(admin_client, alice):
    claim_sensor(user=alice, mac=TAG)
    page = admin_client.get(reverse("admin:sensors_sensor_change", args=[str(TAG)]))
    assert b'name="owner"' not in page.content
    assert b"deletelink" not in page.content


def test_profiles_invitations_and_settings_are_shown(admin_client, alice):
    sensor = claim_sensor(user=alice, mac=TAG, name="Porch", description="by the door")
    sensor.pending_shares.create(
        shared_by=alice, email="new@example.com", invited_at=sensor.claimed_at
    )
    sensor.accesses.update(picture="pictures/guid.jpg")
    page = admin_client.get(reverse("admin:sensors_sensor_change", args=[str(TAG)]))
    for shown in (b"Porch", b"new@example.com", b"by the door", b'src="/pictures/guid.jpg"'):
        assert shown in page.content


def test_apps_notice_a_change(admin_client, alice):
    claim_sensor(user=alice, mac=TAG, at=datetime.fromtimestamp(NOW, UTC))
    access = Sensor.objects.get().accesses.get()
    admin_client.post(
        reverse("admin:sensors_sensor_change", args=[str(TAG)]),
        {"offset_temperature_c": 1, "offset_humidity_pct": 0, "offset_pressure_pa": 0, **MANAGEMENT,
         "accesses-TOTAL_FORMS": 1, "accesses-INITIAL_FORMS": 1, "accesses-0-id": access.pk,
         "accesses-0-sensor": str(TAG), "accesses-0-user": alice.pk, "accesses-0-name": "Porch"},
    )  # fmt: skip
    access.refresh_from_db()
    assert (access.name, access.sensor.offset_temperature_c) == ("Porch", 1)
    assert access.edited_at > datetime.fromtimestamp(NOW, UTC)


@pytest.fixture
def shared(alice, bob, heard):
    """Alice's sensor, which bob may read, with a rule of each."""
    sensor = claim_sensor(user=alice, mac=TAG, name="Porch")
    share_sensor(user=alice, mac=TAG, email=bob.email, at=sensor.claimed_at)
    for user in (alice, bob):
        AlertRule.objects.create(user=user, sensor=sensor, type="temperature", min=0, max=1)
    return sensor


def save(client, sensor, *, removed=(), **fields):
    accesses = list(sensor.accesses.order_by("pk"))
    rows = {"accesses-TOTAL_FORMS": len(accesses), "accesses-INITIAL_FORMS": len(accesses)}
    for number, access in enumerate(accesses):
        prefix = f"accesses-{number}"
        rows |= {
            f"{prefix}-id": access.pk,
            f"{prefix}-sensor": str(sensor.mac),
            f"{prefix}-user": access.user_id,
            f"{prefix}-name": access.name,
        }
        if access.user in removed:
            rows[f"{prefix}-DELETE"] = "on"
    offsets = dict.fromkeys(
        ("offset_temperature_c", "offset_humidity_pct", "offset_pressure_pa"), 0
    )
    reply = client.post(
        reverse("admin:sensors_sensor_change", args=[str(sensor.mac)]),
        {**MANAGEMENT, **offsets, **rows, **fields},
    )
    assert reply.status_code == 302


def ruled():
    return [rule.user.email for rule in AlertRule.objects.order_by("pk").select_related("user")]


def test_whose_share_is_removed_has_no_rules_any_more(admin_client, shared, bob):
    save(admin_client, shared)
    assert ruled() == ["alice@example.com", "bob@example.com"]
    save(admin_client, shared, removed=[bob])
    assert ruled() == ["alice@example.com"]


def test_rules_of_strangers_end_with_the_publication(admin_client, shared, charlie):
    save(admin_client, shared, public="on")
    AlertRule.objects.create(user=charlie, sensor=shared, type="humidity", min=0, max=1)
    save(admin_client, shared, public="on")
    assert len(ruled()) == 3
    save(admin_client, shared)
    assert ruled() == ["alice@example.com", "bob@example.com"]


def test_an_owner_keeps_the_sensor(admin_client, shared, alice):
    save(admin_client, shared, removed=[alice])
    assert shared.accesses.filter(user=alice).exists()
