"""The worker's own timetable, in a real worker with Celery's broker in memory."""

import os
import signal
import threading

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

from ruuvinet.lib import timetable
from ruuvinet.lib.timetable import Timetable
from tests.ruuvinet.program import eventually


@pytest.fixture
def ran():
    return []


@pytest.fixture
def app(ran, tmp_path):
    app = Celery("timetable", broker="memory://", backend="cache+memory://", set_as_current=False)

    @app.task(name="tick", shared=False)
    def tick():
        ran.append(1)

    app.conf.beat_schedule = {"tick": {"task": "tick", "schedule": 0.1}}
    app.conf.beat_schedule_filename = str(tmp_path / "schedule")
    app.steps["worker"].add(Timetable)
    return app


def running() -> bool:
    return "timetable" in {thread.name for thread in threading.enumerate()}


def worker(app, **options):
    return start_worker(app, perform_ping_check=False, shutdown_timeout=20, **options)


def test_due_tasks_are_sent_out_again_and_again(app, ran):
    with worker(app, timetable=True):
        assert eventually(lambda: len(ran) > 2)
        assert running()

    assert not running()


def test_without_the_option_there_is_none(app):
    with worker(app):
        assert not running()


def test_the_worker_ends_when_its_timetable_does(app, monkeypatch):
    sent = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr(timetable.Service, "start", lambda self: None)
    with worker(app, timetable=True):
        assert eventually(lambda: sent)

    assert sent == [(os.getpid(), signal.SIGTERM)]
