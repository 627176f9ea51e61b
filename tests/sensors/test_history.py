"""`/get`: pages of history in one order, as far as the owner's plan allows."""

import random
from itertools import pairwise

import pytest

from sensors.history import BLOCK, thinned
from sensors.models import Access, Measurement, Sensor, SparseMeasurement
from sensors.services import Reception, store
from tests.sensors.conftest import DF5, GATEWAY, NOW, PORCH, refused

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
DAY = 86400


@pytest.fixture
def get(signed_in, alice):
    """A page of the porch's history, as a list of times."""
    client = signed_in(alice)

    def get(**query):
        reply = client.get("/get", {"sensor": str(PORCH), **query})
        assert reply.status_code == 200, reply.content
        data = reply.json()["data"]
        assert data["total"] == len(data["measurements"])
        return [m["timestamp"] for m in data["measurements"]]

    return get


@pytest.fixture
def past(porch):
    """Store a past of the porch; returns the times of dense and of sparse history.

    Of dense history everything before `dense_from` was dropped.
    """

    def past(times, *, dense_from=0):
        Measurement.objects.all().delete()
        SparseMeasurement.objects.all().delete()
        store([Reception(int(PORCH), time, int(GATEWAY), -76, DF5) for time in times])
        Measurement.objects.filter(slot__lt=dense_from).delete()
        return tuple(
            list(table.objects.order_by("slot").values_list("measured_at", flat=True))
            for table in (Measurement, SparseMeasurement)
        )

    return past


