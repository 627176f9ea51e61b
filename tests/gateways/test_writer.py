"""The group commit: what is acknowledged is there, and nobody suffers for a neighbour."""

import asyncio
import threading
import time
from contextlib import contextmanager
from functools import partial

import pytest
from django.conf import settings
from django.db import connection, transaction

from gateways import writer as writing
from gateways.fast_lane import FastLane
from gateways.models import Gateway
from gateways.record import QueueFull, Request, refusal
from gateways.services import whitelist
from gateways.shaping import Batch, Post
from gateways.signature import sign
from gateways.writer import Unavailable, Writer
from ruuvinet.lib.mac import Mac
from sensors.models import Latest, Measurement
from sensors.services import Reception
from tests.gateways.conftest import ADDRESS, DF5, GATEWAY, KEY, NOW, TAG, at, body_of, tag
from tests.threads import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]


class ObservedWriter(Writer):
    """Warm when made; written to from threads; says when it has taken its first batch."""

    def __init__(self, **options) -> None:
        self.taken, self._warm = threading.Event(), threading.Event()
        super().__init__(**options)
        assert self._warm.wait(20)

    def _take(self):
        self._warm.set()
        return super()._take()

    def write(self, post):
        asyncio.run(super().write(post))

    def _commit(self, batch):
        self.taken.set()
        return super()._commit(batch)


@pytest.fixture
def woken():
    return []


@pytest.fixture
def writer(woken):
    running = ObservedWriter(woken=woken.extend)
    yield running
    running.close()


def post_of(*sensors: int, gateway: Mac = GATEWAY, measured_at: int = NOW) -> Post:
    receptions = {
        sensor: Reception(sensor, measured_at, int(gateway), -70, bytes.fromhex(DF5))
        for sensor in sensors
    }
    return Post(gateway, ADDRESS, at(NOW), Batch(receptions))


@contextmanager
def database_busy():
    """Nobody else can write while this lasts."""
    taken, done = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic(), connection.cursor() as cursor:
            if settings.EMBEDDED_DATABASE:
                Gateway.objects.update(bad_tags=0)
            else:
                cursor.execute("LOCK TABLE sensors_measurement IN ACCESS EXCLUSIVE MODE")
            taken.set()
            done.wait(20)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(20)
    try:
        yield
    finally:
        done.set()
        thread.join()


def waiting_posts(writer: ObservedWriter, count: int) -> list[threading.Thread]:
    """Threads with a post each, of which the writer has taken the first and the others wait."""
    threads = [threading.Thread(target=writer.write, args=[post_of(n)]) for n in range(count)]
    threads[0].start()
    assert writer.taken.wait(20)
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: writer._queue.qsize() == count - 1)
    return threads


