"""Whose a sensor is: claim, check, contest, unclaim, and what a new owner gets to see."""

import pytest
from django.utils import timezone

from accounts.models import OutgoingMail, User
from alerts.models import AlertEvent, AlertRule
from ruuvinet.lib.mac import Mac
from sensors.models import (
    Access,
    Latest,
    Measurement,
    PendingShare,
    Sensor,
    SensorSetting,
    SparseMeasurement,
)
from sensors.services import claim_sensor, register_sensor
from tests.sensors.conftest import NOW, PORCH, at, refused

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
SECRET = "DE:AD:BE:EF:00:11:22:33"
OTHER = Mac.parse("F4:1F:0C:28:CB:D7")


@pytest.fixture
def rule(porch):
    """Makes somebody's triggered rule for the porch."""

    def rule(user):
        rule = AlertRule.objects.create(user=user, sensor=porch, type="temperature", min=0, max=5)
        AlertEvent.objects.create(
            rule=rule, user=user, sensor=PORCH, sensor_name="Porch", type="temperature",
            trigger="Over", value=6, threshold=5, opened_at=timezone.now(),
        )  # fmt: skip
        return rule

    return rule


def mails() -> list[tuple[str, str]]:
    return list(OutgoingMail.objects.order_by("pk").values_list("template", "address"))


class TestClaim:
    def test_a_sensor_without_data_can_be_claimed(self, alice, signed_in):
        reply = signed_in(alice).post("/claim", {"sensor": "f4-1f-0c-28-cb-d6", "name": "Sauna 🧖"})

        assert reply.json() == {"result": "success", "data": {"sensor": "F4:1F:0C:28:CB:D6"}}
        assert Sensor.objects.get().owner == alice
        assert Access.objects.get().name == "Sauna 🧖"

    def test_a_description_becomes_a_setting(self, alice, signed_in):
        signed_in(alice).post("/claim", {"sensor": str(PORCH), "description": "by the door"})

        assert SensorSetting.objects.values_list("type", "value").get() == (
            "description",
            "by the door",
        )

    def test_a_claimed_sensor_cannot_be_claimed_again(self, porch, bob, signed_in):
        reply = signed_in(bob).post("/claim", {"sensor": str(PORCH)})

        text = "Sensor already claimed by a***e@e*****e.com."
        assert refused(reply, 409, "ER_SENSOR_ALREADY_CLAIMED", text)
        assert not Access.objects.filter(user=bob).exists()

    def test_not_even_by_its_owner(self, porch, alice, signed_in):
        reply = signed_in(alice).post("/claim", {"sensor": str(PORCH)})
        assert refused(reply, 409, "ER_SENSOR_ALREADY_CLAIMED")

    def test_a_plan_bounds_the_claims(self, porch, alice, signed_in, plan):
        plan(alice, max_claims=1)
        reply = signed_in(alice).post("/claim", {"sensor": str(OTHER)})

        text = "Maximum claims for subscription reached."
        assert refused(reply, 400, "ER_CLAIM_COUNT_REACHED", text)
        assert not Sensor.objects.filter(mac=OTHER).exists()


class TestCheck:
    def check(self, client, mac=PORCH):
        return client.get("/check", {"sensor": str(mac)}).json()["data"]

    def test_the_owner_sees_the_plain_address(self, porch, alice, signed_in):
        data = self.check(signed_in(alice))
        assert data == {"email": "alice@example.com", "sensor": str(PORCH)}

    def test_others_see_it_masked(self, porch, bob, signed_in):
        assert self.check(signed_in(bob))["email"] == "a***e@e*****e.com"

    def test_an_unknown_sensor_is_nobodys(self, bob, signed_in):
        assert self.check(signed_in(bob)) == {"email": "", "sensor": str(PORCH)}

    def test_a_registered_sensor_is_nobodys(self, bob, signed_in):
        register_sensor(mac=PORCH, secret=SECRET)
        assert self.check(signed_in(bob))["email"] == ""


