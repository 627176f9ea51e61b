"""Old history is deleted without keeping the write lock (SQLite only)."""

import sys
import threading
import time

import pytest
from django.db import connection

from sensors import purge as purging
from sensors.models import Measurement
from sensors.purge import AIM_S, LARGEST, MOST_S, SMALLEST, purge
from tests.ruuvinet.program import Program
from tests.sensors.aged import AGO, fill, keys, stored
from tests.sensors.databases import environment_of_this_database
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

SENSORS = [3, 5, 2**47]
TIMES = range(AGO, AGO + 200 * 60, 60)
BEFORE = AGO + 150 * 60


def test_old_rows_go_and_all_others_stay():
    fill(SENSORS, TIMES)
    fill([4], TIMES[180:])  # nothing of it is old
    pieces = list(purge("sensors_measurement", BEFORE))

    assert stored() == sorted(keys(SENSORS, TIMES[150:]) + keys([4], TIMES[180:]))
    assert sum(piece.rows for piece in pieces) == 150 * len(SENSORS)


def test_nothing_old_is_nothing_done():
    assert list(purge("sensors_measurement", BEFORE)) == []
    fill(SENSORS, TIMES)
    assert list(purge("sensors_measurement", AGO)) == []


def test_one_piece_takes_few_rows_of_many_sensors():
    fill(range(1, 60), TIMES[:2])
    pieces = list(purge("sensors_measurement", BEFORE))

    assert stored() == []
    assert len(pieces) < 8
    assert pieces[0].rows == SMALLEST


def test_stopped_in_the_middle_it_goes_on_next_time():
    fill(SENSORS, TIMES)
    deleting = purge("sensors_measurement", BEFORE)
    first = next(deleting)
    deleting.close()
    rest = list(purge("sensors_measurement", BEFORE))

    assert first.rows + sum(piece.rows for piece in rest) == 150 * len(SENSORS)


@pytest.mark.parametrize(
    ("size", "held_s", "following"),
    [
        (100, AIM_S, 100),
        (100, AIM_S / 10, 150),
        (100, AIM_S * 2, 50),
        (100, 0.0, 150),
        (SMALLEST, 9.0, SMALLEST),
        (LARGEST, 0.001, LARGEST),
    ],
)
def test_the_next_piece_is_as_large_as_the_last_one_was_quick(size, held_s, following):
    assert purging._next_size(size, held_s) == following


def test_nobody_else_writes_in_between(monkeypatch):
    """What is read before the lock may be gone by then, or there may be more: both are right."""
    fill(SENSORS, TIMES)
    delete = purging._delete

    def others_first(table, piece):
        Measurement.objects.filter(sensor=5).delete()
        fill([3], [AGO - 6000])
        return delete(table, piece)

    monkeypatch.setattr(purging, "_delete", others_first)
    list(purge("sensors_measurement", BEFORE))
    monkeypatch.undo()
    list(purge("sensors_measurement", BEFORE))
    assert stored() == keys([3, 2**47], TIMES[150:])


@pytest.mark.slow
def test_writers_are_not_kept_waiting():
    """Another process deletes half a million rows while this one writes, as the web server does."""
    for start in range(0, 5000, 500):
        fill(range(1, 101), range(AGO + start * 60, AGO + (start + 500) * 60, 60))
    command = [sys.executable, "manage.py", "history", "--tidy"]
    stop, waits = threading.Event(), []

    def write():
        at = int(time.time())
        while not stop.is_set():
            at += 60
            start = time.perf_counter()
            fill(range(1, 25), [at])
            waits.append(time.perf_counter() - start)
            time.sleep(0.005)

    def run():
        try:
            with Program(command, env=environment_of_this_database()) as program:
                assert program.end() == 0, program.output
            return program.find(r"deleted ([\d,]+) rows.* for (\d+) ms at most")[0]
        finally:
            stop.set()

    _, told = at_once(write, run)
    waits.sort()
    assert int(told[1].replace(",", "")) >= 500_000
    # The kernel may take the core away from whoever holds the lock: so not every single one.
    assert waits[len(waits) * 95 // 100] < 2 * MOST_S
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sensors_measurement WHERE slot < %s", [AGO * 1.01])
        assert cursor.fetchone() == (0,)
    print(f"lock held {told[2]} ms at most; slowest write {waits[-1] * 1000:.0f} ms")  # noqa: T201
