from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, User
from alerts.admin import lanes
from alerts.evaluation import evaluate_sensors
from alerts.models import AlertEvent, AlertRule, Delivery, EvaluationMark, PushToken, Webhook
from ruuvinet.lib.mac import Mac
from sensors.services import claim_sensor

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


def test_an_offline_rule_without_an_upper_limit_is_refused(admin_client, alice, porch):
    reply = admin_client.post(
        reverse("admin:alerts_alertrule_add"),
        {"user": alice.pk, "sensor": str(porch.mac), "type": "offline", "min": "0", "delay_s": "0"},
    )
    assert b"Give an upper limit" in reply.content


def test_a_webhook_into_our_own_network_is_refused_in_the_console_too(admin_client, alice):
    reply = admin_client.post(
        reverse("admin:alerts_webhook_add"),
        {"user": alice.pk, "url": "https://10.0.0.1/", "secret": "s"},
    )
    assert b"not a public one" in reply.content
    assert not Webhook.objects.exists()


def test_changes_are_in_the_audit_trail_without_their_values(admin_client, alice, porch):
    admin_client.post(
        reverse("admin:alerts_webhook_add"),
        {"user": alice.pk, "url": "https://home.example/token", "secret": "do not tell"},
    )
    entry = AuditEntry.objects.get()
    told = f"{entry.action} {entry.about} {entry.result}"
    assert told == "webhook: Added. home.example done"


@pytest.fixture
def many(alice, start):
    """Rows as they come together: rules, events, deliveries, phones and webhooks."""

    def many(count):
        for _ in range(count):
            number = User.objects.count()
            user = User.objects.create_user(email=f"person-{number}@example.com")
            sensor = claim_sensor(user=user, mac=Mac(0xC1_00_00_00_00_00 + number), name="Fridge")
            rule = AlertRule.objects.create(user=user, sensor=sensor, type="temperature", max=8)
            event = AlertEvent.objects.create(
                rule=rule, user=user, sensor=1, sensor_name="Fridge", type="temperature",
                trigger="over", value=9.512345, threshold=8, opened_at=start,
            )  # fmt: skip
            for channel in ("push", "email", "webhook"):
                Delivery.objects.create(
                    event=event, channel=channel, address=f"token-{number}", created_at=start,
                    next_attempt_at=start,
                )  # fmt: skip
            PushToken.objects.create(user=user, token=f"token-{number}", platform="ios")
            Webhook.objects.create(user=user, url="https://a.example/", secret="s")

    return many


@pytest.mark.parametrize(
    ("page", "queries"),
    [
        ("alerts_alertrule_changelist", 5),
        ("alerts_alertevent_changelist", 7),
        ("alerts_delivery_changelist", 5),
        ("alerts_pushtoken_changelist", 5),
        ("alerts_webhook_changelist", 5),
        ("alerts_timeline", 4),
    ],
)
def test_queries_do_not_grow_with_rows(
    admin_client, many, page, queries, django_assert_num_queries
):
    url = reverse(f"admin:{page}", args=[Mac(1)] if page == "alerts_timeline" else [])
    many(5)
    admin_client.get(url)
    with django_assert_num_queries(queries):
        few = admin_client.get(url)
    many(45)
    with django_assert_num_queries(queries):
        all_ = admin_client.get(url)
    assert len(all_.content) > len(few.content)


def test_values_are_shown_without_decimals_that_are_not_true(admin_client, many):
    many(1)
    page = admin_client.get(reverse("admin:alerts_alertevent_changelist")).content
    assert b"9.51" in page
    assert b"9.512" not in page
    assert b"Temperature over 8" in page


@pytest.mark.parametrize(("state", "count"), [("open", 1), ("resolved", 0)])
def test_open_events_are_found_by_their_state(admin_client, many, state, count):
    many(1)
    reply = admin_client.get(reverse("admin:alerts_alertevent_changelist"), {"state": state})
    assert reply.context["cl"].result_count == count


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


# --- timeline and counts -------------------------------------------------------------------
def timeline(client, mac="EF:54:4A:E7:1D:9E"):
    return client.get(reverse("admin:alerts_timeline", args=[mac]))