class TestContest:
    def contest(self, client, **changed):
        return client.post("/contest-sensor", {"sensor": str(PORCH), "secret": SECRET, **changed})

    def test_the_secret_makes_its_holder_the_owner(self, shared_porch, rule, charlie, signed_in):
        register_sensor(mac=PORCH, secret=SECRET)
        rule(shared_porch.owner)
        OutgoingMail.objects.all().delete()

        reply = self.contest(signed_in(charlie), secret="deadbeef00112233", name="Mine")

        assert reply.json()["data"] == {"sensor": str(PORCH)}
        assert Sensor.objects.get().owner == charlie
        assert [(a.user, a.name) for a in Access.objects.all()] == [(charlie, "Mine")]
        assert not AlertRule.objects.exists()
        assert not AlertEvent.objects.filter(resolved_at=None).exists()
        assert mails() == [
            ("SensorContested", "alice@example.com"),
            ("UnshareNotification", "bob@example.com"),
        ]

    @pytest.mark.parametrize("secret", ["DE:AD:BE:EF:00:11:22:34", "nonsense", "é" * 16])
    def test_another_secret_does_not(self, porch, bob, signed_in, secret):
        register_sensor(mac=PORCH, secret=SECRET)
        assert refused(self.contest(signed_in(bob), secret=secret), 403, "ER_FORBIDDEN")
        assert Sensor.objects.get().owner == porch.owner

    def test_without_a_registered_secret_nobody_does(self, porch, bob, signed_in):
        assert refused(self.contest(signed_in(bob)), 403, "ER_FORBIDDEN")

    def test_nor_for_an_unknown_sensor(self, bob, signed_in):
        assert refused(self.contest(signed_in(bob)), 403, "ER_FORBIDDEN")

    def test_a_sensor_that_nobody_owns_becomes_the_holders(self, bob, signed_in):
        register_sensor(mac=PORCH, secret=SECRET)
        assert self.contest(signed_in(bob)).status_code == 200
        assert Sensor.objects.get().owner == bob

    def test_the_owner_keeps_shares_and_history(self, shared_porch, alice, signed_in):
        register_sensor(mac=PORCH, secret=SECRET)
        assert self.contest(signed_in(alice)).status_code == 200
        assert Access.objects.count() == 2
        assert Sensor.objects.get().handed_over_at == 0

    def test_a_plan_bounds_this_too(self, porch, bob, signed_in, plan):
        register_sensor(mac=PORCH, secret=SECRET)
        plan(bob, max_claims=0)
        assert refused(self.contest(signed_in(bob)), 400, "ER_CLAIM_COUNT_REACHED")


