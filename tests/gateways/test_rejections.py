"""Refused posts are noted beside the posts of others, and never at their cost."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from gateways import rejections as noting
from gateways.models import Gateway
from gateways.rejections import WAITING, Rejection, RejectionNotes
from ruuvinet.lib.mac import Mac
from tests.gateways.conftest import ADDRESS, NOW
from tests.ruuvinet.program import eventually

pytestmark = pytest.mark.django_db(transaction=True)

AT = datetime.fromtimestamp(NOW, UTC)


@pytest.fixture
def notes():
    running = RejectionNotes()
    yield running
    running.close()


def rejection(mac=1, reason=Gateway.Rejection.UNKNOWN, after_s=0):
    return Rejection(Mac(mac), reason, ADDRESS, AT + timedelta(seconds=after_s))


def test_a_rejection_is_noted(notes):
    notes.note(rejection())

    assert eventually(Gateway.objects.filter(mac=1, rejected_at=AT).exists)


def test_another_reason_is_noted_within_the_minute(notes):
    notes.note(rejection())
    notes.note(rejection(reason=Gateway.Rejection.SIGNATURE, after_s=1))

    assert eventually(Gateway.objects.filter(rejection=Gateway.Rejection.SIGNATURE).exists)


def test_the_same_again_within_a_minute_reaches_no_database(monkeypatch):
    noted = []
    monkeypatch.setattr(noting, "note_rejection", lambda **fields: noted.append(fields["at"]))
    notes = RejectionNotes()
    for after_s in (0, 1, 59, 60, 61):
        notes.note(rejection(after_s=after_s))
    notes.close()

    assert noted == [AT, AT + timedelta(seconds=60)]


def test_a_flood_of_strangers_is_forgotten_instead_of_queued(monkeypatch):
    written, free = [], threading.Event()
    monkeypatch.setattr(noting, "note_rejection", lambda **_: free.wait(20) and written.append(1))
    notes = RejectionNotes()
    for mac in range(WAITING * 5):
        notes.note(rejection(mac))
    free.set()
    notes.close()

    assert WAITING <= len(written) <= WAITING + 1  # and the one in hand


def test_the_end_does_not_wait_for_pauses(monkeypatch):
    written = []
    monkeypatch.setattr(noting, "note_rejection", lambda **_: written.append(1))
    monkeypatch.setattr(noting, "PAUSE_S", 3600)
    notes = RejectionNotes()
    for mac in range(3):
        notes.note(rejection(mac))
    notes.close()

    assert len(written) == 3


def test_a_fault_ends_nothing(notes, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(noting, "note_rejection", lambda **_: 1 / 0)
        notes.note(rejection(1))
        assert eventually(lambda: "could not be noted" in caplog.text)
    notes.note(rejection(2))

    assert eventually(Gateway.objects.filter(mac=2).exists)