def test_the_timeline_shows_what_happened_and_who_was_told(admin_client, fired):
    Delivery.objects.update(status=Delivery.Status.FAILED, outcome="gone for good")
    text = timeline(admin_client).content.decode()
    for said in ("Timeline of Porch", "9.5", "alice@example.com", "push …hone", "gone for good"):
        assert said in text
    assert "alice-phone" not in text


def test_the_timeline_of_a_quiet_sensor_says_so(admin_client):
    assert b"Nothing happened" in timeline(admin_client).content


def test_there_is_no_timeline_of_what_is_no_sensor(admin_client):
    assert timeline(admin_client, "porch").status_code == 404


def test_a_timeline_is_not_for_everybody(client, fired):
    assert timeline(client).status_code == 302


def test_the_timeline_costs_the_same_for_many_events(
    admin_client, fired, alice, start, django_assert_max_num_queries
):
    event = AlertEvent.objects.get()
    AlertEvent.objects.bulk_create(
        AlertEvent(
            user=alice, sensor=event.sensor, sensor_name="Porch", type="temperature",
            trigger="over", value=9, threshold=8, opened_at=start + timedelta(seconds=n),
            resolved_at=start + timedelta(seconds=n + 1),
        )
        for n in range(60)
    )  # fmt: skip
    with django_assert_max_num_queries(6):
        assert timeline(admin_client).status_code == 200


def test_bars_lie_where_their_time_is(start):
    day = timedelta(days=1)
    events = [
        AlertEvent(type="co2", opened_at=start - 9 * day, resolved_at=start - 8 * day),
        AlertEvent(type="co2", opened_at=start - 8 * day, resolved_at=start - 6 * day),
        AlertEvent(type="movement", opened_at=start - 3.5 * day),
    ]
    found = lanes(events, start)
    bars = {name: [(round(b.left), round(b.width)) for b in each] for name, each in found.items()}
    assert bars == {"CO₂": [(0, 14)], "Movement": [(50, 50)]}


def test_an_event_is_found_by_the_sensors_address(admin_client, fired):
    page = reverse("admin:alerts_alertevent_changelist")
    for term, count in (("ef-54-4a-e7-1d-9e", 1), ("EF:54:4A:E7:1D:9F", 0), ("Porch", 1)):
        assert len(admin_client.get(page, {"q": term}).context["cl"].result_list) == count


def test_a_waiting_delivery_can_be_tried_at_once(admin_client, fired):
    Delivery.objects.update(
        outcome="Firebase failed", next_attempt_at=timezone.now() + timedelta(hours=3)
    )
    admin_client.post(
        reverse("admin:alerts_delivery_changelist"),
        {"action": "retry_now", "_selected_action": [Delivery.objects.get().pk]},
    )
    assert Delivery.objects.due(timezone.now()).exists()


# --- webhooks ------------------------------------------------------------------------------
def save_webhook(client, user, pk=None, **fields):
    name, args = ("change", [pk]) if pk else ("add", [])
    data = {"user": user.pk, "url": "https://example.com/hook", "secret": "", **fields}
    return client.post(reverse(f"admin:alerts_webhook_{name}", args=args), data)


def test_a_webhook_is_made_with_a_secret_that_no_page_shows(admin_client, alice):
    assert save_webhook(admin_client, alice, secret="between-us").status_code == 302
    made = Webhook.objects.get()
    assert made.secret == "between-us"
    page = admin_client.get(reverse("admin:alerts_webhook_change", args=[made.pk]))
    assert b"between-us" not in page.content


def test_a_new_webhook_needs_a_secret(admin_client, alice):
    assert b"needs a secret" in save_webhook(admin_client, alice).content


def test_saving_a_webhook_keeps_its_secret_and_brings_it_back(admin_client, alice, start):
    made = Webhook.objects.create(
        user=alice, url="https://a.example/", secret="s", retired_at=start
    )
    save_webhook(admin_client, alice, pk=made.pk)
    made.refresh_from_db()
    assert (made.secret, made.url, made.retired_at) == ("s", "https://example.com/hook", None)