def jittered(start: int, end: int, step: int) -> list[int]:
    shake = random.Random(7)
    return [time + shake.randrange(step // 2) for time in range(start, end, step)]


class TestModes:
    @pytest.fixture
    def stores(self, past):
        return past(jittered(NOW - 2 * DAY, NOW - 5, 240), dense_from=(NOW - DAY) // 60 * 60)

    def test_dense_is_what_is_densest(self, get, stores):
        assert get(mode="dense", sort="asc") == stores[0]

    def test_sparse_goes_further_back(self, get, stores):
        assert get(mode="sparse", sort="asc") == stores[1]

    def test_mixed_is_dense_and_before_it_sparse(self, get, stores):
        dense, sparse = stores
        expected = [time for time in sparse if time < dense[0]] + dense
        assert 50 < len(expected) - len(dense) < 100
        assert get(sort="asc") == expected
        assert get() == expected[::-1]

    @pytest.mark.parametrize("mode", ["dense", "sparse", "mixed"])
    @pytest.mark.parametrize("sort", ["asc", "desc"])
    def test_bounds_and_limit_hold_for_the_result(self, get, stores, mode, sort):
        whole = get(mode=mode, sort=sort)
        around = whole[len(whole) // 3]
        for since, until, limit in [
            (around, NOW, 7), (0, around, 7), (around - DAY // 2, around + DAY // 2, 999),
            (around, around, 5), (around + 1, around + 1, 5), (whole[-1], whole[-1], 1),
        ]:  # fmt: skip
            inside = [time for time in whole if since <= time <= until]
            page = get(mode=mode, sort=sort, since=since, until=until, limit=limit)
            assert page == inside[:limit]

    def test_where_there_is_no_dense_history_sparse_is_all(self, get, stores):
        Measurement.objects.all().delete()
        assert get(sort="asc") == stores[1]

    def test_another_sensors_history_is_not_in_between(self, get, stores):
        before = get()
        store([Reception(7, NOW - 9, int(GATEWAY), -76, DF5)])
        assert get() == before


class TestPaging:
    """As the apps do it."""

    @pytest.fixture
    def times(self, past):
        dense, sparse = past(jittered(NOW - DAY, NOW, 300), dense_from=(NOW - DAY // 2) // 60 * 60)
        return [time for time in sparse if time < dense[0]] + dense

    def test_web_goes_back_from_the_oldest(self, get, times):
        found, page = [], get(limit=50)
        while page:
            found += [time for time in page if time not in found]
            page = get(limit=50, until=page[-1]) if len(page) == 50 else []
        assert found == times[::-1]

    def test_android_goes_on_after_the_newest(self, get, times):
        found, page = [], get(limit=50, sort="asc", since=1)
        while page:
            found += page
            page = get(limit=50, sort="asc", since=page[-1] + 1)
        assert found == times

    def test_ios_goes_on_from_the_newest_with_a_fraction(self, get, times):
        found, page = [], get(limit=50, sort="asc", since="0.0")
        while len(page) > 1:
            found += page[:-1]
            page = get(limit=50, sort="asc", since=f"{page[-1]}.123")
        assert found + page == times


class TestPlan:
    def test_history_days_are_the_owners(self, get, past, plan, alice, bob, signed_in):
        times, _ = past([NOW - 3 * DAY, NOW - 2 * DAY, NOW - 2 * DAY + 100, NOW - 60])
        Access.objects.create(user=bob, sensor_id=PORCH)
        plan(alice, max_history_days=2)
        plan(bob, max_history_days=0)
        assert get() == times[:0:-1]
        reply = signed_in(bob).get("/get", {"sensor": str(PORCH)})
        assert reply.json()["data"]["total"] == 3

    def test_no_days_are_no_history(self, get, past, plan, alice):
        past([NOW - 60])
        plan(alice, max_history_days=0)
        assert get() == []

    @pytest.mark.parametrize("minutes", [2, 5, 15, 60])
    @pytest.mark.parametrize("sort", ["asc", "desc"])
    def test_neighbours_are_as_far_apart_as_the_plan_says(
        self, get, past, plan, alice, minutes, sort
    ):
        past(jittered(NOW - 2 * DAY, NOW, 90), dense_from=(NOW - DAY) // 60 * 60)
        plan(alice, max_resolution_minutes=minutes)
        whole = get(sort=sort)
        gaps = [abs(b - a) for a, b in pairwise(whole)]
        assert min(gaps) >= minutes * 60
        # And not much further: 90 seconds of the sensor's own step, a quarter of an hour if sparse.
        dense = [g for g, t in zip(gaps, whole, strict=False) if t > NOW - DAY + 9000]
        assert sorted(dense)[len(dense) // 2] <= minutes * 60 + (90 if minutes < 30 else 900)

    def test_thinning_comes_before_the_limit(self, get, past, plan, alice):
        past(range(NOW - DAY, NOW, 60))
        plan(alice, max_resolution_minutes=10)
        assert [len(get(limit=40, sort=sort)) for sort in ("asc", "desc")] == [40, 40]

    @pytest.mark.parametrize("minutes", [2, 7, 45])
    def test_pages_are_cut_from_the_same_rows(self, get, past, plan, alice, minutes):
        past(jittered(NOW - DAY, NOW, 70))
        plan(alice, max_resolution_minutes=minutes)
        whole = get(sort="asc")
        assert len(whole) > 15
        assert get(sort="desc") == whole[::-1]
        for number in range(0, len(whole) - 5, max(5, len(whole) // 15)):
            since, until = whole[number] + 1, whole[number + 5]
            assert get(since=since, until=until) == whole[number + 1 : number + 6][::-1]
            assert get(since=since, sort="asc", limit=3) == whole[number + 1 : number + 4]
            assert get(until=until, limit=3) == whole[number + 3 : number + 6][::-1]

    def test_a_resolution_that_storage_has_anyway_costs_nothing(self, get, past, plan, alice):
        times, _ = past([NOW - 121, NOW - 65, NOW - 1])
        plan(alice, max_resolution_minutes=1)
        assert get() == times[::-1]

    def test_a_row_stays_whatever_comes_later(self):
        rows = [(time, 0, 0, b"") for time in jittered(0, 3 * BLOCK * 120, 61)]
        whole = thinned(rows, 120)
        for end in range(0, len(rows), 37):
            assert thinned(rows[:end], 120) == [r for r in whole if r in rows[:end]]


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ({"sort": "up"}, "ER_INVALID_SORT_MODE"),
            ({"mode": "all"}, "ER_INVALID_DENSITY_MODE"),
            ({"since": NOW, "until": NOW - 1}, "ER_INVALID_TIME_RANGE"),
            ({"since": NOW + 301}, "ER_INVALID_TIME_RANGE"),
            ({"sensor": ""}, "ER_INVALID_FORMAT"),
            ({"sensor": "porch"}, "ER_INVALID_FORMAT"),
            ({"sensor": "F4:1F:0C:28:CB:D6\x00"}, "ER_INVALID_FORMAT"),
        ],
    )
    def test_nonsense_is_refused(self, porch, alice, signed_in, query, code):
        assert refused(signed_in(alice).get("/get", {"sensor": str(PORCH), **query}), 400, code)

    def test_a_sensor_must_be_named(self, alice, signed_in):
        reply = signed_in(alice).get("/get")
        assert refused(reply, 400, "ER_INVALID_FORMAT", "Invalid request format.")

    @pytest.mark.parametrize("nothing", ["", "0", "soon", "nan", "inf", "-inf", "1e400", "12x"])
    def test_what_is_no_number_is_absent(self, porch, get, nothing):
        assert get(since=nothing, until=nothing, limit=nothing) == [NOW - 60]

    @pytest.mark.parametrize("limit", ["-1", "1e99", "100000", "5000.7"])
    def test_odd_limits_are_bounded(self, porch, get, limit):
        assert get(limit=limit) == [NOW - 60]

    def test_a_page_has_five_thousand_rows_at_most(self, get, past):
        Measurement.objects.bulk_create(
            Measurement(
                sensor=PORCH, slot=NOW // 60 * 60 - 60 * n, measured_at=NOW // 60 * 60 - 60 * n,
                gateway=GATEWAY, rssi_dbm=-70, payload=DF5,
            )
            for n in range(2, 5100)
        )  # fmt: skip
        assert len(get(limit=100_000)) == 5000
        assert len(get()) == 5000

    def test_huge_bounds_are_harmless(self, porch, get):
        assert get(since=-(10**30), until=10**30) == [NOW - 60]

    def test_what_a_fast_clock_measured_is_there(self, porch, get, hear):
        hear(NOW + 100)
        assert get() == [NOW + 100, NOW - 60]

    def test_an_app_may_go_on_from_there(self, porch, get, hear):
        hear(NOW + 100)
        assert get(since=NOW + 1, sort="asc") == [NOW + 100]
        assert get(since=NOW + 101, sort="asc") == []


class TestReaders:
    def get(self, client):
        return client.get("/get", {"sensor": "f4-1f-0c-28-cb-d6"})

    def test_a_sharee_reads_under_a_name_of_his_own(self, shared_porch, bob, signed_in):
        Access.objects.filter(user=bob).update(name="Mine", picture="x.png")
        data = self.get(signed_in(bob)).json()["data"]
        assert (data["sensor"], data["name"], data["picture"]) == (str(PORCH), "Mine", "x.png")
        assert (data["public"], data["total"]) == (0, 1)

    def test_a_public_sensor_is_everybodys_to_read(self, porch, charlie, signed_in):
        Sensor.objects.update(public=True)
        data = self.get(signed_in(charlie)).json()["data"]
        assert (data["name"], data["public"], data["total"]) == ("Porch", 1, 1)

    def test_other_sensors_are_not(self, porch, charlie, signed_in):
        assert refused(self.get(signed_in(charlie)), 403, "ER_FORBIDDEN", "Forbidden.")

    def test_nor_what_nobody_owns(self, charlie, hear, now, signed_in):
        hear(NOW)
        Sensor.objects.create(mac=PORCH, public=True)
        assert refused(self.get(signed_in(charlie)), 403, "ER_FORBIDDEN")

    def test_it_costs_four_queries(self, shared_porch, bob, signed_in, django_assert_num_queries):
        client = signed_in(bob)
        self.get(client)  # the quota is remembered for a minute
        with django_assert_num_queries(4):
            assert self.get(client).json()["data"]["total"] == 1

    def test_bytes_that_no_decoder_knows_are_given_back(self, porch, alice, signed_in):
        store([Reception(int(PORCH), NOW, int(GATEWAY), -76, b"\x02\x01\x06\xab")])
        (newest, _) = self.get(signed_in(alice)).json()["data"]["measurements"]
        assert newest["data"] == "020106AB"
