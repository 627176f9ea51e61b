"""Who is told through what: plans, switches, and channels that must not wait for each other."""

import threading
import time
from datetime import timedelta

import pytest

from accounts.models import UserSetting
from alerts import delivery
from alerts.evaluation import evaluate_sensors
from alerts.fcm_emulator import FcmEmulator
from alerts.models import AlertEvent, AlertRule, Delivery, Webhook
from alerts.transports.base import DeliveryError, Transport
from subscriptions.models import Subscription
from tests.alerts.smtp import mail_server

pytestmark = pytest.mark.django_db

# Plan: push, email, offline, delay. The vendor's plans know no webhooks.
PLANS = {
    "Free": (False, False, False, False),
    "Basic": (True, False, False, False),
    "Pro": (True, True, True, False),
    "Business": (True, True, True, True),
}


@pytest.fixture
def webhook(alice):
    return Webhook.objects.create(user=alice, url="https://example.com/hook", secret="s")


@pytest.fixture
def fire(alice, phone, webhook, rule_for, hear, porch, start):
    """A reading that breaks alice's rule; returns the channels on which she is to be told."""

    def fire(**fields) -> set[str]:
        rule_for(alice, **fields)
        hear(9.5, after_s=60)
        evaluate_sensors(sensors=[porch.mac], now=start + timedelta(seconds=61))
        return set(Delivery.objects.values_list("channel", flat=True))

    return fire


def subscribe(user, start, plan) -> None:
    push, email, offline, delay = PLANS[plan]
    Subscription.objects.create(
        user=user,
        name=plan,
        starts_at=start - timedelta(days=1),
        ends_at=start + timedelta(days=1),
        push_alert_allowed=push,
        email_alert_allowed=email,
        offline_alert_allowed=offline,
        delayed_alert_allowed=delay,
    )


@pytest.mark.parametrize("plan", PLANS)
def test_the_owners_plan_says_which_channels_fire(fire, alice, start, plan):
    subscribe(alice, start, plan)
    push, email, _, _ = PLANS[plan]
    allowed = {"webhook"} | ({"push"} if push else set()) | ({"email"} if email else set())
    assert fire() == allowed
    assert AlertRule.objects.get().triggered  # what the apps show needs no plan


def test_a_plan_may_leave_out_webhooks(fire, alice, start):
    Subscription.objects.create(
        user=alice, name="Calm", starts_at=start, webhook_alert_allowed=False
    )
    assert fire() == {"push", "email"}


@pytest.mark.parametrize("plan", PLANS)
def test_a_delay_counts_only_where_the_plan_has_it(fire, alice, start, plan):
    subscribe(alice, start, plan)
    fire(delay_s=600)
    assert AlertEvent.objects.exists() == (not PLANS[plan][3])


def test_without_a_plan_everything_is_allowed(fire):
    assert fire() == {"push", "email", "webhook"}


@pytest.mark.parametrize("value", ["1", "true"])
@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("DISABLE_PUSH_NOTIFICATIONS", "push"),
        ("DISABLE_EMAIL_NOTIFICATIONS", "email"),
        ("disable_emails", "email"),
    ],
)
def test_a_person_may_switch_a_channel_off(fire, alice, start, name, channel, value):
    UserSetting.objects.create(user=alice, name=name, value=value, edited_at=start)
    assert fire() == {"push", "email", "webhook"} - {channel}
    assert AlertRule.objects.get().triggered


@pytest.mark.parametrize("value", ["0", "false", ""])
def test_a_switch_that_is_not_on_switches_nothing_off(fire, alice, start, value):
    UserSetting.objects.create(
        user=alice, name="DISABLE_PUSH_NOTIFICATIONS", value=value, edited_at=start
    )
    assert fire() == {"push", "email", "webhook"}


def test_the_switch_of_telegram_changes_nothing(fire, alice, start):
    UserSetting.objects.create(
        user=alice, name="DISABLE_TELEGRAM_NOTIFICATIONS", value="true", edited_at=start
    )
    assert fire() == {"push", "email", "webhook"}


def test_what_is_switched_off_before_it_is_sent_is_not_sent(fire, alice, start):
    fire()
    UserSetting.objects.create(
        user=alice, name="DISABLE_EMAIL_NOTIFICATIONS", value="1", edited_at=start
    )
    delivery.drain("email", clock=lambda: start + timedelta(seconds=62))
    assert Delivery.objects.get(channel="email").status == "not_sent"


