"""Random lives of rules against a tiny reference: whatever comes, in whatever order, no difference.

The reference knows one list, all samples in time order, and works out from the papers what must
have been told. The system under test has a database, marks, rounds that are lost or run twice,
and workers that die between judging and commit.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from accounts.models import User
from alerts.evaluation import evaluate_sensors
from alerts.models import AlertEvent, AlertRule, Delivery
from alerts.services import configure_rule, register_push_token
from ruuvinet.lib.mac import Mac
from sensors.partitions import ensure_partitions
from sensors.services import Reception, claim_sensor, store
from tests.alerts.conftest import FORMAT_5

PORCH = Mac.parse("EF:54:4A:E7:1D:9E")
START = int(datetime(2026, 4, 1, 12, 0, tzinfo=UTC).timestamp())


NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # which would take minutes


def instant(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


@dataclass
class Reference:
    """Section 2 of the papers for one rule, told as a story instead of a table."""

    kind: str
    limit: float
    delay: int
    counter: int
    born: int
    on: bool = False
    on_at: int | None = None
    told: list[int] = field(default_factory=list)
    quiet_until: int = 0
    broken: list[int] = field(default_factory=list)  # samples that broke it, without a good one
    good: list[int] = field(default_factory=list)  # good ones while triggered, without a bad one

    def sample(self, at: int, temperature: float | None, movement: int) -> None:
        if at < self.born:
            return
        if self.kind == "movement":
            bad = movement != self.counter
        elif temperature is None:
            return
        else:
            bad = temperature > self.limit
        if not bad:
            self.broken = []
            if self.on:
                self.good.append(at)
                if at - self.good[0] >= 300:
                    self.on, self.good = False, []
            return
        self.good = []
        if self.on and self.kind != "movement":
            return
        if not self.on:
            self.broken.append(at)
            if at - self.broken[0] < self.delay:
                return
        if at < self.quiet_until and self.kind != "movement":
            return
        self.on, self.on_at, self.counter, self.broken = True, at, movement, []
        if at >= self.quiet_until:
            self.told.append(at)
            self.quiet_until = at + 3600

    def configure(self, at: int, limit: float, delay: int, counter: int) -> None:
        self.limit, self.delay, self.counter, self.born = limit, delay, counter, at
        self.on, self.quiet_until, self.broken, self.good = False, 0, [], []


class Lives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        ensure_partitions(START)
        self.now = START
        self.movement = 0
        self.slots: set[int] = set()
        self.only_in_latest = False
        self.last_at = START
        self.waiting: list[tuple[int, float | None, int]] = []
        user = User.objects.create_user(email="alice@example.com")
        claim_sensor(user=user, mac=PORCH, name="Porch")
        register_push_token(user=user, token="phone", platform="ios")
        self.references = {}
        for kind, delay in (("temperature", 0), ("humidity", 0), ("movement", 0)):
            if kind == "humidity":  # never there: must stay as it is for ever
                self._rule(user, kind, 50.0, 0)
            else:
                self._rule(user, kind, 8.0, delay)

    def _rule(self, user: User, kind: str, limit: float, delay: int) -> None:
        made = AlertRule(
            user=user, sensor_id=PORCH, type=kind, delay_s=delay,
            max=None if kind == "movement" else limit,
        )  # fmt: skip
        configure_rule(made, at=instant(self.now))
        if kind != "humidity":
            self.references[kind] = Reference(kind, limit, delay, 0, self.now)

    @rule(
        step=st.sampled_from([1, 59, 60, 61, 240, 299, 300, 301, 1800, 3599, 3600]),
        temperature=st.sampled_from([5.0, 8.0, 9.5, None]),
        moved=st.booleans(),
    )
    def a_sample_comes(self, step: int, temperature: float | None, moved: bool) -> None:
        self.now += step
        self.movement = (self.movement + moved) % 256
        raw = 0x8000 if temperature is None else round(temperature / 0.005)
        payload = bytearray.fromhex(FORMAT_5.format(temperature=raw, movement=self.movement))
        payload[-8:-6] = (self.now % 65535).to_bytes(2, "big")  # the sequence: no two are alike
        # A slot keeps its first sample, and Latest the newest: what neither has any more when it is
        # judged is nobody's to judge.
        if self.only_in_latest:
            self._judge()
        self.only_in_latest = self.now // 60 in self.slots
        self._store(self.now, bytes(payload))
        self.last_at = self.now
        self.waiting.append((self.now, temperature, self.movement))

    def _store(self, at: int, payload: bytes) -> None:
        self.slots.add(at // 60)
        store([Reception(int(PORCH), at, 1, -70, payload)])

    @rule()
    def a_wake_up_arrives(self) -> None:
        self._judge()

    @rule()
    def a_worker_dies_before_it_commits(self) -> None:
        with transaction.atomic():
            evaluate_sensors(sensors=[PORCH], now=instant(self.now))
            transaction.set_rollback(True)

    @rule(late=st.integers(1, 4000), temperature=st.sampled_from([5.0, 9.5]))
    @precondition(lambda self: self.slots and not self.waiting)
    def a_sample_from_the_past_comes(self, late: int, temperature: float) -> None:
        payload = FORMAT_5.format(temperature=round(temperature / 0.005), movement=99)
        self._store(self.last_at - late, bytes.fromhex(payload))

    @rule(
        limit=st.sampled_from([8.0, 8.5]),
        delay=st.sampled_from([0, 60, 120, 300]),
        kind=st.sampled_from(["temperature", "movement"]),
    )
    def a_person_changes_a_rule(self, limit: float, delay: int, kind: str) -> None:
        self._judge()
        self.now += 1
        changed = AlertRule.objects.get(type=kind)
        changed.delay_s = delay
        changed.max = limit if kind == "temperature" else None
        reference = self.references[kind]
        is_same = delay == reference.delay and (kind == "movement" or limit == reference.limit)
        configure_rule(changed, at=instant(self.now))
        if not is_same:
            reference.configure(self.now, limit, delay, self.movement)

    def _judge(self) -> None:
        while evaluate_sensors(sensors=[PORCH], now=instant(self.now)).unfinished:
            pass
        for sample in self.waiting:
            for reference in self.references.values():
                reference.sample(*sample)
        self.waiting = []

    @invariant()
    def nothing_differs(self) -> None:
        if self.waiting:
            return
        rules = {each.type: each for each in AlertRule.objects.all()}
        for kind, reference in self.references.items():
            found = rules[kind]
            events = AlertEvent.objects.filter(type=kind).order_by("opened_at")
            opened = [int(event.opened_at.timestamp()) for event in events]
            assert opened == reference.told, kind
            assert found.triggered == reference.on, kind
            if reference.on_at is not None:
                assert int(found.triggered_at.timestamp()) == reference.on_at, kind
            if kind == "movement":
                assert found.counter == reference.counter
        assert not rules["humidity"].triggered
        told = sum(len(reference.told) for reference in self.references.values())
        assert Delivery.objects.filter(channel="push").count() == told

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)


@pytest.mark.storage
class TestLives(Lives.TestCase, TestCase):
    """Some hundreds of steps each time; TestLongLives takes thousands."""

    settings = settings(
        max_examples=25,
        stateful_step_count=40,
        deadline=None,
        phases=NO_SHRINKING,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.slow
@pytest.mark.storage
class TestLongLives(Lives.TestCase, TestCase):
    settings = settings(
        max_examples=100,
        stateful_step_count=60,
        deadline=None,
        phases=NO_SHRINKING,
        suppress_health_check=list(HealthCheck),
    )
