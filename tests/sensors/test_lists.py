"""`/sensors-dense`, `/sensors`, `/shared` and `/user`: what the apps show."""

import pytest

from alerts.models import AlertRule
from ruuvinet.lib.mac import Mac
from sensors.models import Access, PendingShare, Sensor, SensorSetting
from sensors.services import claim_sensor
from sensors.sharing import share_sensor
from tests.sensors.conftest import NOW, PORCH, at, refused

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
ALL = dict.fromkeys(("sharedToMe", "sharedToOthers", "measurements", "alerts", "settings"), "true")


@pytest.fixture
def dense(signed_in):
    def dense(user, **query):
        reply = signed_in(user).get("/sensors-dense", query)
        assert reply.status_code == 200, reply.content
        return reply.json()["data"]["sensors"]

    return dense


@pytest.fixture
def houseful(alice, bob, now, hear):
    """Makes sensors of alice's, each shared with bob, with everything that hangs on one."""

    def houseful(count: int, *, first: int = 1) -> None:
        for mac in map(Mac, range(first, first + count)):
            sensor = claim_sensor(user=alice, mac=mac, name=f"No. {int(mac)}", at=at(NOW - 60))
            hear(NOW - 30, mac=mac)
            share_sensor(user=alice, mac=mac, email=bob.email, at=at(NOW))
            share_sensor(user=alice, mac=mac, email="new@example.com", at=at(NOW))
            SensorSetting.objects.create(sensor=sensor, type="a", value="b", edited_at=at(NOW))
            for user in (alice, bob):
                AlertRule.objects.create(user=user, sensor=sensor, type="temperature", max=1)

    return houseful


class TestDense:
    def test_every_key_is_there_although_no_switch_is_on(self, porch, alice, dense):
        (item,) = dense(alice)
        assert item.pop("subscription")["subscriptionName"] == "RuuviNet"
        assert item == {
            "sensor": str(PORCH),
            "owner": "alice@example.com",
            "name": "Porch",
            "picture": "",
            "public": False,
            "canShare": True,
            "offsetTemperature": 0,
            "offsetHumidity": 0,
            "offsetPressure": 0,
            "measurements": [],
            "sharedTo": [],
            "sharedToPending": [],
            "alerts": [],
            "settings": {},
            "lastUpdated": NOW - 3600,
        }

    def test_the_switches_fill_them(self, shared_porch, alice, dense):
        share_sensor(user=alice, mac=PORCH, email="new@example.com", at=at(NOW))
        AlertRule.objects.create(user=alice, sensor=shared_porch, type="temperature", max=1)
        for type_, value in (("displayOrder", "[]"), ("description", "")):
            SensorSetting.objects.create(
                sensor=shared_porch, type=type_, value=value, edited_at=at(NOW - 7)
            )

        (item,) = dense(alice, **ALL)

        assert [m["timestamp"] for m in item["measurements"]] == [NOW - 60]
        assert (item["sharedTo"], item["sharedToPending"]) == (
            ["bob@example.com"], ["new@example.com"],
        )  # fmt: skip
        assert [alert["type"] for alert in item["alerts"]] == ["temperature"]
        assert item["settings"] == {
            "displayOrder": "[]",
            "displayOrder_lastUpdated": NOW - 7,
            "description_lastUpdated": NOW - 7,
        }

    def test_a_sharee_sees_his_own_name_and_no_sharees(self, shared_porch, bob, dense):
        Access.objects.filter(user=bob).update(name="Mine", edited_at=at(NOW))
        AlertRule.objects.create(user=shared_porch.owner, sensor=shared_porch, type="signal", max=1)
        (item,) = dense(bob, **ALL)
        assert (item["owner"], item["name"], item["lastUpdated"]) == (
            "alice@example.com", "Mine", NOW,
        )  # fmt: skip
        assert (item["sharedTo"], item["alerts"], item["canShare"]) == ([], [], False)

    def test_shared_ones_are_asked_for(self, shared_porch, bob, dense):
        assert dense(bob) == []
        assert len(dense(bob, sharedToMe="1")) == 1

    def test_the_plan_is_the_owners(self, shared_porch, alice, bob, dense, plan):
        plan(alice, max_history_days=7, ends_at=at(NOW + 86400))
        plan(bob, max_history_days=1)
        (item,) = dense(bob, sharedToMe="true")
        assert item["subscription"]["maxHistoryDays"] == 7
        assert item["subscription"]["endAt"] == "2026-04-02T18:51:15Z"

    def test_the_latest_is_told_whatever_the_plan(self, porch, alice, dense, plan):
        plan(alice, max_history_days=0)
        assert len(dense(alice, measurements="true")[0]["measurements"]) == 1

    def test_without_data_there_is_nothing_to_share(self, alice, now, dense):
        claim_sensor(user=alice, mac=PORCH, at=at(NOW))
        (item,) = dense(alice, **ALL)
        assert (item["measurements"], item["canShare"]) == ([], False)

    def test_the_mode_names_the_source(self, porch, alice, dense, hear):
        hear(NOW)
        newest = {
            mode: dense(alice, measurements="true", mode=mode)[0]["measurements"][0]["timestamp"]
            for mode in ("mixed", "dense", "sparse")
        }
        assert newest == {"mixed": NOW, "dense": NOW, "sparse": NOW - 60}

    def test_an_unknown_mode_is_refused(self, alice, signed_in):
        reply = signed_in(alice).get("/sensors-dense", {"mode": "all"})
        assert refused(reply, 400, "ER_INVALID_DENSITY_MODE")

    def test_one_can_be_asked_for(self, shared_porch, alice, bob, charlie, dense):
        claim_sensor(user=alice, mac=Mac(5), at=at(NOW))
        (item,) = dense(alice, sensor="f4-1f-0c-28-cb-d6")
        assert item["sensor"] == str(PORCH)
        assert dense(charlie, sensor=str(PORCH)) == dense(alice, sensor="porch") == []

    def test_a_public_one_is_everybodys_to_see(self, shared_porch, charlie, dense):
        Sensor.objects.update(public=True)
        assert dense(charlie, **ALL) == []
        (item,) = dense(charlie, sensor=str(PORCH), **ALL)
        assert (item["owner"], item["name"], item["public"]) == (
            "a***e@e*****e.com", "Porch", True,
        )  # fmt: skip
        assert (item["canShare"], item["sharedTo"], len(item["measurements"])) == (False, [], 1)

    @pytest.mark.parametrize("who", ["alice", "bob"])
    def test_fifty_sensors_cost_ten_queries(
        self, houseful, alice, bob, signed_in, django_assert_max_num_queries, who, hear
    ):
        houseful(25)
        # As many the other way round.
        for mac in map(Mac, range(101, 126)):
            claim_sensor(user=bob, mac=mac, at=at(NOW - 60))
            hear(NOW - 30, mac=mac)
            share_sensor(user=bob, mac=mac, email=alice.email, at=at(NOW))
        client = signed_in({"alice": alice, "bob": bob}[who])
        for mode in ("mixed", "sparse"):
            with django_assert_max_num_queries(10) as queries:
                sensors = client.get("/sensors-dense", {**ALL, "mode": mode}).json()["data"]
            assert len(sensors["sensors"]) == 50
        assert len(queries) == 7  # the quota is remembered

    def test_the_number_of_queries_does_not_grow(
        self, houseful, alice, signed_in, django_assert_num_queries
    ):
        client = signed_in(alice)
        houseful(1)
        client.get("/sensors-dense", ALL)
        for count in (1, 20):
            with django_assert_num_queries(7):
                client.get("/sensors-dense", ALL)
            houseful(20 - count, first=2) if count == 1 else None


