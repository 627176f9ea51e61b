"""Rules as the apps read them: a wrong type here empties a whole phone."""

from datetime import UTC, datetime

import pytest

from alerts.models import AlertRule
from alerts.selectors import alert_items_of
from alerts.serializers import alert_item
from ruuvinet.lib.mac import Mac

pytestmark = pytest.mark.django_db
OTHER = Mac.parse("EF:54:4A:E7:1D:9F")
STRICT = {
    "type": str,
    "min": (int, float),
    "max": (int, float),
    "enabled": bool,
    "counter": int,
    "delay": int,
    "description": str,
    "triggered": bool,
    "triggeredAt": str,
    "lastUpdated": int,
}


@pytest.mark.parametrize("type_", AlertRule.Type.values)
def test_every_field_of_every_type_has_its_kind_and_no_null(type_):
    item = alert_item(AlertRule(type=type_))
    assert item.keys() == STRICT.keys()
    assert [name for name, kind in STRICT.items() if not isinstance(item[name], kind)] == []


def test_an_item_is_what_the_rule_says(alice, rule_for, porch, start):
    rule_for(alice, min=-2.5, max=8.0, description="door", delay_s=300)
    assert alert_items_of(alice, [porch.mac]) == {
        porch.mac: [
            {
                "type": "temperature",
                "min": -2.5,
                "max": 8.0,
                "enabled": True,
                "counter": 0,
                "delay": 300,
                "description": "door",
                "triggered": False,
                "triggeredAt": alert_item(AlertRule.objects.get())["triggeredAt"],
                "lastUpdated": int(AlertRule.objects.get().updated_at.timestamp()),
            }
        ]
    }


def test_the_time_of_a_trigger_is_text_with_three_decimals():
    at = datetime(2023, 2, 8, 12, 34, 56, 789123, tzinfo=UTC)
    rule = AlertRule(type="co2", triggered_at=at)
    assert alert_item(rule)["triggeredAt"] == "2023-02-08T12:34:56.789Z"


def test_a_rule_that_never_triggered_shows_when_it_was_made():
    rule = AlertRule(type="co2", created_at=datetime(2023, 2, 8, 12, tzinfo=UTC))
    assert alert_item(rule)["triggeredAt"] == "2023-02-08T12:00:00.000Z"


def test_an_absent_limit_is_shown_as_the_end_of_the_slider():
    item = alert_item(AlertRule(type="temperature", max=8.0))
    assert (item["min"], item["max"]) == (-55, 8.0)


def test_movement_has_a_counter_and_no_limits():
    item = alert_item(AlertRule(type="movement", counter=184, min=1, max=2))
    assert (item["min"], item["max"], item["counter"]) == (0, 0, 184)


def test_an_edit_at_the_beginning_of_time_still_counts_as_one():
    rule = AlertRule(type="co2", updated_at=datetime(1970, 1, 1, tzinfo=UTC))
    assert alert_item(rule)["lastUpdated"] == 1


def test_each_sensor_has_a_list_and_only_ones_own_rules_in_it(
    alice, bob, rule_for, porch, django_assert_num_queries
):
    mine = rule_for(alice, max=8.0)
    rule_for(bob, max=9.0)
    with django_assert_num_queries(1):
        items = alert_items_of(alice, [porch.mac, OTHER])
    assert items == {porch.mac: [alert_item(mine)], OTHER: []}
