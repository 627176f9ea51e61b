"""The outbox against a real HTTP server that speaks Firebase."""

import logging
from datetime import timedelta

import pytest

from alerts.delivery import GIVE_UP_AFTER, LEASE, Outcome, claim_deliveries, drain, note
from alerts.evaluation import evaluate_sensors
from alerts.fcm_emulator import FcmEmulator
from alerts.models import AlertEvent, Delivery, PushToken
from alerts.services import register_push_token
from ruuvinet.lib.outbox import retry_delay

pytestmark = pytest.mark.django_db


@pytest.fixture
def fcm(tmp_path, settings):
    with FcmEmulator() as emulator:
        settings.FCM_BASE_URL = emulator.base_url
        settings.FCM_SERVICE_ACCOUNT_FILE = str(
            emulator.service_account_file(tmp_path / "service-account.json")
        )
        yield emulator


@pytest.fixture
def now(start):
    return start + timedelta(seconds=61)


@pytest.fixture
def delivery(alice, porch, phone, rule_for, hear, now) -> Delivery:
    rule_for(alice, description="check the door")
    hear(9.5, after_s=60)
    evaluate_sensors(sensors=[porch.mac], now=now)
    return Delivery.objects.get(channel="push")


def deliver(at):
    drain("push", clock=lambda: at)


def claim(at):
    return claim_deliveries(channel="push", now=at, limit=10)


def again(delivery: Delivery) -> Delivery:
    delivery.refresh_from_db()
    return delivery


def test_a_delivery_is_sent_and_says_so(fcm, delivery, now):
    deliver(now)
    assert again(delivery).status == Delivery.Status.SENT
    assert delivery.sent_at == now
    assert [kept["message"]["token"] for kept in fcm.messages] == ["alice-phone"]


def test_a_sent_delivery_is_not_sent_again(fcm, delivery, now):
    deliver(now)
    deliver(now + timedelta(hours=1))
    assert len(fcm.messages) == 1


def test_a_taken_delivery_is_nobody_elses_until_its_lease_ends(delivery, now):
    assert claim(now) == [delivery]
    assert claim(now + LEASE / 2) == []
    assert claim(now + LEASE) == [delivery]


def test_a_worker_whose_lease_ran_out_does_not_overwrite_the_next_ones_outcome(fcm, delivery, now):
    (slow,) = claim(now)
    fcm.behave("unavailable", times=1)
    deliver(now + LEASE)
    note([Outcome(slow, Delivery.Status.SENT, sent_at=now)], now=now)
    assert again(delivery).status == Delivery.Status.PENDING
    assert delivery.attempts == 2


def test_without_credentials_a_push_is_logged_and_never_retried(delivery, now, caplog):
    with caplog.at_level(logging.INFO):
        deliver(now)
    assert again(delivery).status == Delivery.Status.NOT_SENT
    assert delivery.outcome == "no credentials"
    assert "not sent: no credentials" in caplog.text
    assert not Delivery.objects.due(now + timedelta(days=1)).filter(channel="push").exists()


def test_no_push_token_appears_in_the_log(delivery, now, caplog):
    with caplog.at_level(logging.DEBUG):
        deliver(now)
    assert "alice-phone" not in caplog.text


@pytest.mark.parametrize("mode", ["unavailable", "internal", "quota"])
def test_a_temporary_failure_is_tried_again_later(fcm, delivery, now, mode):
    fcm.behave(mode, times=1)
    deliver(now)
    assert again(delivery).status == Delivery.Status.PENDING
    assert delivery.outcome
    assert not Delivery.objects.due(now).filter(channel="push").exists()
    deliver(delivery.next_attempt_at)
    assert again(delivery).status == Delivery.Status.SENT


def test_the_other_sides_retry_after_is_honoured(fcm, delivery, now):
    fcm.behave("quota", retry_after_s=1800, times=1)
    deliver(now)
    assert again(delivery).next_attempt_at >= now + timedelta(seconds=1800)


@pytest.mark.parametrize("mode", ["unregistered", "sender_mismatch"])
def test_a_dead_token_is_retired_with_its_reason(fcm, delivery, phone, now, mode):
    fcm.behave(mode, times=1)
    deliver(now)
    phone.refresh_from_db()
    assert phone.retired_at == now
    assert phone.retired_reason
    assert again(delivery).status == Delivery.Status.FAILED


def test_wrong_credentials_retire_no_token(fcm, delivery, phone, now):
    fcm.behave("permission_denied", times=1)
    deliver(now)
    phone.refresh_from_db()
    assert phone.retired_at is None
    assert again(delivery).status == Delivery.Status.PENDING


def test_a_phone_that_left_meanwhile_is_not_sent_to(fcm, delivery, phone, now):
    PushToken.objects.all().delete()
    deliver(now)
    assert again(delivery).status == Delivery.Status.NOT_SENT
    assert fcm.messages == []


def test_after_a_day_of_failures_it_gives_up(fcm, delivery, now):
    fcm.behave("unavailable")
    deliver(now + GIVE_UP_AFTER)
    assert again(delivery).status == Delivery.Status.FAILED


def test_what_nobody_could_send_for_more_than_a_day_is_not_sent(fcm, delivery, now):
    deliver(now + GIVE_UP_AFTER + timedelta(seconds=1))
    assert (again(delivery).status, delivery.outcome) == ("failed", "it was too late")
    assert fcm.messages == []


@pytest.mark.parametrize(
    ("attempts", "low_s", "high_s"), [(1, 15, 45), (2, 30, 90), (9, 1800, 5400), (60, 1800, 5400)]
)
def test_retries_wait_longer_each_time_and_are_spread(attempts, low_s, high_s):
    for _ in range(50):
        assert low_s <= retry_delay(attempts, None).total_seconds() <= high_s


def test_a_phone_that_changed_hands_does_not_get_the_old_owners_push(fcm, delivery, bob, now):
    register_push_token(user=bob, token="alice-phone", platform="android")
    deliver(now)
    assert again(delivery).status == Delivery.Status.NOT_SENT
    assert fcm.messages == []


def test_a_fault_of_ours_is_an_outcome_too_and_ends_after_a_day(fcm, delivery, now):
    AlertEvent.objects.update(type="no such type")
    deliver(now)
    assert again(delivery).status == Delivery.Status.PENDING
    assert delivery.outcome.startswith("internal: ")
    deliver(now + GIVE_UP_AFTER)
    assert again(delivery).status == Delivery.Status.FAILED
