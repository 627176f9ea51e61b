"""Verbs on alerts that people and ingest start: rules, push tokens, the wake-up."""

import logging
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Greatest
from django.utils import timezone
from kombu.exceptions import ChannelError, KombuError

from accounts.models import User
from alerts.models import (
    AlertEvent,
    AlertRule,
    Delivery,
    EvaluationMark,
    ListeningSpan,
    PushToken,
    Webhook,
)
from alerts.offline import LISTENING_GAP_S
from alerts.rules import MOVEMENT, OFFLINE
from alerts.selectors import ruled_sensors
from ruuvinet.lib.api import Forbidden, MissingArgument, NotFound
from ruuvinet.lib.edits import edit_time
from ruuvinet.lib.mac import Mac
from sensors.models import Latest, Sensor
from sensors.services import locked_sensor

log = logging.getLogger(__name__)

SWEPT_AFTER_S = 60  # by then the sweep has done what a message that still waits asks for


def wake(sensors: Collection[Mac]) -> None:
    """Have a worker judge those of `sensors` that have enabled rules.

    Never fails because the broker did: what is not published here, the sweep finds.
    """
    ids = ruled_sensors(sensors)
    if not ids:
        return
    try:
        current_app.send_task(
            "alerts.evaluate_sensors", kwargs={"sensor_ids": ids}, expires=SWEPT_AFTER_S
        )
    except (KombuError, ChannelError, OSError) as error:
        log.warning("broker unreachable, judging waits for the sweep: %s", type(error).__name__)


class MissingLimits(MissingArgument):
    """A new rule of a type with limits came without them."""

    def __init__(self) -> None:
        super().__init__("Missing setting min or max argument.")


_NEEDED_LIMITS: dict[str, set[str]] = {MOVEMENT: set(), OFFLINE: {"max"}}


@transaction.atomic
def edit_rule(
    *,
    user: User,
    sensor: Mac,
    type_: str,
    changes: Mapping[str, Any],
    timestamp: int | None,
    at: datetime,
) -> AlertRule:
    """Make or change the rule of `user` for one quantity of a sensor that `user` may read.

    `changes` are of enabled, min, max, counter, delay_s and description; what is absent stays.
    `timestamp` is when the app says it was edited (Unix seconds). Raises Forbidden, MissingLimits,
    NewerExists.
    """
    locked_sensor(sensor)  # otherwise a share that ends just now would leave a rule behind
    if not Sensor.objects.readable_by(user).filter(mac=sensor).exists():
        raise Forbidden("Forbidden.")
    _lock(sensor, at)
    rule = AlertRule.objects.filter(user=user, sensor=sensor, type=type_).first()
    stored = rule.updated_at if rule else None
    edited_at = edit_time(timestamp, stored=stored, now=at)
    if rule is None:
        rule = AlertRule(user=user, sensor_id=sensor, type=type_, created_at=at)
        if not _NEEDED_LIMITS.get(type_, {"min", "max"}) <= changes.keys():
            raise MissingLimits
    for name, value in changes.items():
        setattr(rule, name, value)
    if type_ == AlertRule.Type.MOVEMENT:
        rule.min = rule.max = None
    rule.updated_at = edited_at
    return configure_rule(rule, at=at, counter_given="counter" in changes)


@transaction.atomic
def configure_rule(rule: AlertRule, *, at: datetime, counter_given: bool = False) -> AlertRule:
    """Save a new or changed rule. It starts afresh: not triggered, judging from `at` on.

    A rule of which only the description changed, or nothing, goes on as it was. A movement rule
    that starts afresh takes the sensor as it lies now, unless its counter was given.
    """
    mark = _lock(rule.sensor_id, at)
    stored = AlertRule.objects.filter(pk=rule.pk).first()
    if stored and not counter_given and _is_same(stored, rule, but="counter"):
        rule.counter = stored.counter  # it may have moved since the caller read it
    if stored and _is_same(stored, rule):
        rule.save(update_fields=["description", "updated_at"])
        rule.refresh_from_db()
        return rule
    others = AlertRule.objects.filter(sensor=rule.sensor_id, enabled=True).exclude(pk=rule.pk)
    start = int(at.timestamp())
    if not others.exists() and mark.evaluated_to < start:
        mark.evaluated_to = start  # nobody asked for what lies before
        mark.save(update_fields=["evaluated_to"])
    if rule.type == AlertRule.Type.MOVEMENT and not counter_given:
        rule.counter = _last_movement_counter(rule.sensor_id)
    rule.configured_at = at
    rule.triggered = False
    rule.told_at = rule.breached_since = rule.clear_since = None
    rule.save()
    rule.events.filter(resolved_at=None).update(resolved_at=at)
    return rule