def test_a_mail_is_in_the_persons_units_and_language(fire, alice, start, settings):
    for name, value in {"UNIT_TEMPERATURE": "F", "PROFILE_LANGUAGE_CODE": "sv"}.items():
        UserSetting.objects.create(user=alice, name=name, value=value, edited_at=start)
    fire(description="dörren")
    with mail_server() as (server, port):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_URL, settings.EMAIL_HOST, settings.EMAIL_PORT = "smtp://", "127.0.0.1", port
        delivery.drain("email", clock=lambda: start + timedelta(seconds=62))
    (mail,) = server.mails
    assert mail["Subject"].strip() == "Porch: Temperatur 49,1 °F, över gränsen 46,4 °F"
    assert "Meddelande: dörren" in mail.get_body(("plain",)).get_content()


def test_a_webhook_that_says_gone_is_retired_with_the_reason(fire, webhook, start, monkeypatch):
    class Gone(Transport):
        def send(self, notification, destination):
            assert (destination.address, destination.secret) == ("https://example.com/hook", "s")
            raise DeliveryError("gone (410)", permanent=True, retire_address=True)

    monkeypatch.setattr(delivery, "transport_for", lambda channel: Gone())
    fire()
    delivery.drain("webhook", clock=lambda: start + timedelta(seconds=62))
    webhook.refresh_from_db()
    assert webhook.retired_reason == "gone (410)"


def test_the_secret_of_a_webhook_lies_encrypted(webhook):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM alerts_webhook")
        assert cursor.fetchone()[0] != "s"


@pytest.mark.django_db(transaction=True)
def test_a_channel_that_hangs_delays_no_other(fire, settings, tmp_path, start):
    fire()
    with FcmEmulator() as fcm, mail_server() as (server, port):
        fcm.behave("hang", hang_s=30)
        settings.FCM_BASE_URL = fcm.base_url
        settings.FCM_SERVICE_ACCOUNT_FILE = str(fcm.service_account_file(tmp_path / "fcm.json"))
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_URL, settings.EMAIL_HOST, settings.EMAIL_PORT = "smtp://", "127.0.0.1", port
        clock = lambda: start + timedelta(seconds=62)  # noqa: E731
        pushing = threading.Thread(target=drain_and_close, args=["push", clock])
        pushing.start()
        delivery.drain("email", clock=clock)
        assert len(server.mails) == 1
        assert pushing.is_alive()
        # Whoever comes for pushes meanwhile is let go at once.
        delivery.drain("push", clock=clock)
        assert pushing.is_alive()
        fcm._stopping.set()
        pushing.join(30)
    assert Delivery.objects.get(channel="push").status == "pending"


class Server(Transport):
    """A webhook transport: the server of alice hangs until `open`, those of others answer."""

    senders, each = 4, 2

    def __init__(self, dead):
        self.dead, self.open, self.told = dead, threading.Event(), []
        self.at_once, self.most_at_once, self.lock = 0, 0, threading.Lock()

    def send(self, notification, destination):
        if destination.address == self.dead:
            with self.lock:
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
            assert self.open.wait(30)
            with self.lock:
                self.at_once -= 1
        self.told.append(destination.address)


@pytest.mark.django_db(transaction=True)
def test_a_server_that_hangs_delays_no_other_server(webhook, bob, start, monkeypatch):
    others = Webhook.objects.create(user=bob, url="https://example.org/hook", secret="b")
    for number in range(10):
        event_for(webhook, start - timedelta(seconds=20 - number))
    event_for(others, start)
    server = Server(dead=webhook.url)
    monkeypatch.setattr(delivery, "transport_for", lambda channel: server)
    sending = threading.Thread(target=drain_and_close, args=["webhook", lambda: start])
    sending.start()
    wait_until(lambda: server.told == [others.url])
    assert server.most_at_once == 2
    server.open.set()
    sending.join(30)
    assert server.most_at_once == 2
    assert set(Delivery.objects.values_list("status", flat=True)) == {"sent"}
    assert len(server.told) == 11


def event_for(webhook, due_at) -> Delivery:
    event = AlertEvent.objects.create(
        user=webhook.user, sensor=1, sensor_name="Fridge", type="temperature", trigger="over",
        value=9.5, threshold=8, opened_at=due_at,
    )  # fmt: skip
    return Delivery.objects.create(
        event=event, channel="webhook", address=str(webhook.pk), created_at=due_at,
        next_attempt_at=due_at,
    )  # fmt: skip


def wait_until(reached) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.django_db(transaction=True)
def test_what_waited_too_long_for_a_sender_is_left_to_its_next_lease(webhook, start, monkeypatch):
    row = event_for(webhook, start)
    server = Server(dead="")
    monkeypatch.setattr(delivery, "transport_for", lambda channel: server)
    times = iter([start, start, start + delivery.LEASE])  # taken, prepared, and begun too late
    delivery.drain("webhook", clock=lambda: next(times, start + delivery.LEASE))
    row.refresh_from_db()
    assert (row.status, row.attempts, len(server.told)) == ("sent", 2, 1)


def drain_and_close(channel, clock):
    from django.db import connection

    delivery.drain(channel, clock=clock)
    connection.close()
