"""How many posts came in each minute, told by every web process."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from gateways import tally
from gateways.models import IngestMinute
from gateways.services import whitelist
from gateways.signature import sign
from gateways.tally import INGEST, Tally
from gateways.tasks import purge_ingest_minutes
from ruuvinet.lib.mac import Mac
from tests.gateways.conftest import DF5, GATEWAY, KEY, NOW, TAG, at, body_of, tag
from tests.gateways.doors import FastLaneClient
from tests.ruuvinet.asgi_server import AsgiServer
from tests.threads import at_once

pytestmark = pytest.mark.storage
MINUTE = at(NOW).replace(second=0)


def told():
    return {row.minute: (row.posts, row.readings, row.refused) for row in minutes()}


def minutes():
    return IngestMinute.objects.order_by("minute")


def tally_of(*, posts: int, readings: int = 0, refused: int = 0) -> Tally:
    counting = Tally()
    for number in range(posts):
        counting.accept(readings=readings if number == 0 else 0, took_s=0.01, in_hand=1)
    for _ in range(refused):
        counting.refuse("unknown")
    return counting


@pytest.mark.django_db
def test_each_minute_adds_what_all_processes_tell(django_assert_num_queries):
    with django_assert_num_queries(8):  # with savepoints, which only tests have
        tally_of(posts=3, readings=24, refused=1).tell(MINUTE)
        tally_of(posts=2, readings=5).tell(MINUTE + timedelta(seconds=59))
    tally_of(posts=1).tell(MINUTE + timedelta(seconds=60))

    assert told() == {MINUTE: (5, 29, 1), MINUTE + timedelta(minutes=1): (1, 0, 0)}


@pytest.mark.django_db
def test_what_was_told_is_not_told_again(django_assert_num_queries):
    counting = tally_of(posts=3)
    counting.tell(MINUTE)
    with django_assert_num_queries(0):
        counting.tell(MINUTE)

    assert told() == {MINUTE: (3, 0, 0)}


@pytest.mark.django_db(transaction=True)
def test_what_could_not_be_told_is_told_later(monkeypatch):
    counting = tally_of(posts=3, readings=24, refused=2)
    with monkeypatch.context() as patch:
        patch.setattr(tally, "ADD_MINUTE", "INSERT INTO nowhere VALUES (%s, %s, %s, %s)")
        with pytest.raises(DatabaseError):
            counting.tell(MINUTE)
    counting.accept(readings=1, took_s=0.01, in_hand=1)
    counting.tell(MINUTE)

    assert told() == {MINUTE: (4, 25, 2)}


@pytest.mark.django_db(transaction=True)
def test_processes_that_tell_at_once_lose_nothing():
    tallies = [tally_of(posts=number, readings=1) for number in range(1, 9)]

    assert at_once(*(lambda each=each: each.tell(MINUTE) for each in tallies)) == [None] * 8
    assert told() == {MINUTE: (36, 8, 0)}


@pytest.mark.django_db
def test_old_minutes_are_forgotten():
    now = timezone.now()
    tally_of(posts=1).tell(now - IngestMinute.KEPT - timedelta(minutes=2))
    tally_of(posts=2).tell(now)
    purge_ingest_minutes()

    assert [row.posts for row in minutes()] == [2]


@pytest.mark.django_db(transaction=True)
def test_the_server_tells_what_it_took_and_what_it_refused_at_its_end_at_the_latest():
    whitelist(mac=GATEWAY, secret=KEY, at=at(NOW - 60))
    good = body_of({TAG: tag(timestamp=None), str(Mac(7)): tag(DF5, timestamp=None)})
    stranger = body_of({TAG: tag()}, gw_mac=str(Mac(9)))
    INGEST.tell(timezone.now())  # what other tests left
    IngestMinute.objects.all().delete()
    with AsgiServer() as FastLaneClient.server:
        client = FastLaneClient()

        def post(body):
            signature = sign(body, KEY)
            headers = {"ruuvi-hmac-sha256": signature}
            return client.post("/record", body, "application/json", headers=headers).status_code

        statuses = [post(body) for body in (good, good, stranger, b"{", b"x" * 1_100_000)]

    assert statuses == [200, 200, 403, 400, 413]
    assert [sum(column) for column in zip(*told().values(), strict=True)] == [2, 4, 3]
