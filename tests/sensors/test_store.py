"""`store()`: once is enough, whoever calls it how often, and at the same time."""

import psycopg
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from ruuvinet.lib.mac import Mac
from sensors.models import Latest, Measurement, Sensor, SparseMeasurement
from sensors.partitions import ensure_partitions
from sensors.services import Reception, SensorTaken, claim_sensor, store
from sensors.storage import SparseSlots
from tests.threads import at_once

NOW = 1775069475  # 2026-04-01 18:51:15 UTC; Unix seconds
DF5 = bytes.fromhex("0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6")
FOREIGN = bytes.fromhex("02011A0BFF4C001006131AAB12CD34")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        ensure_partitions(NOW)


def heard(sensor=1, at=NOW, gateway=9, rssi_dbm=-70, payload=DF5) -> Reception:
    return Reception(sensor, at, gateway, rssi_dbm, payload)


def everything() -> tuple[list, list, list]:
    """All rows of dense, sparse and latest, each in the order of the key."""
    models = (Measurement, SparseMeasurement, Latest)
    return tuple(
        [{**row, "payload": bytes(row["payload"])} for row in model.objects.order_by("pk").values()]
        for model in models
    )


@pytest.mark.django_db
class TestOnce:
    def test_nothing_is_stored_of_nothing(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert store([]) == []

    def test_kept_sensors_are_told_in_order(self):
        assert store([heard(3), heard(1), heard(2)]) == [Mac(1), Mac(2), Mac(3)]

    def test_sensor_left_out_is_not_told(self):
        assert store([heard(1), heard(2, payload=FOREIGN)]) == [Mac(1)]

    @pytest.mark.storage
    def test_same_receptions_again_change_nothing(self):
        receptions = [heard(1), heard(2, at=NOW - 100)]
        store(receptions)
        before = everything()

        store(receptions)
        assert everything() == before
        assert [len(rows) for rows in before] == [2, 2, 2]

    @pytest.mark.storage
    def test_largest_mac_and_payload_fit(self):
        store([heard(2**48 - 1, gateway=2**48 - 1, rssi_dbm=-128, payload=DF5 + bytes(993))])

        row = Measurement.objects.get()
        assert (row.sensor, row.gateway) == (Mac(2**48 - 1), Mac(2**48 - 1))
        assert (row.rssi_dbm, len(row.payload)) == (-128, 1024)

    def test_latest_knows_the_format(self):
        Sensor.objects.create(mac=Mac(2))
        store([heard(1), heard(2, payload=FOREIGN)])

        formats = Latest.objects.order_by("sensor").values_list("data_format", flat=True)
        assert list(formats) == [5, None]

    @pytest.mark.storage
    def test_history_comes_back_in_order_of_time(self):
        times = [NOW - 60 * minute for minute in (3, 1, 40, 2, 0)]
        for at in times:
            store([heard(at=at), heard(2, at=at)])

        dense = Measurement.objects.filter(sensor=Mac(1)).order_by("slot")
        assert [row.measured_at for row in dense] == sorted(times)
        sparse = SparseMeasurement.objects.filter(sensor=Mac(1)).order_by("-slot")
        assert [row.slot for row in sparse] == [NOW // 900 * 900, NOW // 900 * 900 - 2700]

    def test_first_reading_of_a_slot_is_kept_even_when_it_is_not_the_oldest(self):
        minute = NOW // 60 * 60
        store([heard(at=minute + 30)])
        store([heard(at=minute + 10)])

        assert Measurement.objects.get().measured_at == minute + 30

    def test_equal_time_keeps_the_latest_as_it_is(self):
        store([heard(rssi_dbm=-50)])
        store([heard(rssi_dbm=-60, gateway=8)])

        assert Latest.objects.get().rssi_dbm == -50

    @pytest.mark.storage
    def test_nothing_remains_of_a_transaction_that_failed(self):
        @transaction.atomic
        def fail():
            store([heard()])
            raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert everything() == ([], [], [])


@pytest.fixture
def statements(monkeypatch):
    """How many statements the driver is given: those that do not pass Django's cursor too."""
    said = []
    if connection.vendor == "postgresql":
        execute = psycopg.Cursor.execute

        def spy(cursor, query, *args, **options):
            said.append(query)
            return execute(cursor, query, *args, **options)

        monkeypatch.setattr(psycopg.Cursor, "execute", spy)

    def statements(receptions):
        said.clear()
        if connection.vendor == "sqlite":
            connection.connection.set_trace_callback(said.append)
        store(receptions)
        if connection.vendor == "sqlite":
            connection.connection.set_trace_callback(None)
        return len(said)

    return statements


@pytest.mark.storage
@pytest.mark.django_db
def test_statements_do_not_grow_with_readings(statements):
    counts = [statements([heard(s, at=NOW + n) for s in range(1, n + 1)]) for n in (1, 50, 500)]

    assert counts == [3, 3, 3]


@pytest.mark.storage
@pytest.mark.django_db
class TestKnownSlots:
    """A writer remembers which sparse slots are taken, and only what is committed."""

    def sparse(self) -> list[int]:
        return list(SparseMeasurement.objects.values_list("slot", flat=True).order_by("slot"))

    def test_a_slot_that_is_known_is_not_asked_for(self):
        slots = SparseSlots()
        store([heard()], slots)
        slots.committed()
        SparseMeasurement.objects.all().delete()

        store([heard(at=NOW + 60)], slots)

        assert self.sparse() == []
        assert Measurement.objects.count() == 2

    def test_the_next_slot_is_taken(self):
        slots = SparseSlots()
        for at in (NOW, NOW + 900):
            store([heard(at=at)], slots)
            slots.committed()

        assert len(self.sparse()) == 2

    def test_a_slot_whose_transaction_failed_is_taken_by_the_next(self):
        slots = SparseSlots()

        def fail():
            with transaction.atomic():
                store([heard()], slots)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        store([], slots)  # a post without tags
        slots.committed()
        store([heard(2)], slots)
        slots.committed()
        store([heard()], slots)

        assert SparseMeasurement.objects.filter(sensor=1).count() == 1


class TestAnyOrder(TestCase):
    """What is in the database does not depend on what came twice."""

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.lists(
            st.dictionaries(st.integers(1, 3), st.integers(NOW - 200, NOW), max_size=3), max_size=5
        ),
        st.data(),
    )
    def test_repetition_changes_nothing(self, batches, data):
        def run(batch):
            store([heard(sensor, at=at) for sensor, at in batch.items()])

        for batch in batches:
            run(batch)
        before = everything()
        for batch in data.draw(st.permutations(batches)):
            run(batch)

        assert everything() == before
        newest = {s: max(b[s] for b in batches if s in b) for b in batches for s in b}
        assert {row["sensor"]: row["measured_at"] for row in before[2]} == newest


@pytest.mark.storage
@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    THREADS = 8

    def test_same_receptions_from_many_threads_are_one_row_each(self):
        receptions = [heard(sensor) for sensor in range(1, 25)]

        def job():
            with transaction.atomic():
                return store(receptions)

        assert at_once(*[job] * self.THREADS) == [[Mac(r.sensor) for r in receptions]] * 8
        assert [len(rows) for rows in everything()] == [24, 24, 24]

    def test_opposite_orders_do_not_deadlock(self):
        def job(receptions):
            def run():
                for _ in range(5):
                    with transaction.atomic():
                        store(receptions)

            return run

        receptions = [heard(sensor) for sensor in range(1, 25)]
        at_once(*[job(receptions), job(receptions[::-1])] * (self.THREADS // 2))

        assert [len(rows) for rows in everything()] == [24, 24, 24]

    def test_newest_of_many_threads_is_the_latest(self):
        def job(second):
            def run():
                with transaction.atomic():
                    store([heard(at=NOW - second, gateway=second + 1)])

            return run

        at_once(*[job(second) for second in range(self.THREADS)])

        latest = Latest.objects.get()
        assert (latest.measured_at, latest.gateway) == (NOW, Mac(1))
        assert Measurement.objects.count() == 1

    def test_one_of_many_wins_a_sensor(self, django_user_model):
        people = [
            django_user_model.objects.create_user(email=f"p{number}@example.com")
            for number in range(self.THREADS)
        ]

        def job(user):
            def run():
                try:
                    return claim_sensor(user=user, mac=Mac(1))
                except SensorTaken:
                    return None

            return run

        winners = [sensor for sensor in at_once(*map(job, people)) if sensor]
        assert len(winners) == 1
        assert Sensor.objects.get().owner_id == winners[0].owner_id