class TestUnclaim:
    def unclaim(self, client, **changed):
        return client.post("/unclaim", {"sensor": str(PORCH), **changed})

    def test_everything_that_hung_on_the_claim_goes(
        self, shared_porch, rule, alice, bob, signed_in
    ):
        rule(alice)
        rule(bob)
        Sensor.objects.update(public=True, offset_temperature_c=1.5)
        PendingShare.objects.create(
            sensor=shared_porch, shared_by=alice, email="new@example.com", invited_at=at(NOW)
        )
        SensorSetting.objects.create(
            sensor=shared_porch, type="description", value="x", edited_at=at(NOW)
        )
        OutgoingMail.objects.all().delete()

        assert self.unclaim(signed_in(alice)).json() == {"result": "success", "data": {}}

        for model in (Access, PendingShare, SensorSetting, AlertRule):
            assert not model.objects.exists()
        assert not AlertEvent.objects.filter(resolved_at=None).exists()
        sensor = Sensor.objects.get()
        assert (sensor.owner, sensor.public, sensor.offset_temperature_c) == (None, False, 0)
        assert mails() == [("UnshareNotification", "bob@example.com")]

    def test_the_history_stays(self, porch, alice, signed_in):
        self.unclaim(signed_in(alice))
        assert Measurement.objects.count() == 1

    @pytest.mark.parametrize("yes", [True, "true", 1])
    def test_unless_it_is_to_go_too(self, porch, alice, signed_in, hear, yes):
        hear(NOW, mac=OTHER)
        self.unclaim(signed_in(alice), deleteData=yes)
        for model in (Measurement, SparseMeasurement, Latest):
            assert [row.sensor for row in model.objects.all()] == [OTHER]

    def test_a_sharee_leaves_the_share(self, shared_porch, rule, alice, bob, signed_in):
        rule(alice)
        rule(bob)
        OutgoingMail.objects.all().delete()

        assert self.unclaim(signed_in(bob), deleteData=True).status_code == 200

        assert Sensor.objects.get().owner == alice
        assert Measurement.objects.exists()
        assert [a.user for a in Access.objects.all()] == [alice]
        assert [r.user for r in AlertRule.objects.all()] == [alice]
        assert mails() == [("UnshareByShareeNotification", "alice@example.com")]

    def test_a_stranger_does_nothing(self, porch, charlie, signed_in):
        reply = self.unclaim(signed_in(charlie))
        assert refused(reply, 403, "ER_FORBIDDEN", "Sensor does not belong to user.")
        assert Sensor.objects.get().owner == porch.owner

    def test_an_unknown_sensor_is_nobodys(self, alice, signed_in):
        assert refused(self.unclaim(signed_in(alice)), 403, "ER_FORBIDDEN")


class TestHandOver:
    """A person's history is that person's."""

    def read(self, client) -> list[int]:
        data = client.get("/get", {"sensor": str(PORCH), "sort": "asc"}).json()["data"]
        return [m["timestamp"] for m in data["measurements"]]

    def newest(self, client) -> tuple[list[int], bool]:
        (item,) = client.get("/sensors-dense", {"measurements": "true"}).json()["data"]["sensors"]
        return [m["timestamp"] for m in item["measurements"]], item["canShare"]

    def hand_over(self, client, user):
        client.post("/unclaim", {"sensor": str(PORCH)})
        claim_sensor(user=user, mac=PORCH, at=at(NOW))

    def test_a_new_owner_sees_nothing_of_the_one_before(self, porch, alice, bob, signed_in):
        self.hand_over(signed_in(alice), bob)
        assert self.read(signed_in(bob)) == []
        assert self.newest(signed_in(bob)) == ([], False)

    def test_but_all_that_comes_after(self, porch, alice, bob, signed_in, hear):
        self.hand_over(signed_in(alice), bob)
        hear(NOW + 60)
        assert self.read(signed_in(bob)) == [NOW + 60]
        assert self.newest(signed_in(bob)) == ([NOW + 60], True)

    def test_nor_can_it_be_shared_before(self, porch, alice, bob, signed_in):
        self.hand_over(signed_in(alice), bob)
        reply = signed_in(bob).post("/share", {"sensor": str(PORCH), "user": "alice@example.com"})
        assert refused(reply, 400, "ER_NO_DATA_TO_SHARE")

    def test_the_same_owner_sees_all_of_it_again(self, porch, alice, signed_in):
        self.hand_over(signed_in(alice), alice)
        assert self.read(signed_in(alice)) == [NOW - 60]

    def test_history_of_an_account_that_is_gone_stays_hidden(self, porch, alice, bob, signed_in):
        signed_in(alice).post("/unclaim", {"sensor": str(PORCH)})
        User.objects.filter(pk=alice.pk).delete()
        claim_sensor(user=bob, mac=PORCH, at=at(NOW))
        assert self.read(signed_in(bob)) == []

    def test_what_a_sensor_measured_for_nobody_is_the_first_owners(
        self, alice, now, hear, signed_in
    ):
        hear(NOW - 600)
        claim_sensor(user=alice, mac=PORCH, at=at(NOW))
        assert self.read(signed_in(alice)) == [NOW - 600]
