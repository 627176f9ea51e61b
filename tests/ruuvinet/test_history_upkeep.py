"""What becomes of old history: put in order, kept while somebody needs it, then dropped."""

import io
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from alerts.models import AlertRule, EvaluationMark
from ruuvinet.history import expiry, tidy_history
from ruuvinet.lib.mac import Mac
from ruuvinet.tasks import tidy_history as tidy_history_task
from sensors.history import LAST, Page, history
from sensors.models import Latest, Measurement, Sensor, SparseMeasurement
from sensors.partitions import DAY_S, WEEK_S, oldest_open, partitions
from subscriptions.limits import Limits
from subscriptions.models import Plan, Subscription
from tests.sensors.aged import AGO, dense_and_sparse, fill, fresh_partitions, keys, stored

pytestmark = [pytest.mark.storage, pytest.mark.django_db(transaction=True)]

WEEKS = 16
SENSORS = [1, 2]
TIMES = range(AGO, AGO + WEEKS * WEEK_S, DAY_S // 2)
# The first two weeks are over, and 90 days have passed since.
NOW = AGO + 2 * WEEK_S + 90 * DAY_S
KEPT_FROM = AGO + 2 * WEEK_S


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.fixture
def aged():
    """Sixteen weeks of history."""
    fresh_partitions(AGO, AGO + (WEEKS + 2) * WEEK_S)
    fill(SENSORS, TIMES)


def show(*options, now=NOW) -> str:
    out = io.StringIO()
    with time_machine.travel(now, tick=False):
        call_command("history", *options, stdout=out)
    return out.getvalue()


def later(times, since):
    return [time for time in times if time >= since]


def test_dense_history_ends_after_its_days_and_sparse_stays(aged):
    tidy_history(at(NOW))

    assert stored() == keys(SENSORS, later(TIMES, KEPT_FROM))
    assert stored(SparseMeasurement) == keys(SENSORS, TIMES, 900)


def test_sparse_history_ends_after_its_own_days(aged, settings):
    settings.SPARSE_RETENTION_DAYS = 1
    Plan.objects.create(name="Short", max_history_days=0, is_default=True)
    tidy_history(at(AGO + 26 * WEEK_S + 2 * DAY_S))

    # The quarter is over that the last ones lie in.
    assert dense_and_sparse()[1] == keys(SENSORS, later(TIMES, AGO + 26 * WEEK_S), 900)


@pytest.mark.parametrize("kind", ["default", "plan", "subscription", "none"])
def test_the_longest_plan_decides_how_long_sparse_history_is_kept(kind, settings, alice):
    settings.SPARSE_RETENTION_DAYS = 30
    if kind != "none":
        Plan.objects.create(name="Short", max_history_days=10, is_default=True)
    if kind == "plan":
        Plan.objects.create(name="Long", max_history_days=400)
    if kind == "subscription":
        Subscription.objects.create(
            user=alice, name="Long", max_history_days=400, starts_at=timezone.now()
        )
    days = {"default": 30, "plan": 400, "subscription": 400, "none": Limits().max_history_days}

    before = expiry(at(NOW))["sensors_sparsemeasurement"]
    assert before == NOW - days[kind] * DAY_S


def test_what_alerts_did_not_judge_is_kept(aged, alice):
    sensor = Sensor.objects.create(mac=Mac(1), owner=alice)
    AlertRule.objects.create(user=alice, sensor=sensor, type="temperature", min=0, max=90)
    mark = EvaluationMark.objects.create(sensor=sensor, evaluated_to=AGO + DAY_S)
    tidy_history(at(NOW))
    assert set(keys([1], later(TIMES, AGO + DAY_S))) <= set(stored())

    mark.evaluated_to = Latest.objects.get(sensor=Mac(1)).measured_at
    mark.save()
    tidy_history(at(NOW))
    assert stored() == keys(SENSORS, later(TIMES, KEPT_FROM))


def test_a_sensor_that_nobody_watches_holds_nothing_up(aged, alice):
    sensor = Sensor.objects.create(mac=Mac(1), owner=alice)
    AlertRule.objects.create(user=alice, sensor=sensor, type="temperature", max=9, enabled=False)
    EvaluationMark.objects.create(sensor=sensor, evaluated_to=AGO)

    assert expiry(at(NOW))["sensors_measurement"] == NOW - 90 * DAY_S


def test_what_may_still_be_written_is_never_dropped(settings):
    settings.DENSE_RETENTION_DAYS = 1

    assert expiry(at(NOW))["sensors_measurement"] <= oldest_open(NOW)


def test_history_is_whole_where_dense_begins(aged, alice):
    """At the seam nothing is twice and no quarter of an hour is missing."""
    around = range(KEPT_FROM - 7200, KEPT_FROM + 7200, 97)
    fill([7], around)
    sensor = Sensor.objects.create(mac=Mac(7), owner=alice)
    page = Page("mixed", 0, LAST, 5000, ascending=True)
    before = [row[0] for row in history(sensor, page, limits=Limits(), now=NOW)]
    tidy_history(at(NOW))
    after = [row[0] for row in history(sensor, page, limits=Limits(), now=NOW)]

    assert (
        len(after)
        == len(set(after))
        == after.index(later(around, KEPT_FROM)[0]) + sum(time >= KEPT_FROM for time in before)
    )
    assert later(after, KEPT_FROM) == later(before, KEPT_FROM)
    quarters = {time // 900 for time in around}
    assert {time // 900 for time in after} == quarters
    assert len([time for time in after if time < KEPT_FROM]) == 8


def test_closed_weeks_are_put_in_order_once(aged):
    done = tidy_history(at(NOW))
    if connection.vendor != "postgresql":
        assert (done.rewritten, done.deleted) == ([], 2 * 28)
        return
    assert len(done.dropped) >= 2
    closed = [p for p in partitions("sensors_measurement") if p.is_closed(NOW) and p.start >= AGO]
    assert {p.name for p in closed} <= set(done.rewritten)
    assert all(p.is_ordered for p in closed)
    assert tidy_history(at(NOW)).rewritten == []


def test_showing_changes_nothing_and_says_what_would_be_done(aged):
    before = dense_and_sparse(), partitions("sensors_measurement")
    shown = show()

    assert (dense_and_sparse(), partitions("sensors_measurement")) == before
    assert "kept 90 days" in shown
    assert "kept 3650 days" in shown
    if connection.vendor == "postgresql":
        assert "expired, would be dropped" in shown
        assert "closed, would be rewritten" in shown
        assert shown.count(" open") >= 2
    else:
        assert "2 sensors, at most" in shown
        assert "would be deleted: rows of 2 sensors" in shown


def test_tidy_does_at_once_what_the_timetable_does(aged):
    shown = show("--tidy")

    assert stored() == keys(SENSORS, later(TIMES, KEPT_FROM))
    assert "would be dropped" not in shown
    assert "would be rewritten" not in shown
    assert ("rewrote" in shown) is (connection.vendor == "postgresql")
    assert ("deleted 56 rows" in shown) is (connection.vendor != "postgresql")


def test_the_timetable_takes_what_newer_code_sends(aged):
    with time_machine.travel(NOW, tick=False):
        tidy_history_task(newer=1)

    assert stored() == keys(SENSORS, later(TIMES, KEPT_FROM))


def test_an_empty_history_can_be_shown():
    Measurement.objects.all().delete()

    assert "dense history" in show(now=AGO + timedelta(days=1).total_seconds())
