from datetime import timedelta

import pytest
from django.urls import reverse

from alerts.evaluation import evaluate_sensors
from alerts.models import AlertEvent, AlertRule, Delivery, EvaluationMark, PushToken

pytestmark = pytest.mark.django_db


@pytest.fixture
def fired(alice, porch, phone, rule_for, hear, start):
    rule = rule_for(alice)
    hear(9.5, after_s=60)
    evaluate_sensors(sensors=[porch.mac], now=start + timedelta(seconds=61))
    Delivery.objects.exclude(channel="push").delete()
    return rule


@pytest.mark.parametrize("model", ["alertrule", "alertevent", "delivery", "pushtoken"])
def test_every_list_and_every_page_opens(admin_client, fired, model):
    listing = admin_client.get(reverse(f"admin:alerts_{model}_changelist"))
    assert listing.status_code == 200
    row = listing.context["cl"].result_list[0]
    page = admin_client.get(reverse(f"admin:alerts_{model}_change", args=[row.pk]))
    assert page.status_code == 200


@pytest.mark.parametrize("model", ["alertrule", "alertevent", "delivery", "pushtoken"])
def test_no_page_shows_the_token_of_a_phone(admin_client, fired, model):
    listing = admin_client.get(reverse(f"admin:alerts_{model}_changelist"))
    row = listing.context["cl"].result_list[0]
    page = admin_client.get(reverse(f"admin:alerts_{model}_change", args=[row.pk]))
    assert b"alice-phone" not in listing.content + page.content


@pytest.mark.parametrize("model", ["alertevent", "delivery"])
def test_history_cannot_be_edited(admin_client, fired, model):
    assert admin_client.get(reverse(f"admin:alerts_{model}_add")).status_code == 403


def test_a_rule_made_in_the_console_is_judged_from_now_on(admin_client, alice, porch):
    reply = admin_client.post(
        reverse("admin:alerts_alertrule_add"),
        {"user": alice.pk, "sensor": str(porch.mac), "type": "temperature", "enabled": "on",
         "max": "8", "delay_s": "0"},
    )  # fmt: skip
    assert reply.status_code == 302
    assert AlertRule.objects.get().max == 8
    assert EvaluationMark.objects.filter(sensor=porch).exists()


def test_a_rule_without_any_limit_is_refused_with_a_reason(admin_client, alice, porch):
    reply = admin_client.post(
        reverse("admin:alerts_alertrule_add"),
        {"user": alice.pk, "sensor": str(porch.mac), "type": "temperature", "delay_s": "0"},
    )
    assert b"Give a lower limit" in reply.content
    assert not AlertRule.objects.exists()


def test_changing_a_rule_resolves_its_event(admin_client, fired):
    admin_client.post(
        reverse("admin:alerts_alertrule_change", args=[fired.pk]),
        {"user": fired.user_id, "sensor": str(fired.sensor_id), "type": "temperature",
         "enabled": "on", "max": "20", "delay_s": "0"},
    )  # fmt: skip
    assert AlertEvent.objects.get().resolved_at


def test_a_failed_delivery_can_be_tried_again(admin_client, fired):
    Delivery.objects.update(status=Delivery.Status.FAILED)
    admin_client.post(
        reverse("admin:alerts_delivery_changelist"),
        {"action": "retry_now", "_selected_action": [Delivery.objects.get().pk]},
    )
    assert Delivery.objects.get().status == Delivery.Status.PENDING


def test_a_sent_delivery_is_not_sent_again_by_hand(admin_client, fired):
    Delivery.objects.update(status=Delivery.Status.SENT)
    admin_client.post(
        reverse("admin:alerts_delivery_changelist"),
        {"action": "retry_now", "_selected_action": [Delivery.objects.get().pk]},
    )
    assert Delivery.objects.get().status == Delivery.Status.SENT


def test_the_list_of_events_costs_the_same_for_many(
    admin_client, fired, alice, start, django_assert_max_num_queries
):
    event = AlertEvent.objects.get()
    AlertEvent.objects.bulk_create(
        AlertEvent(
            user=alice, sensor=event.sensor, sensor_name=f"s{n}", type="temperature",
            trigger="over", value=9, threshold=8, opened_at=start,
        )
        for n in range(60)
    )  # fmt: skip
    with django_assert_max_num_queries(10):
        assert admin_client.get(reverse("admin:alerts_alertevent_changelist")).status_code == 200


def test_a_phone_is_registered_in_the_console(admin_client, alice):
    admin_client.post(
        reverse("admin:alerts_pushtoken_add"),
        {"user": alice.pk, "platform": "ios", "language": "fi", "sound_file": "default",
         "token": "new-phone"},
    )  # fmt: skip
    assert PushToken.objects.get(token="new-phone").user == alice
