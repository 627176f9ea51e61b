"""What people change of a sensor, and whose change wins."""

import pytest

from alerts.models import AlertRule
from sensors.models import Access, Sensor, SensorSetting
from tests.sensors.conftest import NOW, PORCH, at, refused

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


@pytest.fixture
def update(signed_in):
    def update(user, /, **body):
        return signed_in(user).post("/update", {"sensor": str(PORCH), **body})

    return update


@pytest.fixture
def save(signed_in):
    def save(user, /, **body):
        return signed_in(user).post("/sensor-settings", {"sensor": str(PORCH), **body})

    return save


class TestUpdate:
    def test_the_owner_changes_everything(self, porch, alice, update):
        body = {
            "name": "Käytävä 🚪",
            "picture": "a-b_c.1.jpg",
            "offsetTemperature": -1.5,
            "offsetHumidity": 2,
            "offsetPressure": 100.25,
            "public": 1,
        }

        reply = update(alice, **body)

        assert reply.json()["data"] == {"sensor": str(PORCH), **body}
        access = Access.objects.get()
        assert (access.name, access.picture, access.edited_at) == (
            "Käytävä 🚪", "a-b_c.1.jpg", at(NOW),
        )  # fmt: skip
        sensor = Sensor.objects.get()
        assert (sensor.offset_temperature_c, sensor.offset_humidity_pct) == (-1.5, 2)
        assert (sensor.offset_pressure_pa, sensor.public) == (100.25, True)

    def test_only_what_was_given_is_changed_and_answered(self, porch, alice, update):
        update(alice, offsetTemperature=3)
        assert update(alice, name="New").json()["data"] == {"sensor": str(PORCH), "name": "New"}
        assert Sensor.objects.get().offset_temperature_c == 3

    def test_what_is_empty_or_no_file_name_is_ignored(self, porch, alice, update):
        reply = update(alice, name="", picture="../etc/passwd", offsetHumidity=1)
        assert reply.json()["data"] == {"sensor": str(PORCH), "offsetHumidity": 1}
        assert Access.objects.values_list("name", "picture").get() == ("Porch", "")

    def test_nothing_is_too_little(self, porch, alice, update):
        for body in ({}, {"name": ""}, {"name": None}, {"timestamp": NOW}):
            text = "No values provided for update."
            assert refused(update(alice, **body), 400, "ER_MISSING_ARGUMENT", text)

    def test_a_sharee_has_a_name_of_his_own(self, shared_porch, bob, update):
        assert update(bob, name="Alice's").status_code == 200
        names = Access.objects.order_by("user").values_list("name", flat=True)
        assert list(names) == ["Porch", "Alice's"]

    @pytest.mark.parametrize("change", [{"offsetPressure": 1}, {"public": True}])
    def test_a_sharee_changes_no_more(self, shared_porch, bob, update, change):
        assert refused(update(bob, name="Mine", **change), 403, "ER_FORBIDDEN")
        assert Access.objects.get(user=bob).name == "Porch"

    def test_a_sharee_may_repeat_offsets(self, shared_porch, bob, update):
        Sensor.objects.update(offset_temperature_c=1.5)
        reply = update(bob, name="Mine", offsetTemperature=1.5, offsetHumidity=0, public=False)
        assert reply.json()["data"] == {"sensor": str(PORCH), "name": "Mine"}

    def test_strangers_find_no_sensor(self, porch, charlie, update):
        Sensor.objects.update(public=True)
        text = "Sensor not claimed or found. Data not updated."
        assert refused(update(charlie, name="Mine"), 404, "ER_SENSOR_NOT_FOUND", text)

    def test_an_older_edit_loses(self, porch, alice, update):
        update(alice, name="New", timestamp=NOW - 10)
        reply = update(alice, name="Old", timestamp=NOW - 11)

        text = "Newer setting already exists"
        assert refused(reply, 409, "ER_CONFLICT", text, sub_code="ER_OLD_ENTRY")
        assert Access.objects.get().name == "New"

    def test_an_equal_one_wins(self, porch, alice, update):
        update(alice, name="First", timestamp=NOW - 10)
        assert update(alice, name="Second", timestamp=NOW - 10).status_code == 200
        assert Access.objects.values_list("name", "edited_at").get() == ("Second", at(NOW - 10))

    def test_the_far_future_is_now(self, porch, alice, update):
        update(alice, name="New", timestamp=NOW + 301)
        assert Access.objects.get().edited_at == at(NOW)

    def test_everybodys_view_is_newer_after_a_change_that_all_see(
        self, shared_porch, alice, bob, update
    ):
        update(bob, name="Mine", timestamp=NOW)
        update(alice, offsetTemperature=1, timestamp=NOW - 5)
        assert Access.objects.get(user=bob).edited_at == at(NOW + 1)
        assert Access.objects.get(user=alice).edited_at == at(NOW - 5)

    def test_but_not_after_one_of_a_name(self, shared_porch, alice, bob, update):
        update(alice, name="Back porch", offsetTemperature=0)
        assert Access.objects.get(user=bob).edited_at == at(NOW - 1800)

    def test_a_sensor_made_private_loses_the_rules_of_strangers(
        self, shared_porch, alice, bob, charlie, update
    ):
        update(alice, public=True)
        for user in (alice, bob, charlie):
            AlertRule.objects.create(user=user, sensor=shared_porch, type="temperature", max=1)
        update(alice, public=False)
        assert [rule.user for rule in AlertRule.objects.order_by("user")] == [alice, bob]