def _lock(sensor: Mac, at: datetime) -> EvaluationMark:
    """The lock under which workers judge a sensor: they must not write a rule's state meanwhile."""
    start = int(at.timestamp())
    EvaluationMark.objects.bulk_create(
        [EvaluationMark(sensor_id=sensor, evaluated_to=start)], ignore_conflicts=True
    )
    return EvaluationMark.objects.select_for_update().get(sensor=sensor)


def _is_same(stored: AlertRule, rule: AlertRule, *, but: str = "") -> bool:
    names = [name for name in AlertRule.CONFIGURATION if name != but]
    return all(getattr(stored, name) == getattr(rule, name) for name in names)


def delete_rules(*, sensor: Mac, users: Collection[int] | None = None, at: datetime) -> None:
    """Forget the rules for `sensor`, of `users` or of everybody: who cannot read has no alerts."""
    list(EvaluationMark.objects.select_for_update().filter(sensor=sensor))  # not while it is judged
    rules = AlertRule.objects.filter(sensor=sensor)
    if users is not None:
        rules = rules.filter(user__in=users)
    AlertEvent.objects.filter(rule__in=rules, resolved_at=None).update(resolved_at=at)
    rules.delete()


def _last_movement_counter(sensor: Mac) -> int:
    """Where a sensor lies now: a new rule must not take an old movement for a new one."""
    latest = Latest.objects.filter(sensor=sensor).first()
    reading = latest.reading() if latest else None
    return reading.movement_counter or 0 if reading else 0


class UnknownPushToken(NotFound):
    """No phone is registered by that token or number."""

    def __init__(self) -> None:
        super().__init__("Token not found.")


MAX_PUSH_TOKENS = 100  # of a person; those that were not heard of for longest make room


@transaction.atomic
def register_push_token(
    *,
    user: User,
    token: str,
    platform: str,
    language: str = "",
    sound_file: str = "default",
    name: str = "",
    at: datetime | None = None,
) -> PushToken:
    """Tell `user` through the phone `token`. A token belongs to whoever registered it last."""
    push_token, _ = PushToken.objects.update_or_create(
        token=token,
        defaults={
            "user": user,
            "platform": platform.lower(),
            "language": language[:2].lower(),
            "sound_file": sound_file,
            "name": name,
            "last_accessed_at": at or timezone.now(),
            "retired_at": None,
            "retired_reason": "",
        },
    )
    kept = PushToken.objects.filter(user=user).order_by("-last_accessed_at", "pk")
    too_many = list(kept.values_list("pk", flat=True)[MAX_PUSH_TOKENS:])
    PushToken.objects.filter(pk__in=too_many).delete()
    return push_token


def unregister_push_token(*, token: str | None, token_id: int | None) -> None:
    """Forget a phone, found by either. Raises UnknownPushToken."""
    known = PushToken.objects.filter(token=token) if token else PushToken.objects.none()
    if token_id is not None:
        known = known | PushToken.objects.filter(pk=token_id)
    if not known.delete()[0]:
        raise UnknownPushToken


def set_webhook(*, user: User, url: str, at: datetime) -> Webhook:
    """Tell `user` through `url` from now on, in place of what was there, with a new secret."""
    webhook, _ = Webhook.objects.update_or_create(
        user=user,
        defaults={
            "url": url,
            "secret": secrets.token_urlsafe(),
            "created_at": at,
            "retired_at": None,
            "retired_reason": "",
        },
    )
    return webhook


PURGED_AT_ONCE = 1000  # in one statement: on SQLite nobody else can write meanwhile


def purge_events(at: datetime) -> int:
    """Forget events that ended ALERT_RETENTION_DAYS ago, and who was told; returns how many."""
    before = at - timedelta(days=settings.ALERT_RETENTION_DAYS)
    ended = AlertEvent.objects.filter(resolved_at__lt=before).order_by("resolved_at")
    purged = 0
    while ids := list(ended.values_list("pk", flat=True)[:PURGED_AT_ONCE]):
        with transaction.atomic():
            Delivery.objects.filter(event__in=ids).delete()
            purged += AlertEvent.objects.filter(pk__in=ids).delete()[0]
    return purged


def note_listening(at: datetime) -> None:
    """Say that readings are being taken in at `at`; call it every 10 seconds while they are.

    Silence of a sensor counts only while somebody listened: alerts.offline.
    """
    now = int(at.timestamp())
    current = ListeningSpan.objects.filter(since__lte=now, until__gte=now - LISTENING_GAP_S)
    extended = current.update(until=Greatest("until", now))
    if not extended:
        ListeningSpan.objects.create(since=now, until=now)