def wait_until(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_was_written_is_there(writer):
    writer.write(post_of(1, 2, 3))

    assert Measurement.objects.count() == 3


def test_gateway_is_noted_in_the_same_commit(writer):
    whitelist(mac=GATEWAY, secret=KEY, at=at(NOW - 60))
    writer.write(post_of(1))

    assert Gateway.objects.get().last_seen_at == at(NOW)


def test_workers_hear_of_the_sensors_after_the_commit(writer, woken):
    writer.write(post_of(5))
    wait_until(lambda: woken)

    assert woken == [Mac(5)]


def test_half_of_the_posts_on_their_way_share_a_transaction(writer, monkeypatch):
    sizes = []

    def commit(posts, *more, real=writing.commit):
        sizes.append(len(posts))
        return real(posts, *more)

    whitelist(mac=GATEWAY, secret=KEY, at=at(NOW - 60))
    monkeypatch.setattr(writing, "commit", commit)
    with database_busy():
        threads = waiting_posts(writer, 20)
    for thread in threads:
        thread.join()

    assert sizes == [1, 10, 9]  # of 20 half, then of those 10 that are told and the 9 that wait
    assert Latest.objects.count() == 20


def test_threads_find_what_they_were_told_is_committed(writer):
    def write_and_look(sensor):
        writer.write(post_of(sensor))
        return Measurement.objects.filter(sensor=sensor).exists()

    assert all(at_once(*[partial(write_and_look, sensor) for sensor in range(1, 13)]))


def test_newest_of_one_sensor_in_a_shared_transaction_is_the_latest(writer):
    posts = [post_of(1, measured_at=NOW - age) for age in (5, 0, 9, 3)]
    at_once(*[partial(writer.write, post) for post in posts])

    assert Latest.objects.get().measured_at == NOW


def test_a_poisonous_post_costs_its_neighbours_nothing(writer):
    poison = post_of(2**70)  # no database has room for such a number

    def write(post):
        try:
            writer.write(post)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the answer
            return error
        return None

    jobs = [partial(write, post) for post in [post_of(1), poison, post_of(2), post_of(3)]]
    assert [outcome is None for outcome in at_once(*jobs)] == [True, False, True, True]
    assert Latest.objects.count() == 3


def test_the_thread_survives_a_poisonous_post(writer):
    with pytest.raises(Exception):  # noqa: B017, PT011  # which one depends on the database
        writer.write(post_of(2**70))
    writer.write(post_of(1))

    assert Latest.objects.count() == 1


def test_a_post_more_than_may_be_in_hand_is_refused_at_once():
    whitelist(mac=GATEWAY, secret=KEY, at=at(NOW - 60))
    bodies = [body_of({TAG: tag()}, timestamp=NOW - age) for age in range(3)]

    async def post_all() -> list[int]:
        lane = FastLane(queue_limit=2, woken=lambda sensors: None)
        posts = [
            asyncio.ensure_future(
                lane.record(Request(body, {"ruuvi-hmac-sha256": sign(body, KEY)}, at(NOW), ADDRESS))
            )
            for body in bodies
        ]
        with database_busy():
            refused = await posts[2]
            assert not posts[0].done()
            assert not posts[1].done()
        taken = await asyncio.gather(*posts[:2])
        await asyncio.to_thread(lane.close)
        return [reply.status for reply in [*taken, refused]]

    assert asyncio.run(post_all()) == [200, 200, 429]
    assert Latest.objects.count() == 1


def test_closing_commits_what_waits_and_refuses_the_rest(woken):
    whitelist(mac=GATEWAY, secret=KEY, at=at(NOW - 60))
    writer = ObservedWriter(woken=woken.extend)
    with database_busy():
        threads = waiting_posts(writer, 8)
        closing = threading.Thread(target=writer.close)
        closing.start()
        wait_until(lambda: writer._closed)
        with pytest.raises(Unavailable):
            writer.write(post_of(99))
    for thread in [*threads, closing]:
        thread.join()

    assert Latest.objects.count() == 8
    assert not writer._thread.is_alive()


def test_a_connection_that_was_lost_costs_nothing(writer):
    writer.write(post_of(1))
    if not settings.EMBEDDED_DATABASE:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid != pg_backend_pid()"
            )
    writer.write(post_of(2))

    assert Latest.objects.count() == 2


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(QueueFull(), 429, "ER_THROTTLED"), (Unavailable(), 503, "ER_INTERNAL")],
)
def test_a_gateway_is_told_why_its_post_was_not_taken(error, status, code):
    reply = refusal(error)

    assert reply.status == status
    assert code.encode() in reply.body


def test_many_posts_of_one_event_loop_are_all_answered(writer):
    async def write_all():
        await asyncio.gather(*[Writer.write(writer, post_of(n)) for n in range(50)])

    asyncio.run(write_all())

    assert Latest.objects.count() == 50


def test_who_does_not_wait_any_more_harms_nobody(writer):
    async def give_up_early():
        with database_busy():
            waiting = asyncio.ensure_future(Writer.write(writer, post_of(1)))
            await asyncio.sleep(0.05)
            waiting.cancel()
        await Writer.write(writer, post_of(2))

    asyncio.run(give_up_early())

    assert Latest.objects.filter(sensor=2).exists()
