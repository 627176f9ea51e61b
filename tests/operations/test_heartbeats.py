"""Beat and workers are seen at work."""

from datetime import timedelta

import pytest
from django.utils import timezone

from operations import beat, tasks
from operations.models import Heartbeat
from ruuvinet.celery import app

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]


def ages() -> dict[str, float]:
    now = timezone.now()
    return {row.part: (now - row.at).total_seconds() for row in Heartbeat.objects.all()}


@pytest.fixture
def scheduler(tmp_path):
    scheduler = beat.Scheduler(app=app, lazy=False, schedule_filename=str(tmp_path / "schedule"))
    yield scheduler
    scheduler.close()


def test_beat_is_seen_with_its_first_tick(scheduler):
    scheduler.tick()

    assert ages() == {"beat": pytest.approx(0, abs=10)}


def test_beat_writes_no_more_often_than_needed(scheduler, django_assert_num_queries):
    scheduler.tick()
    with django_assert_num_queries(0):
        scheduler.tick()


def test_beat_ticks_on_without_a_database(scheduler, monkeypatch, caplog):
    def unreachable(*_):
        raise beat.DatabaseError("gone")

    monkeypatch.setattr(beat, "note_alive", unreachable)

    assert scheduler.tick() >= 0
    assert "no heartbeat, the database cannot be reached" in caplog.text


def test_each_kind_of_worker_has_a_tick_in_its_own_queue():
    ticks = [e for e in app.conf.beat_schedule.values() if e["task"] == "operations.note_alive"]
    queues = {tick["kwargs"]["part"]: tick["options"].get("queue", "celery") for tick in ticks}

    assert queues == {"worker": "celery", "delivery worker": "delivery"}
    for tick in ticks:
        tasks.note_worker_alive(**tick["kwargs"])
    assert ages().keys() == set(Heartbeat.PARTS) - {"beat"}


def test_a_second_sign_of_life_replaces_the_first():
    tasks.note_worker_alive(part="worker")
    Heartbeat.objects.update(at=timezone.now() - timedelta(hours=1))
    tasks.note_worker_alive(part="worker", something="of a newer version")

    assert ages() == {"worker": pytest.approx(0, abs=10)}
