"""What judging found, written: states, events, and who is to be told.

A fixed number of statements, however many rules changed. Runs in the caller's transaction.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from alerts.bulk import INSTANT, update_rows
from alerts.models import AlertEvent, Delivery, EvaluationMark
from alerts.rules import Breach, Verdict
from alerts.selectors import JudgedRule, destinations_of, names_of
from ruuvinet.lib.mac import Mac


class Judged:
    """Collects verdicts in time order; `write` puts them into the database."""

    def __init__(self) -> None:
        self._changed: dict[int, JudgedRule] = {}
        self._resolved: dict[int, int] = {}  # rule: when, of events that are stored
        self._opened: list[tuple[JudgedRule, AlertEvent]] = []
        self._open: dict[int, AlertEvent] = {}  # rule: its open one of those

    def take(self, rule: JudgedRule, verdict: Verdict, at: int) -> None:
        """Note what `verdict`, of `at` (Unix seconds), changes for `rule`."""
        before, after = rule.state, verdict.state
        if after == before:
            return
        rule.state = after
        self._changed[rule.id] = rule
        if before.triggered and (not after.triggered or verdict.breach):
            self._resolve(rule, at)
        if verdict.breach:
            self._open_event(rule, verdict.breach, at)

    def _resolve(self, rule: JudgedRule, at: int) -> None:
        if event := self._open.pop(rule.id, None):
            event.resolved_at = _instant(at)
        else:
            self._resolved.setdefault(rule.id, at)

    def _open_event(self, rule: JudgedRule, breach: Breach, at: int) -> None:
        event = AlertEvent(
            rule_id=rule.id,
            user_id=rule.user_id,
            sensor=Mac(rule.sensor),
            type=rule.rule.type,
            trigger=breach.trigger,
            value=breach.value,
            threshold=breach.threshold,
            description=rule.description,
            opened_at=_instant(at),
        )
        self._opened.append((rule, event))
        self._open[rule.id] = event

    def write(self, now: datetime) -> tuple[list[AlertEvent], set[str]]:
        """The opened events, and the channels that have something to send because of them."""
        _write_states(self._changed.values())
        _write_resolved(self._resolved)  # before the new ones: a rule has one open event at most
        if not self._opened:
            return [], set()
        events = [event for _, event in self._opened]
        names = names_of({(event.user_id, event.sensor) for event in events})
        for event in events:
            event.sensor_name = names[event.user_id, event.sensor]
        AlertEvent.objects.bulk_create(events)
        deliveries = list(self._deliveries(now))
        Delivery.objects.bulk_create(deliveries)
        return events, {delivery.channel for delivery in deliveries}

    def _deliveries(self, now: datetime) -> Iterator[Delivery]:
        """One for each destination that the owner's plan and the person's own settings leave."""
        destinations = destinations_of({event.user_id for _, event in self._opened})
        for rule, event in self._opened:
            for channel, address in destinations[event.user_id]:
                if _plan_has(rule, channel):
                    yield Delivery(
                        event=event,
                        channel=channel,
                        address=address,
                        created_at=now,
                        next_attempt_at=now,
                    )


def _plan_has(rule: JudgedRule, channel: str) -> bool:
    if channel == Delivery.Channel.PUSH:
        return rule.limits.push_alert_allowed
    if channel == Delivery.Channel.EMAIL:
        return rule.limits.email_alert_allowed
    return rule.limits.webhook_alert_allowed


def _instant(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def write_marks(marks: Iterable[EvaluationMark]) -> None:
    update_rows(
        "alerts_evaluationmark",
        keys={"sensor_id": "bigint"},
        columns={"evaluated_to": "int", "judged_ahead": "jsonb", "judged_payload": "bytea"},
        rows=[
            (
                int(mark.sensor_id),
                mark.evaluated_to,
                json.dumps(mark.judged_ahead),
                None if mark.judged_payload is None else bytes(mark.judged_payload),
            )
            for mark in marks
        ],
    )


def _write_states(rules: Iterable[JudgedRule]) -> None:
    columns = {"triggered": "boolean", "triggered_at": INSTANT}
    columns |= dict.fromkeys(("told_at", "breached_since", "clear_since", "counter"), "int")
    update_rows(
        "alerts_alertrule",
        keys={"id": "bigint"},
        columns=columns,
        rows=[(rule.id, *rule.state) for rule in rules],
    )


def _write_resolved(resolved: dict[int, int]) -> None:
    update_rows(
        "alerts_alertevent",
        keys={"rule_id": "bigint"},
        columns={"resolved_at": INSTANT},
        rows=list(resolved.items()),
        only="resolved_at IS NULL",
    )
