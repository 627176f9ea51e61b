"""Judging: stored readings in; rule states, events and deliveries out, in one transaction.

A wake-up, the sweep and a retry all call `evaluate_sensors`, so nothing depends on which of
them comes first or how often.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from alerts import outcome
from alerts.models import AlertEvent, EvaluationMark
from alerts.outcome import Judged
from alerts.rules import Sample, judge, sample_of
from alerts.selectors import CLOCK_SET_BACK_S, JudgedRule, Unjudged, rules_of, unjudged
from ruuvinet.lib.mac import Mac
from sensors.decoders import decode_advertisement

# Bounds one transaction: a longer backlog is judged in several, oldest first.
MAX_SAMPLES = 2000
# The same payload this soon after is the same measurement, brought by another gateway.
REPEATED_WITHIN_S = 10
PULLED_BACK_BY_S = 60  # what came between that moment and its first judging


@dataclass(slots=True)
class Evaluation:
    """What one round did: events opened, deliveries to send, whether readings are left to judge."""

    opened: list[AlertEvent] = field(default_factory=list)
    channels: set[str] = field(default_factory=set)  # that have something to send now
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
    judging = _Judging(marks, now)
    judging.pull_back_marks()
    receptions = unjudged(marks.values(), limit=MAX_SAMPLES)
    if not receptions:
        return Evaluation()
    judging.rules = rules_of(marks, now)
    for reception in receptions:
        judging.take(reception)
    opened, channels = judging.write()
    return Evaluation(
        opened=opened,
        channels=channels,
        unfinished=len(receptions) == MAX_SAMPLES and judging.taken > 0,
    )


class _Judging:
    """The state of one round: what was read, what changed. Touches the database at both ends."""

    def __init__(self, marks: dict[Mac, EvaluationMark], now: datetime) -> None:
        self.marks = marks
        self.now = now
        self.now_s = int(now.timestamp())
        self.rules: dict[int, list[JudgedRule]] = {}
        self.set_back_from: dict[int, int] = {}
        self.taken = 0
        self.moved: dict[int, EvaluationMark] = {}
        self.judged = Judged()

    def pull_back_marks(self) -> None:
        """Marks ahead of our clock come from before it was set back: it must not wait for them."""
        ahead = [
            mark
            for mark in self.marks.values()
            if mark.evaluated_to > self.now_s + CLOCK_SET_BACK_S
        ]
        for mark in ahead:
            self.set_back_from[mark.sensor_id] = mark.evaluated_to
            mark.evaluated_to = self.now_s - PULLED_BACK_BY_S
        if ahead:
            outcome.write_marks(ahead)

    def take(self, reception: Unjudged) -> None:
        """Judge one reception by every rule of its sensor, unless it was judged before."""
        mark = self.marks[Mac(reception.sensor)]
        at = reception.measured_at
        if at <= mark.evaluated_to or at in mark.judged_ahead:
            return
        self.moved[reception.sensor] = mark
        if self.now_s < at <= self.set_back_from.get(reception.sensor, 0):
            mark.judged_ahead.append(at)
            return
        repeated = (
            bytes(mark.judged_payload or b"") == reception.payload
            and at - mark.evaluated_to < REPEATED_WITHIN_S
        )
        if at > self.now_s:
            mark.judged_ahead.append(at)
            at = self.now_s
        mark.evaluated_to = max(mark.evaluated_to, at)
        mark.judged_payload = reception.payload
        self.taken += 1
        rules = self.rules.get(reception.sensor)
        if repeated or not rules:
            return
        sample = _sample_of(reception, rules[0])
        if sample is None:
            return
        for rule in rules:
            # One of the future was configured before the clock was set back.
            if at >= rule.configured_at or rule.configured_at > self.now_s + CLOCK_SET_BACK_S:
                self.judged.take(rule, judge(rule.rule, rule.state, sample, self.now_s), at)

    def write(self) -> tuple[list[AlertEvent], set[str]]:
        """Write what changed; returns the opened events and the channels that must tell of them."""
        for mark in self.moved.values():
            if mark.judged_ahead:
                mark.judged_ahead = [at for at in mark.judged_ahead if at > mark.evaluated_to]
        outcome.write_marks(self.moved.values())
        return self.judged.write(self.now)


def _sample_of(reception: Unjudged, rule: JudgedRule) -> Sample | None:
    """A reception with the owner's offsets, which each rule of the sensor carries."""
    reading = decode_advertisement(reception.payload)
    if reading is None:
        return None
    return sample_of(
        reading,
        at=reception.measured_at,
        rssi_dbm=reception.rssi_dbm,
        offset_temperature_c=rule.offset_temperature_c,
        offset_humidity_pct=rule.offset_humidity_pct,
        offset_pressure_pa=rule.offset_pressure_pa,
    )
