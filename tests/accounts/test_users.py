import pytest
from django.db import IntegrityError
from django.utils import timezone

from accounts.models import User

pytestmark = pytest.mark.django_db


def test_addresses_are_kept_in_lower_case():
    assert User.objects.create_user(email=" Alice@Example.COM ").email == "alice@example.com"


@pytest.mark.storage
def test_the_database_refuses_an_address_with_capitals():
    with pytest.raises(IntegrityError):
        User.objects.create(email="Alice@example.com")


def test_a_person_is_found_whatever_the_case_of_the_address(alice):
    assert User.objects.get_by_natural_key("ALICE@example.com") == alice


def test_a_person_has_no_password_until_an_admin_gives_one(alice):
    assert not alice.has_usable_password()


def test_an_admin_makes_a_person_in_the_console(admin_client):
    reply = admin_client.post(
        "/admin/accounts/user/add/", {"email": "New@Example.com", "usable_password": "false"}
    )
    assert reply.status_code == 302
    assert not User.objects.get(email="new@example.com").has_usable_password()


def test_a_superuser_may_delete_a_person_with_all_that_was_told(admin_client, alice):
    from alerts.models import AlertEvent, Delivery

    now = timezone.now()
    event = AlertEvent.objects.create(
        user=alice,
        sensor=1,
        sensor_name="Porch",
        type="temperature",
        trigger="over",
        value=9,
        threshold=8,
        opened_at=now,
    )
    Delivery.objects.create(
        event=event, channel="push", address="t", created_at=now, next_attempt_at=now
    )
    admin_client.post(f"/admin/accounts/user/{alice.pk}/delete/", {"post": "yes"})
    assert not User.objects.filter(pk=alice.pk).exists()
    assert not AlertEvent.objects.exists()
