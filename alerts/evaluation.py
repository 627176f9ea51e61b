"""Judging: stored readings in; rule states, events and deliveries out, in one transaction.

A wake-up, the sweep and a retry all call `evaluate_sensors`, so nothing depends on which of
them comes first or how often.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from alerts.models import AlertEvent, AlertRule, Delivery, EvaluationMark, PushToken
from alerts.rules import MOVEMENT, QUANTITIES, Breach, Verdict, judge, sample_of
from alerts.selectors import Unjudged, unjudged
from ruuvinet.lib.mac import Mac
from sensors.decoders import decode_advertisement
from sensors.models import Access
from subscriptions.limits import Limits, limits_for

# Bounds one transaction: a longer backlog is judged in several, oldest first.
MAX_SAMPLES = 2000


@dataclass(slots=True)
class Evaluation:
    """What one round did: events opened, deliveries to send, whether readings are left to judge."""

    opened: list[AlertEvent] = field(default_factory=list)
    delivery_ids: list[int] = field(default_factory=list)
    unfinished: bool = False


@transaction.atomic
def evaluate_sensors(*, sensors: Iterable[int], now: datetime) -> Evaluation:
    """Judge what is stored of `sensors` after their marks, in time order.

    The marks are locked first, in the order of the sensors, so that of many workers each reading
    is judged by one and none waits crosswise.
    """
    marks = {
        mark.sensor_id: mark
        for mark in EvaluationMark.objects.select_for_update()
        .filter(sensor__in=list(sensors))
        .order_by("sensor")
    }
    receptions = unjudged(marks.values(), limit=MAX_SAMPLES)
    if not receptions:
        return Evaluation()
    judging = _Judging(marks, now)
    for reception in receptions:
        judging.take(reception)
    return Evaluation(
        opened=judging.opened,
        delivery_ids=judging.write(),
        unfinished=len(receptions) == MAX_SAMPLES and judging.taken > 0,
    )


class _Judging:
    """The state of one round: what was read, what changed. Touches the database at both ends."""

    def __init__(self, marks: dict[Mac, EvaluationMark], now: datetime) -> None:
        self.marks = marks
        self.now = now
        self.rules: dict[Mac, list[AlertRule]] = defaultdict(list)
        may_read = Access.objects.filter(user=OuterRef("user"), sensor=OuterRef("sensor"))
        enabled = AlertRule.objects.filter(
            Exists(may_read) | Q(sensor__owner=F("user")),
            sensor__in=marks,
            enabled=True,
            user__is_active=True,
            type__in=[MOVEMENT, *QUANTITIES],
        )
        for rule in enabled.select_related("sensor"):
            self.rules[rule.sensor_id].append(rule)
        triggered = [rule for rules in self.rules.values() for rule in rules if rule.triggered]
        open_events = AlertEvent.objects.filter(rule__in=triggered, resolved_at=None)
        self.open: dict[int | None, AlertEvent] = {event.rule_id: event for event in open_events}
        self.taken = 0
        self.changed: dict[int, AlertRule] = {}
        self.opened: list[AlertEvent] = []
        self.resolved: list[AlertEvent] = []

    def take(self, reception: Unjudged) -> None:
        """Judge one reception by every rule of its sensor, unless it was judged before."""
        mark = self.marks[Mac(reception.sensor)]
        if reception.measured_at <= mark.evaluated_to or reception.measured_at in mark.judged_ahead:
            return
        at = min(reception.measured_at, int(self.now.timestamp()))
        if at < reception.measured_at:
            mark.judged_ahead.append(reception.measured_at)
        mark.evaluated_to = max(mark.evaluated_to, at)
        self.taken += 1
        reading = decode_advertisement(reception.payload)
        rules = self.rules[mark.sensor_id]
        if reading is None or not rules:
            return
        sensor = rules[0].sensor
        sample = sample_of(
            reading,
            at=at,
            rssi_dbm=reception.rssi_dbm,
            offset_temperature_c=sensor.offset_temperature_c,
            offset_humidity_pct=sensor.offset_humidity_pct,
            offset_pressure_pa=sensor.offset_pressure_pa,
        )
        for rule in rules:
            if at >= int(rule.configured_at.timestamp()):
                self._apply(rule, judge(rule.rule(), rule.state(), sample), at)

    def _apply(self, rule: AlertRule, verdict: Verdict, at: int) -> None:
        if verdict.state == rule.state():
            return
        when = datetime.fromtimestamp(at, UTC)
        if rule.triggered and not verdict.state.triggered:
            self._resolve(rule, when)
        rule.set_state(verdict.state)
        self.changed[rule.pk] = rule
        if verdict.breach is not None:
            self._open(rule, verdict.breach, when)

    def _resolve(self, rule: AlertRule, when: datetime) -> None:
        event = self.open.pop(rule.pk, None)
        if event is not None:
            event.resolved_at = when
            if event.pk is not None:
                self.resolved.append(event)

    def _open(self, rule: AlertRule, breach: Breach, when: datetime) -> None:
        event = AlertEvent(
            rule=rule,
            user_id=rule.user_id,
            sensor=rule.sensor_id,
            type=rule.type,
            trigger=breach.trigger,
            value=breach.value,
            threshold=breach.threshold,
            description=rule.description,
            opened_at=when,
        )
        self.open[rule.pk] = event
        self.opened.append(event)

    def write(self) -> list[int]:
        """Write what changed; returns the ids of the new deliveries."""
        for mark in self.marks.values():
            mark.judged_ahead = [at for at in mark.judged_ahead if at > mark.evaluated_to]
        EvaluationMark.objects.bulk_update(self.marks.values(), ["evaluated_to", "judged_ahead"])
        AlertRule.objects.bulk_update(self.changed.values(), AlertRule.STATE)
        # Before the new ones: a rule has one open event at most.
        AlertEvent.objects.bulk_update(self.resolved, ["resolved_at"])
        self._name_events()
        AlertEvent.objects.bulk_create(self.opened)
        return [delivery.pk for delivery in Delivery.objects.bulk_create(self._deliveries())]

    def _name_events(self) -> None:
        if not self.opened:
            return
        accesses = Access.objects.filter(sensor__in={event.sensor for event in self.opened})
        names = {(a.user_id, a.sensor_id): a.name for a in accesses}
        for event in self.opened:
            sensor = self.rules[event.sensor][0].sensor
            event.sensor_name = names.get((event.user_id, event.sensor)) or sensor.fallback_name

    def _deliveries(self) -> list[Delivery]:
        """One for each phone of whom an event concerns, where the sensor's owner's plan has it."""
        if not self.opened:
            return []
        owners = {
            event.sensor: self.rules[event.sensor][0].sensor.owner_id for event in self.opened
        }
        limits = limits_for({owner for owner in owners.values() if owner is not None}, self.now)
        tokens: dict[int, list[str]] = defaultdict(list)
        live = PushToken.objects.filter(
            user__in={event.user_id for event in self.opened}, retired_at=None
        )
        for user_id, token in live.values_list("user", "token"):
            tokens[user_id].append(token)
        return [
            Delivery(
                event=event,
                channel=Delivery.Channel.PUSH,
                address=token,
                created_at=self.now,
                next_attempt_at=self.now,
            )
            for event in self.opened
            if limits.get(owners[event.sensor] or 0, Limits()).push_alert_allowed
            for token in tokens[event.user_id]
        ]
