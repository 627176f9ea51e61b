"""A closed partition is put in order while everybody goes on (PostgreSQL only)."""

import random
import signal
import sys
import threading
import time
from functools import partial

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from ruuvinet.lib.mac import Mac
from sensors import partitions, rewriting
from sensors.models import Measurement
from sensors.partitions import LockNotGranted, Partition
from sensors.rewriting import alone, rewrite
from tests.ruuvinet.program import Program
from tests.sensors.aged import (
    AGO,
    DF5,
    fill,
    fresh_partitions,
    keys,
    partition_at,
    stored,
)
from tests.sensors.databases import environment_of_this_database
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

SENSORS = range(1, 41)
TIMES = range(AGO, AGO + 50 * 60, 60)


@pytest.fixture
def scattered() -> Partition:
    """A closed partition with the readings in the order in which they came."""
    fresh_partitions()
    fill(SENSORS, TIMES)
    return partition_at(AGO)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(partitions, "PAUSES_S", ())


def physical_order(name):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT sensor, slot FROM {name} ORDER BY ctid")
        return cursor.fetchall()


def row(sensor, at):
    return Measurement(
        sensor=Mac(sensor), slot=at, measured_at=at, gateway=Mac(9), rssi_dbm=-70, payload=DF5
    )


def leftovers():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^sensors_.*_(copy|changes)$' "
            "UNION ALL SELECT proname FROM pg_proc WHERE proname ~ '^sensors_.*_note$' "
            "UNION ALL SELECT tgname FROM pg_trigger WHERE tgname = 'note'"
        )
        return cursor.fetchall()


def test_rewritten_rows_lie_in_the_order_of_their_key(scattered):
    before = list(Measurement.objects.order_by("pk").values())
    assert physical_order(scattered.name) != sorted(physical_order(scattered.name))

    with alone():
        rewrite(scattered)
    assert physical_order(scattered.name) == sorted(physical_order(scattered.name))
    assert list(Measurement.objects.order_by("pk").values()) == before
    assert leftovers() == []


def test_rewritten_partition_is_known_as_such_and_keeps_its_bounds(scattered):
    assert not scattered.is_ordered
    with alone():
        rewrite(scattered)
    after = partition_at(AGO)

    assert after.is_ordered
    assert after[:4] == scattered[:4]
    assert after.rows == len(SENSORS) * len(TIMES)


def test_rewritten_partition_still_takes_each_key_once(scattered):
    with alone():
        rewrite(scattered)
    fill(SENSORS, [AGO, AGO + 6000])

    assert stored() == keys(SENSORS, [*TIMES, AGO + 6000])
    with pytest.raises(IntegrityError), transaction.atomic():
        row(1, AGO).save(force_insert=True)


def test_partition_that_grew_again_is_not_in_order_any_more(scattered):
    with alone():
        rewrite(scattered)
    fill(range(1, 200), range(AGO + 6000, AGO + 9000, 60))

    assert not partition_at(AGO).is_ordered


def test_what_changes_between_copy_and_swap_is_in_the_result(scattered):
    def step(name):
        if name.endswith("swap"):
            fill([7, 99], [AGO + 7200])
            Measurement.objects.filter(sensor=Mac(3)).delete()
            Measurement.objects.filter(sensor=Mac(4)).delete()
            fill([4], [AGO])

    with alone():
        rewrite(scattered, step)
    expected = set(keys(SENSORS, TIMES)) - set(keys([3, 4], TIMES))
    assert stored() == sorted(expected | set(keys([7, 99], [AGO + 7200])) | set(keys([4], [AGO])))


def test_nothing_is_lost_while_it_is_written_to(scattered):
    """Late readings and deletions come all the time; each must count exactly once."""
    done = threading.Event()
    fill(range(100, 130), TIMES)

    def write(first):
        written = []
        for at in range(AGO + 10_000, AGO + 90_000, 60):
            if done.is_set():
                break
            fill([first, first + 1], [at])
            written += keys([first, first + 1], [at])
        return written

    def delete():
        gone = []
        for sensor in range(100, 130):
            Measurement.objects.filter(sensor=Mac(sensor)).delete()
            gone += keys([sensor], TIMES)
            time.sleep(0.01)
        return gone

    def run():
        try:
            for _ in range(4):
                with alone():
                    rewrite(partition_at(AGO))
        finally:
            done.set()

    *written, gone, _ = at_once(*(partial(write, first) for first in (1, 200, 300)), delete, run)
    everything = set(keys([*SENSORS, *range(100, 130)], TIMES)).union(*written)
    assert stored() == sorted(everything - set(gone))
    assert all(len(each) > 20 for each in written)


