from datetime import timedelta

import pytest
from django.utils import timezone

from alerts.evaluation import evaluate_sensors
from alerts.models import AlertEvent, AlertRule, Delivery, EvaluationMark
from alerts.selectors import sensors_behind
from alerts.services import configure_rule, register_push_token
from ruuvinet.lib.mac import Mac
from sensors.models import Access
from sensors.services import claim_sensor, store
from subscriptions.models import Subscription

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
OTHER_GATEWAY = Mac.parse("C8:25:2D:8E:9C:2D")


@pytest.fixture
def evaluate(porch, start):
    """Judge the porch, `after_s` seconds after the start."""

    def evaluate(after_s: int):
        return evaluate_sensors(sensors=[porch.mac], now=start + timedelta(seconds=after_s))

    return evaluate


def told(channel: str) -> set[str]:
    return set(Delivery.objects.filter(channel=channel).values_list("address", flat=True))


def test_a_broken_limit_opens_one_event_with_what_it_was_about(
    alice, rule_for, hear, evaluate, start
):
    rule = rule_for(alice, description="check the door")
    hear(9.5, after_s=60)
    evaluate(61)
    event = AlertEvent.objects.get()
    assert (event.rule, event.user, event.sensor_name) == (rule, alice, "Porch")
    assert (event.trigger, event.value, event.threshold) == ("over", 9.5, 8.0)
    assert event.description == "check the door"
    assert event.opened_at == start + timedelta(seconds=60)
    assert event.resolved_at is None


def test_a_trigger_makes_one_delivery_for_each_phone(alice, phone, rule_for, hear, evaluate):
    register_push_token(user=alice, token="alice-tablet", platform="ios")
    rule_for(alice)
    hear(9.5, after_s=60)
    assert "push" in evaluate(61).channels
    assert told("push") == {"alice-phone", "alice-tablet"}


def test_a_stranger_is_not_told(charlie, alice, rule_for, hear, evaluate):
    register_push_token(user=charlie, token="charlie-phone", platform="android")
    rule_for(alice)
    hear(9.5, after_s=60)
    evaluate(61)
    assert told("push") == set()


def test_a_retired_phone_is_not_told(alice, phone, rule_for, hear, evaluate, start):
    phone.retired_at = start
    phone.save()
    rule_for(alice)
    hear(9.5, after_s=60)
    assert "push" not in evaluate(61).channels
    assert told("push") == set()


def test_the_owners_plan_decides_whether_anybody_is_pushed(
    alice, bob, rule_for, hear, evaluate, start
):
    year = timedelta(days=365)
    Subscription.objects.create(
        user=alice, name="Free", starts_at=start, ends_at=start + year, push_alert_allowed=False
    )
    register_push_token(user=bob, token="bob-phone", platform="android")
    rule_for(bob)
    hear(9.5, after_s=60)
    assert "push" not in evaluate(61).channels
    assert told("push") == set()
    assert AlertEvent.objects.filter(user=bob).exists()


def test_judging_again_changes_nothing(alice, phone, rule_for, hear, evaluate):
    rule_for(alice)
    hear(9.5, after_s=60)
    evaluate(61)
    assert evaluate(62).channels == set()
    assert AlertEvent.objects.count() == 1


def test_an_event_is_resolved_when_the_value_is_back(alice, rule_for, hear, evaluate, start):
    rule = rule_for(alice)
    hear(9.5, after_s=60)
    evaluate(61)
    hear(7.0, after_s=120)
    hear(7.0, after_s=420)
    evaluate(421)
    assert AlertEvent.objects.get().resolved_at == start + timedelta(seconds=420)
    rule.refresh_from_db()
    assert not rule.triggered
    assert rule.triggered_at == start + timedelta(seconds=60)


