"""Silence: which sensors have not been heard for longer than somebody wants.

Silence counts only where it was listened to. What ingest missed while it was down is not the
sensors' silence, and after such a gap their gateways get a few minutes to come back.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F, IntegerField, OuterRef, QuerySet, Subquery

from alerts.evaluation import Evaluation
from alerts.models import AlertRule, EvaluationMark, ListeningSpan
from alerts.outcome import Judged
from alerts.rules import OFFLINE, judge_silence
from alerts.selectors import judged_rules
from sensors.models import Latest

LISTENING_GAP_S = 60  # a shorter one is a restart: the gateways send again what they could not
GRACE_S = 300  # after a longer one, or what the rule allows if that is less
SPANS_KEPT_S = 30 * 86400


@transaction.atomic
def scan(now: datetime) -> Evaluation:
    """Trigger the offline rules whose sensors are silent. A fixed number of statements."""
    now_s = int(now.timestamp())
    quiet = AlertRule.objects.judged().filter(type=OFFLINE, triggered=False)
    latest = Latest.objects.filter(sensor=OuterRef("sensor")).values("measured_at")
    heard_at = Subquery(latest, output_field=IntegerField())
    silent = quiet.annotate(heard_at=heard_at).filter(heard_at__lt=now_s - F("max"))
    # The lock under which rules are judged and changed, always taken in this order.
    marks = EvaluationMark.objects.select_for_update().order_by("sensor")
    list(marks.filter(sensor__in=list(silent.values_list("sensor", flat=True))).values_list("pk"))
    heard = dict(silent.values_list("pk", "heard_at"))  # again: a reading may have come meanwhile
    quiet.exclude(breached_since=None).exclude(pk__in=heard).update(breached_since=None)
    listening, judged = Listening.read(now_s), Judged()
    for rule in judged_rules(quiet.filter(pk__in=heard), now):
        if listening.for_s >= min(GRACE_S, rule.rule.max or 0):
            silent_s = listening.since(heard[rule.id])
            judged.take(rule, judge_silence(rule.rule, rule.state, silent_s, now_s), now_s)
    opened, channels = judged.write(now)
    return Evaluation(opened=opened, channels=channels)


class Listening:
    """When readings were taken in, as spans that do not overlap, oldest first; Unix seconds."""

    def __init__(self, spans: Sequence[tuple[int, int]], now: int) -> None:
        self._spans: list[tuple[int, int]] = []
        for since, until in sorted(spans):
            end = min(until, now)
            if self._spans and since <= self._spans[-1][1] + LISTENING_GAP_S:
                first, last = self._spans.pop()
                self._spans.append((first, max(last, end)))
            elif since <= end:
                self._spans.append((since, end))

    @classmethod
    def read(cls, now: int) -> "Listening":
        spans = ListeningSpan.objects.filter(until__gt=now - SPANS_KEPT_S)
        return cls(list(spans.values_list("since", "until")), now)

    @property
    def for_s(self) -> int:
        """How long the last span is."""
        return self._spans[-1][1] - self._spans[-1][0] if self._spans else 0

    def begin_of(self, listened_s: int) -> int | None:
        """The newest time after which it was listened for that long, None if there is none."""
        for since, until in reversed(self._spans):
            if until - since >= listened_s:
                return until - listened_s
            listened_s -= until - since
        return None

    def since(self, at: int) -> int:
        """How many seconds after `at` it was listened."""
        return sum(max(0, until - max(since, at)) for since, until in self._spans)


def old_spans(now: datetime) -> QuerySet[ListeningSpan]:
    return ListeningSpan.objects.filter(until__lt=int(now.timestamp()) - SPANS_KEPT_S)


def forget_old_spans(now: datetime) -> int:
    return old_spans(now).delete()[0]
