"""The outbox: take deliveries under a lease, send them outside any transaction, note the outcome.

Each channel is drained by itself: a process gives it one thread that talks to the database and
the transport's own senders, so that a channel whose server hangs delays no other, nor judging.
"""

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from alerts.bulk import INSTANT, update_rows
from alerts.models import Delivery, PushToken, Webhook
from alerts.selectors import destinations_of, preferences_of
from alerts.texts import notification_for
from alerts.transports.base import DeliveryError, Destination, Transport
from alerts.transports.email import Email
from alerts.transports.fcm import FcmClient
from alerts.transports.push import Push
from alerts.transports.webhook import Webhook as WebhookTransport
from alerts.words import Preferences
from operations.services import add_totals
from ruuvinet.lib.outbox import GIVE_UP_AFTER, LEASE, retry_delay

log = logging.getLogger(__name__)

# Taken for each sender: enough to keep it busy, few enough to be done long before the lease ends.
TAKEN_PER_SENDER = 4
# Of the lease, that must be left when an attempt begins: otherwise another worker sends it too.
MARGIN = LEASE / 4
Channel, Status = Delivery.Channel, Delivery.Status
# How the end of one attempt is counted.
ENDS: dict[str, str] = {
    Status.PENDING: "retried", Status.SENT: "sent", Status.FAILED: "failed",
    Status.NOT_SENT: "not_sent",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended. `next_attempt_at` counts where the delivery is still pending."""

    delivery: Delivery
    status: str
    text: str = ""
    next_attempt_at: datetime | None = None
    sent_at: datetime | None = None
    retires: bool = False


# --- Taking and noting ---------------------------------------------------------------------
@transaction.atomic
def claim_deliveries(
    *,
    channel: str,
    now: datetime,
    limit: int,
    each: int = 0,
    flying: Mapping[str, int] | None = None,
) -> list[Delivery]:
    """Take due deliveries for the length of LEASE, those that wait longest first.

    With `each`, at most so many of one address, together with those of it that are `flying`.
    """
    of_address = Counter(flying or {})
    busy = [address for address, count in of_address.items() if 0 < each <= count]
    due = Delivery.objects.due(now).filter(channel=channel).exclude(address__in=busy)
    unlocked = due.order_by("next_attempt_at").select_for_update(skip_locked=True, of=("self",))
    taken = []
    for delivery in unlocked.select_related("event__user")[:limit]:
        of_address[delivery.address] += 1
        if not each or of_address[delivery.address] <= each:
            taken.append(delivery)
    if taken:
        ids = [delivery.pk for delivery in taken]
        leased = Delivery.objects.filter(pk__in=ids)
        leased.update(next_attempt_at=now + LEASE, attempts=F("attempts") + 1)
    for delivery in taken:
        delivery.attempts += 1
        delivery.next_attempt_at = now + LEASE
    return taken


@transaction.atomic
def note(outcomes: Collection[Outcome], *, now: datetime) -> None:
    """Write how attempts ended, unless a lease ran out and another worker took it since."""
    update_rows(
        "alerts_delivery",
        keys={"id": "bigint", "attempts": "int"},
        columns={
            "status": "text",
            "outcome": "text",
            "next_attempt_at": INSTANT,
            "sent_at": INSTANT,
        },
        rows=[
            (
                each.delivery.pk,
                each.delivery.attempts,
                each.status,
                each.text[:255],
                _unix(each.next_attempt_at or now),
                _unix(each.sent_at),
            )
            for each in outcomes
        ],
        only="status = 'pending'",
    )
    ends = Counter(f"{each.delivery.channel} {ENDS[each.status]}" for each in outcomes)
    add_totals({("deliveries", end): count for end, count in ends.items()})
    for each in outcomes:
        if each.retires:
            _retire(each.delivery, each.text[:255], now)


def _unix(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())


def _retire(delivery: Delivery, reason: str, now: datetime) -> None:
    address = {"retired_at": now, "retired_reason": reason}
    if delivery.channel == Channel.PUSH:
        PushToken.objects.filter(token=delivery.address).update(**address)
    elif delivery.channel == Channel.WEBHOOK:
        Webhook.objects.filter(pk=delivery.address).update(**address)


def due_channels(now: datetime) -> list[str]:
    """The channels on which something is to be sent."""
    due = Delivery.objects.due(now).order_by().values_list("channel", flat=True)
    return sorted(due.distinct())


# --- Draining ------------------------------------------------------------------------------
class _Drain:
    """One channel in this process: whoever comes while it is drained only says "again"."""

    def __init__(self) -> None:
        self.draining = threading.Lock()
        self.wanted = threading.Event()


_drains: dict[str, _Drain] = defaultdict(_Drain)


def drain(channel: str, clock: Callable[[], datetime] = timezone.now) -> None:
    """Send all that is due on `channel`, unless another thread of this process does already.

    A failure is an outcome on its row, never raised.
    """
    mine = _drains[channel]
    mine.wanted.set()
    while mine.wanted.is_set() and mine.draining.acquire(blocking=False):
        try:
            mine.wanted.clear()
            _drain(channel, clock)
        finally:
            mine.draining.release()


def _drain(channel: str, clock: Callable[[], datetime]) -> None:
    transport = transport_for(channel)
    senders = _senders(channel, transport.senders)
    room = transport.senders * TAKEN_PER_SENDER
    flying: dict[Future[Outcome], str] = {}  # and the address of each
    more = True
    while more or flying:
        if more and len(flying) <= room // 2:
            taken = claim_deliveries(
                channel=channel,
                now=clock(),
                limit=room - len(flying),
                each=transport.each,
                flying=Counter(flying.values()),
            )
            more = bool(taken)
            jobs, ended = prepare(taken, transport, now=clock())
            note(ended, now=clock())
            flying |= {senders.submit(job, clock): address for job, address in jobs}
        landed = wait(flying, return_when=FIRST_COMPLETED).done if flying else set()
        note([future.result() for future in landed], now=clock())
        for future in landed:
            del flying[future]
        more = more or bool(transport.each and landed)  # an address may be free again


@cache
def _senders(channel: str, count: int) -> ThreadPoolExecutor:
    """Kept, and with its threads their connections."""
    return ThreadPoolExecutor(count, thread_name_prefix=channel)


def transport_for(channel: str) -> Transport:
    if channel == Channel.PUSH:
        return _push(
            settings.FCM_SERVICE_ACCOUNT_FILE, settings.FCM_BASE_URL, settings.FCM_LOC_KEYS
        )
    return Email() if channel == Channel.EMAIL else WebhookTransport()


@cache
def _push(service_account_file: str, base_url: str, loc_keys: bool) -> Transport:
    """One client of these settings: it keeps an access token and connections."""
    fcm = FcmClient(service_account_file, base_url=base_url) if service_account_file else None
    return Push(fcm, loc_keys=loc_keys)


# --- One attempt ---------------------------------------------------------------------------
Job = Callable[[Callable[[], datetime]], Outcome]


def prepare(
    taken: Collection[Delivery], transport: Transport, *, now: datetime
) -> tuple[list[tuple[Job, str]], list[Outcome]]:
    """What the senders shall do, each with its address, and the outcomes of what cannot be sent.

    A few queries.
    """
    if not taken:
        return [], []
    users = {delivery.event.user_id for delivery in taken}
    wanted = {(user, *each) for user, found in destinations_of(users).items() for each in found}
    destinations, preferences = _destinations(taken), preferences_of(users)
    jobs: list[tuple[Job, str]] = []
    ended: list[Outcome] = []
    for delivery in taken:
        user = delivery.event.user_id
        destination = destinations.get(delivery.address)
        # Of this person: whoever has the phone now must not read what was meant for another.
        if destination is None or (user, delivery.channel, delivery.address) not in wanted:
            ended.append(Outcome(delivery, Status.NOT_SENT, _GONE[delivery.channel]))
        elif transport.missing:
            log.info("%s %d not sent: %s", delivery.channel, delivery.pk, transport.missing)
            ended.append(Outcome(delivery, Status.NOT_SENT, transport.missing))
        elif now > delivery.created_at + GIVE_UP_AFTER:
            ended.append(Outcome(delivery, Status.FAILED, delivery.outcome or "it was too late"))
        else:
            job = partial(_attempt, transport, delivery, destination, preferences[user])
            jobs.append((job, delivery.address))
    return jobs, ended


_GONE: dict[str, str] = {
    Channel.PUSH: "the phone is no longer registered, or pushes are switched off",
    Channel.EMAIL: "the address is no longer the person's, or mails are switched off",
    Channel.WEBHOOK: "the webhook is gone",
}


def _destinations(taken: Iterable[Delivery]) -> dict[str, Destination]:
    """The destination of each address. All of `taken` are of one channel."""
    by_address = {delivery.address: Destination(address=delivery.address) for delivery in taken}
    channel = next(iter(taken)).channel
    if channel == Channel.PUSH:
        return {
            token.token: Destination(
                address=token.token,
                platform=token.platform,
                sound_file=token.sound_file,
                language=token.language,
            )
            for token in PushToken.objects.filter(token__in=by_address)
        }
    if channel == Channel.WEBHOOK:
        return {
            str(webhook.pk): Destination(address=webhook.url, secret=webhook.secret)
            for webhook in Webhook.objects.filter(pk__in=by_address)
        }
    return by_address


def _attempt(
    transport: Transport,
    delivery: Delivery,
    destination: Destination,
    preferences: Preferences,
    clock: Callable[[], datetime],
) -> Outcome:
    """Send one; runs in a sender."""
    now = clock()
    if now > delivery.next_attempt_at - MARGIN:
        return Outcome(delivery, Status.PENDING, "waited for a sender", next_attempt_at=now)
    what = f"{delivery.channel} {delivery.pk}"  # neither address nor token belongs into a log
    try:
        notification = notification_for(
            delivery.event, preferences, language=destination.language, now=now
        )
        transport.send(notification, destination)
    except DeliveryError as error:
        log.warning("%s failed: %s", what, error.message)
        return _failed(delivery, error, clock())
    except Exception as error:  # a fault of ours; without an outcome it would repeat for ever
        log.exception(what)
        fault = DeliveryError(f"internal: {type(error).__name__}", permanent=False)
        return _failed(delivery, fault, clock())
    log.info("%s sent: %s", what, delivery.event)
    return Outcome(delivery, Status.SENT, sent_at=clock())


def _failed(delivery: Delivery, error: DeliveryError, now: datetime) -> Outcome:
    retry_at = now + retry_delay(delivery.attempts, error.retry_after_s)
    if error.permanent or retry_at > delivery.created_at + GIVE_UP_AFTER:
        return Outcome(delivery, Status.FAILED, error.message, retires=error.retire_address)
    return Outcome(delivery, Status.PENDING, error.message, next_attempt_at=retry_at)
