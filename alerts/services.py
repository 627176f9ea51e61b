"""Verbs on alerts that people and ingest start: rules, push tokens, the wake-up."""

import logging
from collections.abc import Collection
from datetime import datetime

from celery import current_app
from django.db import transaction
from kombu.exceptions import ChannelError, KombuError

from accounts.models import User
from alerts.models import AlertEvent, AlertRule, EvaluationMark, PushToken
from alerts.selectors import ruled_sensors
from ruuvinet.lib.mac import Mac
from sensors.models import Latest

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


@transaction.atomic
def configure_rule(rule: AlertRule, *, at: datetime) -> AlertRule:
    """Save a new or changed rule. It starts afresh: not triggered, judging from `at` on.

    A rule of which only the description changed goes on as it was.
    """
    start = int(at.timestamp())
    EvaluationMark.objects.bulk_create(
        [EvaluationMark(sensor_id=rule.sensor_id, evaluated_to=start)], ignore_conflicts=True
    )
    # The lock under which workers judge this sensor: they must not write this rule's state now.
    mark = EvaluationMark.objects.select_for_update().get(sensor=rule.sensor_id)
    stored = AlertRule.objects.filter(pk=rule.pk).first()
    if stored and all(getattr(stored, f) == getattr(rule, f) for f in AlertRule.CONFIGURATION):
        rule.save(update_fields=["description"])
        return rule
    others = AlertRule.objects.filter(sensor=rule.sensor_id, enabled=True).exclude(pk=rule.pk)
    if not others.exists() and mark.evaluated_to < start:
        mark.evaluated_to = start  # nobody asked for what lies before
        mark.save(update_fields=["evaluated_to"])
    # A counter is one sensor's: that of another, or of another type, says nothing here.
    moved = stored and (stored.sensor_id, stored.type) != (rule.sensor_id, rule.type)
    counter_unknown = moved or (stored is None and not rule.counter)
    if rule.type == AlertRule.Type.MOVEMENT and counter_unknown:
        rule.counter = _last_movement_counter(rule.sensor_id)
    rule.configured_at = at
    rule.triggered = False
    rule.save()
    rule.events.filter(resolved_at=None).update(resolved_at=at)
    return rule


def delete_rules(*, sensor: Mac, users: Collection[int] | None = None, at: datetime) -> None:
    """Forget the rules for `sensor`, of `users` or of everybody: who cannot read has no alerts."""
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


@transaction.atomic
def register_push_token(
    *, user: User, token: str, platform: str, language: str = "en", name: str = ""
) -> PushToken:
    """Tell `user` through the phone `token`. A token belongs to whoever registered it last."""
    push_token, _ = PushToken.objects.update_or_create(
        token=token,
        defaults={
            "user": user,
            "platform": platform,
            "language": language,
            "name": name,
            "retired_at": None,
            "retired_reason": "",
        },
    )
    return push_token