class TestOlderLists:
    def test_sensors_tells_own_and_shared_apart(self, shared_porch, alice, bob, signed_in):
        claim_sensor(user=bob, mac=Mac(5), name="Bob's", at=at(NOW))
        data = signed_in(bob).get("/sensors").json()["data"]
        assert [item["name"] for item in data["sensors"]] == ["Bob's"]
        (shared,) = data["sharedToMe"]
        assert (shared["sensor"], shared["canShare"]) == (str(PORCH), False)
        assert "sharedTo" not in shared

    def test_sensors_tells_with_whom_one_is_shared(self, shared_porch, alice, signed_in):
        PendingShare.objects.create(
            sensor=shared_porch, shared_by=alice, email="new@example.com", invited_at=at(NOW)
        )
        claim_sensor(user=alice, mac=Mac(5), at=at(NOW))
        data = signed_in(alice).get("/sensors", {"sensor": str(PORCH)}).json()["data"]
        (item,) = data["sensors"]
        assert (item["sharedTo"], item["sharedToPending"]) == (
            ["bob@example.com"], ["new@example.com"],
        )  # fmt: skip

    def test_sensors_ignores_a_filter_that_is_no_address(self, porch, alice, signed_in):
        data = signed_in(alice).get("/sensors", {"sensor": "porch"}).json()["data"]
        assert len(data["sensors"]) == 1

    def test_shared_has_a_row_for_each_sharee(self, shared_porch, alice, bob, signed_in):
        data = signed_in(alice).get("/shared").json()["data"]
        assert data["sensors"] == [
            {
                "sensor": str(PORCH),
                "name": "Porch",
                "picture": "",
                "public": False,
                "sharedTo": "bob@example.com",
            }
        ]
        assert signed_in(bob).get("/shared").json()["data"] == {"sensors": []}

    def test_user_lists_all_that_a_person_reads(self, shared_porch, bob, signed_in):
        data = signed_in(bob).get("/user").json()["data"]
        assert data["email"] == "bob@example.com"
        (item,) = data["sensors"]
        assert (item["owner"], item["name"], item["public"]) == (
            "alice@example.com", "Porch", False,
        )  # fmt: skip

    @pytest.mark.parametrize(("path", "queries"), [("/user", 2), ("/sensors", 4), ("/shared", 3)])
    def test_many_sensors_cost_as_much_as_one(
        self, houseful, alice, signed_in, django_assert_num_queries, path, queries
    ):
        client = signed_in(alice)
        houseful(5)
        client.get(path)
        with django_assert_num_queries(queries):
            assert client.get(path).status_code == 200