def test_reader_who_stays_puts_it_off_and_loses_nothing(scattered, impatient):
    release, reading = threading.Event(), threading.Event()

    def read():
        with transaction.atomic():
            assert Measurement.objects.filter(slot=AGO).count() == len(SENSORS)
            reading.set()
            release.wait(30)

    def run():
        reading.wait(30)
        try:
            with alone(), pytest.raises(LockNotGranted):
                rewrite(scattered)
            fill([1], [AGO + 9000])  # nobody waits for the reader
        finally:
            release.set()

    at_once(read, run)
    with alone():
        rewrite(scattered)
    assert stored() == sorted(keys(SENSORS, TIMES) + keys([1], [AGO + 9000]))


def test_failure_leaves_neither_a_copy_nor_a_trigger(scattered):
    """A full disk, say; here a name is taken."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SEQUENCE {scattered.name}_copy_pkey")
        with alone(), pytest.raises(DatabaseError):
            rewrite(scattered)
        cursor.execute(f"DROP SEQUENCE {scattered.name}_copy_pkey")
    fill([1], [AGO + 9000])

    assert stored() == sorted(keys(SENSORS, TIMES) + keys([1], [AGO + 9000]))
    assert leftovers() == []


def test_leftovers_of_a_killed_run_are_cleared_away(scattered):
    rewriting._watch(scattered)
    rewriting._fill(scattered)
    fill([1], [AGO + 9000])
    assert len(leftovers()) == 4

    with alone() as is_alone:
        assert is_alone
        assert leftovers() == []
        rewrite(scattered)
    assert stored() == sorted(keys(SENSORS, TIMES) + keys([1], [AGO + 9000]))


def test_only_one_process_is_at_it():
    entered, release = threading.Event(), threading.Event()

    def first():
        with alone() as is_alone:
            entered.set()
            release.wait(30)
            return is_alone

    def second():
        entered.wait(30)
        with alone() as is_alone:
            release.set()
            return is_alone

    assert at_once(first, second) == [True, False]
    with alone() as is_alone:
        assert is_alone


@pytest.mark.slow
def test_killed_at_any_moment_it_loses_nothing_and_the_next_run_finishes():
    """`kill -9` amid real runs, with a writer who never stops; then one run to its end."""
    fresh_partitions()
    rows = [row(sensor, at) for at in range(AGO, AGO + 300 * 60, 60) for sensor in range(1, 301)]
    Measurement.objects.bulk_create(rows, batch_size=5000)
    stop, written = threading.Event(), []

    def write():
        for at in range(AGO + 50_000, AGO + 590_000, 60):
            if stop.is_set():
                return
            fill([1, 500], [at])
            written.extend(keys([1, 500], [at]))
            time.sleep(0.002)

    command = [sys.executable, "manage.py", "history", "--tidy"]
    kept = {"DENSE_RETENTION_DAYS": "36500", "SPARSE_RETENTION_DAYS": "36500"}
    environment = environment_of_this_database() | kept

    def run():
        try:
            chance, met = random.Random(8), 0
            for _ in range(40):
                with Program(command, env=environment) as program:
                    deadline = time.monotonic() + 30
                    while not leftovers() and time.monotonic() < deadline:
                        if program.process.poll() is not None:
                            break
                        time.sleep(0.005)
                    time.sleep(chance.uniform(0, 0.5))
                    program.end(signal.SIGKILL)
                met += bool(leftovers())
                if met >= 4:
                    break
            with Program(command, env=environment) as program:
                assert program.end() == 0, program.output
            return met
        finally:
            stop.set()

    _, met = at_once(write, run)
    assert met >= 3, "no kill came in the middle"
    assert stored() == sorted([(r.sensor, r.slot) for r in rows] + written)
    assert leftovers() == []
