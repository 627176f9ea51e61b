"""The outbox: take a delivery under a lease, send it outside any transaction, note the outcome."""

import logging
from datetime import datetime
from functools import cache

from django.conf import settings
from django.db.models import F

from alerts.models import Delivery, PushToken
from alerts.texts import destination_for, notification_for
from alerts.transports.base import DeliveryError, Transport
from alerts.transports.fcm import FcmClient
from alerts.transports.push import Push
from ruuvinet.lib.outbox import GIVE_UP_AFTER, LEASE, retry_delay

log = logging.getLogger(__name__)

NO_CREDENTIALS = "no credentials"


def claim_delivery(*, delivery_id: int, now: datetime) -> Delivery | None:
    """Take a due delivery for the length of LEASE. None: not due, done, or another has it."""
    due = Delivery.objects.due(now).filter(pk=delivery_id)
    if due.update(next_attempt_at=now + LEASE, attempts=F("attempts") + 1) != 1:
        return None
    return Delivery.objects.select_related("event__user").get(pk=delivery_id)


def deliver(*, delivery_id: int, now: datetime) -> None:
    """Send one delivery if it is due. A failure is an outcome on its row, never raised."""
    delivery = claim_delivery(delivery_id=delivery_id, now=now)
    if delivery is None:
        return
    # Of this person: whoever has the phone now must not read what was meant for another.
    token = PushToken.objects.filter(
        token=delivery.address, user=delivery.event.user_id, retired_at=None
    ).first()
    if token is None:
        finish(delivery, Delivery.Status.NOT_SENT, "the phone is no longer registered")
        return
    transport = push_transport(settings.FCM_SERVICE_ACCOUNT_FILE, settings.FCM_BASE_URL)
    if transport is None:
        log.info("push to %s not sent: %s (FCM_SERVICE_ACCOUNT_FILE)", token, NO_CREDENTIALS)
        finish(delivery, Delivery.Status.NOT_SENT, NO_CREDENTIALS)
        return
    try:
        transport.send(notification_for(delivery.event), destination_for(token))
    except DeliveryError as error:
        _note_failure(delivery, token, error, now)
    except Exception as error:  # a fault of ours; without an outcome it would repeat for ever
        log.exception("push %d", delivery.pk)
        fault = DeliveryError(f"internal: {type(error).__name__}", permanent=False)
        _note_failure(delivery, token, fault, now)
    else:
        log.info("push %d to %s sent: %s", delivery.pk, token, delivery.event)
        finish(delivery, Delivery.Status.SENT, "", sent_at=now)


@cache
def push_transport(service_account_file: str, base_url: str) -> Transport | None:
    """The push channel of these settings; None without credentials."""
    if not service_account_file:
        return None
    return Push(FcmClient(service_account_file, base_url=base_url))


def _note_failure(
    delivery: Delivery, token: PushToken, error: DeliveryError, now: datetime
) -> None:
    log.warning("push %d to %s failed: %s", delivery.pk, token, error.message)
    if error.retire_address:
        PushToken.objects.filter(pk=token.pk).update(
            retired_at=now, retired_reason=error.message[:255]
        )
    retry_at = now + retry_delay(delivery.attempts, error.retry_after_s)
    if error.permanent or retry_at > delivery.created_at + GIVE_UP_AFTER:
        finish(delivery, Delivery.Status.FAILED, error.message)
    else:
        _update(delivery, next_attempt_at=retry_at, outcome=error.message[:255])


def finish(
    delivery: Delivery, status: Delivery.Status, outcome: str, sent_at: datetime | None = None
) -> None:
    """Note how it ended, unless another worker took the delivery since."""
    _update(delivery, status=status, outcome=outcome[:255], sent_at=sent_at)


def _update(delivery: Delivery, **fields: object) -> None:
    """Write an outcome, unless the lease ran out and another worker took the delivery since."""
    Delivery.objects.filter(
        pk=delivery.pk, attempts=delivery.attempts, status=Delivery.Status.PENDING
    ).update(**fields)