class TestSensorSettings:
    def test_settings_are_added_and_updated(self, porch, alice, save):
        reply = save(alice, type=["displayOrder", "defaultDisplayOrder"], value=["[]", "false"])
        assert reply.json() == {"result": "success", "data": {"action": "added"}}
        reply = save(alice, type=["displayOrder"], value=["[1]"])
        assert reply.json()["data"] == {"action": "updated"}
        stored = SensorSetting.objects.order_by("type").values_list("type", "value", "edited_at")
        assert list(stored) == [
            ("defaultDisplayOrder", "false", at(NOW)),
            ("displayOrder", "[1]", at(NOW)),
        ]

    def test_one_needs_no_list(self, porch, alice, save):
        save(alice, type="description", value="  by the door\n ", timestamp=NOW - 5)
        stored = SensorSetting.objects.get()
        assert (stored.value, stored.edited_at) == ("  by the door\n ", at(NOW - 5))

    @pytest.mark.parametrize("empty", ["", [""]])
    def test_an_empty_value_clears_it_and_is_remembered(self, porch, alice, save, empty):
        save(alice, type="description", value="x", timestamp=NOW - 5)
        assert save(alice, type="description", value=empty).json()["data"]["action"] == "updated"
        assert SensorSetting.objects.values_list("value", "edited_at").get() == ("", at(NOW))

    def test_an_older_edit_loses_alone(self, porch, alice, save):
        save(alice, type=["a"], value=["new"], timestamp=NOW - 5)
        reply = save(alice, type=["a", "b"], value=["old", "first"], timestamp=NOW - 6)
        assert reply.json()["data"]["action"] == "added"
        stored = SensorSetting.objects.order_by("type").values_list("value", flat=True)
        assert list(stored) == ["new", "first"]

    def test_when_all_lose_it_is_a_conflict(self, porch, alice, save):
        save(alice, type=["a"], value=["new"], timestamp=NOW)
        text = "No setting was updated or added, newer settings might exist."
        reply = save(alice, type=["a"], value=["old"], timestamp=NOW - 1)
        assert refused(reply, 409, "ER_CONFLICT", text)

    def test_zero_is_accepted_for_what_was_never_stored(self, porch, alice, save):
        assert save(alice, type=["a"], value=["1"], timestamp=0).status_code == 200
        assert SensorSetting.objects.get().edited_at == at(NOW)
        assert refused(save(alice, type=["a"], value=["2"], timestamp=0), 409, "ER_CONFLICT")

    def test_only_the_owner_saves(self, shared_porch, bob, charlie, save):
        for user in (bob, charlie):
            assert refused(save(user, type="a", value="1"), 403, "ER_FORBIDDEN")

    def test_one_sensor_holds_a_hundred(self, porch, alice, save):
        many = [str(number) for number in range(100)]
        assert save(alice, type=many, value=many).status_code == 200
        assert refused(save(alice, type="one-more", value="1"), 400, "ER_INVALID_FORMAT")