def test_a_backlog_is_judged_in_time_order(alice, rule_for, hear, evaluate, start):
    rule_for(alice)
    for minute, temperature_c in [(1, 9), (2, 7), (7, 7), (61, 9), (62, 9), (63, 7), (68, 7)]:
        hear(temperature_c, after_s=60 * minute)
    evaluate(7200)
    spans = AlertEvent.objects.order_by("opened_at").values_list("opened_at", "resolved_at")
    minutes = [((a - start).seconds // 60, (b - start).seconds // 60) for a, b in spans]
    assert minutes == [(1, 7), (61, 68)]


def test_a_backlog_longer_than_one_round_says_so_and_goes_on(
    alice, rule_for, hear, evaluate, monkeypatch
):
    monkeypatch.setattr("alerts.evaluation.MAX_SAMPLES", 3)
    rule_for(alice)
    for minute in range(1, 6):
        hear(5 if minute < 5 else 9, after_s=60 * minute)
    assert evaluate(3600).unfinished
    assert not AlertEvent.objects.exists()
    while evaluate(3600).unfinished:
        pass
    assert AlertEvent.objects.count() == 1


def test_a_reading_thinned_out_of_the_history_is_judged(alice, rule_for, hear, evaluate):
    rule_for(alice)
    hear(5.0, after_s=60)
    evaluate(61)
    hear(9.5, after_s=70)  # the same slot: only Latest has it
    evaluate(71)
    assert AlertEvent.objects.count() == 1


def test_a_reading_older_than_the_newest_judged_is_not_judged(alice, rule_for, hear, evaluate):
    rule_for(alice)
    hear(5.0, after_s=180)
    evaluate(181)
    hear(9.5, after_s=60)
    evaluate(182)
    assert not AlertEvent.objects.exists()


def test_readings_from_before_a_rule_are_not_its_business(alice, rule_for, hear, evaluate):
    hear(9.5, after_s=-60)
    rule_for(alice)
    evaluate(61)
    assert not AlertEvent.objects.exists()


def test_a_disabled_rule_is_not_judged(alice, rule_for, hear, evaluate):
    rule_for(alice, enabled=False)
    hear(9.5, after_s=60)
    evaluate(61)
    assert not AlertEvent.objects.exists()


def test_offsets_of_the_owner_are_judged(alice, porch, rule_for, hear, evaluate):
    porch.offset_temperature_c = 2
    porch.save()
    rule_for(alice)
    hear(7.0, after_s=60)
    evaluate(61)
    assert AlertEvent.objects.get().value == 9.0


def test_movement_triggers_through_the_whole_way(alice, rule_for, hear, evaluate):
    rule = rule_for(alice, type="movement", max=None, counter=3)
    hear(5, after_s=60, movement=4)
    evaluate(61)
    rule.refresh_from_db()
    assert rule.counter == 4
    assert AlertEvent.objects.get().trigger == "different from"


def test_a_new_movement_rule_starts_from_where_the_sensor_lies(alice, rule_for, hear):
    hear(5, after_s=-60, movement=77)
    assert rule_for(alice, type="movement", max=None).counter == 77


# --- a gateway with a fast clock -----------------------------------------------------------
def test_a_fast_clock_does_not_silence_other_gateways(alice, rule_for, hear, evaluate):
    rule_for(alice)
    hear(5.0, after_s=300, gateway=OTHER_GATEWAY)
    evaluate(60)
    hear(9.5, after_s=120)
    evaluate(121)
    assert AlertEvent.objects.count() == 1


def test_a_reading_from_a_fast_clock_is_judged_at_once_and_once(
    alice, rule_for, hear, evaluate, start
):
    rule_for(alice)
    hear(9.5, after_s=300)
    evaluate(60)
    hear(5.0, after_s=120, gateway=OTHER_GATEWAY)
    evaluate(121)
    evaluate(301)  # its own time has come: it must not count again
    event = AlertEvent.objects.get()
    assert event.opened_at == start + timedelta(seconds=60)
    clear_since = int((start + timedelta(seconds=120)).timestamp())
    assert AlertRule.objects.get().clear_since == clear_since


def test_marks_never_run_ahead_of_reception(alice, rule_for, hear, evaluate, start):
    rule_for(alice)
    hear(5.0, after_s=300)
    evaluate(60)
    assert EvaluationMark.objects.get().evaluated_to == int(start.timestamp()) + 60


def test_a_clock_that_was_set_back_silences_nobody(alice, rule_for, hear, evaluate, start):
    rule_for(alice)
    hear(5.0, after_s=3600)
    evaluate(3600)
    hear(9.5, after_s=60)  # an hour earlier, by the mended clock
    evaluate(60)
    assert AlertEvent.objects.get().opened_at == start + timedelta(seconds=60)


def test_what_was_judged_before_the_clock_was_set_back_is_not_judged_again(
    alice, rule_for, hear, evaluate
):
    rule_for(alice)
    hear(9.5, after_s=3600)
    evaluate(3600)
    AlertRule.objects.update(triggered=False, told_at=None)
    evaluate(60)
    evaluate(3600)
    assert AlertEvent.objects.count() == 1


def test_a_rule_made_before_the_clock_was_set_back_counts(alice, rule_for, hear, evaluate, start):
    configure_rule(rule_for(alice, max=9.0), at=start)
    AlertRule.objects.update(configured_at=start + timedelta(hours=1))
    hear(9.5, after_s=60)
    evaluate(60)
    assert AlertEvent.objects.exists()


def test_the_same_measurement_from_another_gateway_counts_once(alice, rule_for, hear, evaluate):
    rule_for(alice, type="signal", min=-80, max=0)
    hear(5.0, after_s=60)
    evaluate(61)
    hear(5.0, after_s=62, gateway=OTHER_GATEWAY, rssi_dbm=-95)
    evaluate(63)
    assert not AlertEvent.objects.exists()


def test_the_same_payload_later_is_a_measurement_of_its_own(alice, rule_for, hear, evaluate):
    rule_for(alice, type="signal", min=-80, max=0)
    hear(5.0, after_s=60)
    evaluate(61)
    hear(5.0, after_s=120, rssi_dbm=-95)
    evaluate(121)
    assert AlertEvent.objects.exists()


def test_a_public_sensor_may_be_watched_by_anybody(charlie, porch, rule_for, hear, evaluate):
    rule_for(charlie)
    Access.objects.filter(user=charlie).delete()
    porch.public = True
    porch.save()
    hear(9.5, after_s=60)
    evaluate(61)
    assert AlertEvent.objects.get().user == charlie


def test_a_running_delay_goes_on_after_a_restart(alice, rule_for, hear, evaluate, start):
    rule_for(alice, delay_s=120)
    hear(9.5, after_s=60)
    evaluate(61)
    hear(9.5, after_s=180)
    evaluate(181)
    assert AlertEvent.objects.get().opened_at == start + timedelta(seconds=180)


# --- configuring ---------------------------------------------------------------------------
def test_a_changed_rule_triggers_again_while_still_broken(alice, rule_for, hear, evaluate, start):
    rule = rule_for(alice)
    hear(9.5, after_s=60)
    evaluate(61)
    rule.refresh_from_db()
    rule.max = 9.0
    configure_rule(rule, at=start + timedelta(seconds=90))
    hear(9.5, after_s=120)
    evaluate(121)
    first, second = AlertEvent.objects.order_by("opened_at")
    assert first.resolved_at == start + timedelta(seconds=90)
    assert second.resolved_at is None


def test_history_of_a_sensor_without_rules_is_not_judged_later(alice, rule_for, hear, start):
    rule = rule_for(alice, enabled=False)
    later = start + timedelta(days=30)
    rule.enabled = True
    configure_rule(rule, at=later)
    assert EvaluationMark.objects.get().evaluated_to == int(later.timestamp())


def test_an_event_stays_when_its_rule_goes(alice, rule_for, hear, evaluate):
    rule = rule_for(alice)
    hear(9.5, after_s=60)
    evaluate(61)
    rule.delete()
    assert AlertEvent.objects.get().rule is None


# --- the sweep's question ------------------------------------------------------------------
def test_the_sweep_finds_what_no_wake_up_announced(alice, porch, rule_for, hear, evaluate):
    rule_for(alice)
    assert sensors_behind(timezone.now(), limit=10) == []
    hear(9.5, after_s=60)
    assert sensors_behind(timezone.now(), limit=10) == [porch.mac]
    evaluate(61)
    assert sensors_behind(timezone.now(), limit=10) == []


def test_the_sweep_ignores_sensors_without_enabled_rules(alice, rule_for, hear):
    rule_for(alice, enabled=False)
    hear(9.5, after_s=60)
    assert sensors_behind(timezone.now(), limit=10) == []


# --- cost ----------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [1, 30])
def test_queries_do_not_grow_with_the_number_of_sensors(
    alice, phone, rule_for, hear, start, django_assert_num_queries, count
):
    macs = [Mac(int(Mac.parse("EF:54:4A:E7:20:00")) + n) for n in range(count)]
    for mac in macs:
        sensor = claim_sensor(user=alice, mac=mac)
        rule_for(alice, sensor=sensor)
        hear(9.5, after_s=60, sensor=mac)
    with django_assert_num_queries(15):
        evaluation = evaluate_sensors(sensors=macs, now=start + timedelta(seconds=61))
    assert len(evaluation.opened) == count


def test_two_rules_of_different_people_are_judged_apart(alice, bob, rule_for, hear, evaluate):
    rule_for(alice, max=8.0)
    rule_for(bob, max=10.0)
    hear(9.5, after_s=60)
    evaluate(61)
    assert [event.user for event in AlertEvent.objects.all()] == [alice]
    assert AlertRule.objects.filter(triggered=True).count() == 1


def test_an_unreadable_reading_moves_the_mark_and_nothing_else(
    alice, porch, rule_for, evaluate, start
):
    from sensors.services import Reception

    rule_for(alice)
    at = int(start.timestamp()) + 60
    store([Reception(int(porch.mac), at, 1, -70, bytes.fromhex("020106"))])
    evaluate(61)
    assert EvaluationMark.objects.get().evaluated_to == at
    assert not AlertEvent.objects.exists()


# --- people who may no longer read ---------------------------------------------------------
def test_a_person_who_lost_access_is_not_judged_for(alice, bob, rule_for, hear, evaluate):
    rule_for(bob)
    Access.objects.filter(user=bob).delete()
    hear(9.5, after_s=60)
    evaluate(61)
    assert not AlertEvent.objects.exists()


def test_an_owner_needs_no_access_row(alice, rule_for, hear, evaluate):
    rule_for(alice)
    Access.objects.all().delete()
    hear(9.5, after_s=60)
    evaluate(61)
    assert AlertEvent.objects.exists()


def test_a_person_who_is_not_active_is_not_judged_for(alice, rule_for, hear, evaluate):
    rule_for(alice)
    alice.is_active = False
    alice.save()
    hear(9.5, after_s=60)
    evaluate(61)
    assert not AlertEvent.objects.exists()


def test_a_page_of_readings_that_were_all_judged_ahead_ends_the_round(
    alice, rule_for, hear, evaluate, monkeypatch
):
    monkeypatch.setattr("alerts.evaluation.MAX_SAMPLES", 1)
    rule_for(alice)
    hear(5.0, after_s=300)
    evaluate(60)
    assert not evaluate(61).unfinished


def test_a_changed_description_leaves_the_rule_as_it_is(alice, rule_for, hear, evaluate, start):
    rule = rule_for(alice)
    hear(9.5, after_s=60)
    evaluate(61)
    rule.description = "new words"  # from a form that was opened before the rule triggered
    configure_rule(rule, at=start + timedelta(seconds=90))
    hear(9.5, after_s=120)
    evaluate(121)
    rule.refresh_from_db()
    assert (rule.description, rule.triggered) == ("new words", True)
    assert AlertEvent.objects.count() == 1


def test_a_movement_rule_that_moves_to_another_sensor_starts_from_where_that_one_lies(
    alice, rule_for, hear, start
):
    other = Mac.parse("EF:54:4A:E7:1D:9F")
    rule = rule_for(alice, type="movement", max=None, counter=3)
    rule.sensor = claim_sensor(user=alice, mac=other)
    hear(5.0, after_s=60, movement=77, sensor=other)
    assert configure_rule(rule, at=start + timedelta(seconds=61)).counter == 77
