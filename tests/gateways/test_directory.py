"""Gateways remembered in the process: one question for all who ask, nothing old after a change."""

import asyncio

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateways import directory
from gateways.directory import Lookups, find
from gateways.services import blacklist, whitelist
from ruuvinet.lib.mac import Mac
from tests.gateways.conftest import GATEWAY, KEY

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lookups():
    running = Lookups()
    yield running
    running.close()


@pytest.fixture
def whitelisted():
    return whitelist(mac=GATEWAY, secret=KEY, at=timezone.now())


def ask(lookups, *macs):
    async def all_at_once():
        return await asyncio.gather(*map(lookups.find, macs), return_exceptions=True)

    return asyncio.run(all_at_once())


def keys_of(known):
    return known and known.keys


@pytest.mark.usefixtures("whitelisted")
def test_those_who_ask_at_once_get_their_own_answers(lookups):
    answers = ask(lookups, Mac(1), GATEWAY, Mac(2), GATEWAY)

    assert list(map(keys_of, answers)) == [None, (KEY,), None, (KEY,)]


def test_those_who_ask_while_a_question_runs_share_the_next(lookups, monkeypatch):
    questions = []

    def look_up(macs, real=directory._look_up):
        questions.append(len(macs))
        return real(macs)

    monkeypatch.setattr(directory, "_look_up", look_up)
    ask(lookups, *map(Mac, range(50)))

    assert sum(questions) == 50
    assert len(questions) <= 2


@pytest.mark.usefixtures("whitelisted")
def test_what_is_remembered_costs_no_query():
    find(GATEWAY)
    with CaptureQueriesContext(connection) as queries:
        assert keys_of(find(GATEWAY)) == (KEY,)

    assert not queries


@pytest.mark.usefixtures("whitelisted")
def test_a_change_counts_at_once_in_its_own_process():
    find(GATEWAY)
    blacklist(mac=GATEWAY, at=timezone.now())

    assert find(GATEWAY) is None


def test_an_answer_from_before_a_change_is_not_remembered():
    changes = []

    def whitelisted_meanwhile(execute, *query):
        found = execute(*query)
        if not changes:
            changes.append(True)
            whitelist(mac=GATEWAY, secret=KEY, at=timezone.now())
        return found

    with connection.execute_wrapper(whitelisted_meanwhile):
        assert find(GATEWAY) is None

    assert keys_of(find(GATEWAY)) == (KEY,)


def test_all_who_ask_hear_that_the_database_is_away(lookups, monkeypatch):
    def look_up(macs):
        raise OperationalError("gone")

    monkeypatch.setattr(directory, "_look_up", look_up)
    answers = ask(lookups, Mac(1), Mac(2), Mac(1))

    assert [type(answer) for answer in answers] == [OperationalError] * 3


def test_the_next_question_is_asked_after_a_fault(lookups, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(directory, "_look_up", lambda macs: 1 / 0)
        ask(lookups, Mac(1))

    assert ask(lookups, Mac(1)) == [None]
