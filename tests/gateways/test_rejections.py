"""Refused posts are noted beside the posts of others, and never at their cost."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from gateways import notes as noting
from gateways.models import Gateway
from gateways.notes import WAITING, Notes
from gateways.record import Rejected, Request
from ruuvinet.lib.mac import Mac
from tests.gateways.conftest import ADDRESS, NOW
from tests.ruuvinet.program import eventually

pytestmark = pytest.mark.django_db(transaction=True)

AT = datetime.fromtimestamp(NOW, UTC)


@pytest.fixture
def notes():
    running = Notes()
    yield running
    running.close()


def rejection(mac=1, reason=Gateway.Rejection.UNKNOWN, after_s=0):
    request = Request(b"", {}, AT + timedelta(seconds=after_s), ADDRESS)
    return Rejected(Mac(mac), reason, request).note


def test_a_rejection_is_noted(notes):
    notes.note(rejection())

    assert eventually(Gateway.objects.filter(mac=1, rejected_at=AT).exists)


def test_another_reason_is_noted_within_the_minute(notes):
    notes.note(rejection())
    notes.note(rejection(reason=Gateway.Rejection.SIGNATURE, after_s=1))

    assert eventually(Gateway.objects.filter(rejection=Gateway.Rejection.SIGNATURE).exists)


def test_the_same_again_within_a_minute_reaches_no_database():
    noted = []
    notes = Notes()
    for after_s in (0, 1, 59, 60, 61):
        notes.note(
            rejection(after_s=after_s)._replace(verb=lambda **given: noted.append(given["at"]))
        )
    notes.close()

    assert noted == [AT, AT + timedelta(seconds=60)]


def test_a_flood_of_strangers_is_forgotten_instead_of_queued():
    written, free = [], threading.Event()
    notes = Notes()
    for mac in range(WAITING * 5):
        notes.note(rejection(mac)._replace(verb=lambda **_: free.wait(20) and written.append(1)))
    free.set()
    notes.close()

    assert WAITING <= len(written) <= WAITING + 1  # and the one in hand


def test_the_end_does_not_wait_for_pauses(monkeypatch):
    written = []
    monkeypatch.setattr(noting, "PAUSE_S", 3600)
    notes = Notes()
    for mac in range(3):
        notes.note(rejection(mac)._replace(verb=lambda **_: written.append(1)))
    notes.close()

    assert len(written) == 3


def test_a_fault_ends_nothing(notes, caplog):
    def note_nothing(**_):
        raise ZeroDivisionError

    notes.note(rejection(1)._replace(verb=note_nothing))
    assert eventually(lambda: "note_nothing failed" in caplog.text)
    notes.note(rejection(2))

    assert eventually(Gateway.objects.filter(mac=2).exists)
