"""What workers do: one sensor's fault is nobody else's, and the sweep tidies up."""

import contextlib
import socket
import threading
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from alerts import delivery, evaluation, tasks
from alerts.models import AlertEvent, AlertRule, Delivery
from alerts.services import configure_rule, note_listening, wake
from ruuvinet.celery import app
from ruuvinet.lib.mac import Mac
from sensors.services import claim_sensor

pytestmark = pytest.mark.django_db


def test_a_sensor_that_cannot_be_judged_costs_its_neighbours_nothing(
    alice, porch, rule_for, hear, monkeypatch
):
    bad = claim_sensor(user=alice, mac=Mac.parse("EF:54:4A:E7:1D:9F"))
    for sensor in (porch, bad):
        rule_for(alice, sensor=sensor)
        hear(9.5, after_s=60, sensor=sensor.mac)

    def judge(rule, state, sample, now, real=evaluation.judge):
        if AlertRule.objects.get(sensor=bad).triggered or rule.max == 7.0:
            raise ZeroDivisionError
        return real(rule, state, sample, now)

    AlertRule.objects.filter(sensor=bad).update(max=7.0)
    monkeypatch.setattr(evaluation, "judge", judge)
    tasks.evaluate_sensors(sensor_ids=[int(bad.mac), int(porch.mac)])
    assert [event.sensor for event in AlertEvent.objects.all()] == [porch.mac]


@pytest.mark.django_db(transaction=True)
def test_messages_that_come_while_others_are_judged_become_one_round(
    alice, porch, rule_for, hear, monkeypatch
):
    rule_for(alice)
    hear(9.5, after_s=60)
    rounds, begun, go_on = [], threading.Event(), threading.Event()

    def evaluate(*, sensors, now, real=tasks.evaluate):
        rounds.append(sorted(sensors))
        begun.set()
        assert go_on.wait(20)
        return real(sensors=sensors, now=now)

    monkeypatch.setattr(tasks, "evaluate", evaluate)

    def first():
        tasks.evaluate_sensors(sensor_ids=[int(porch.mac)])
        connection.close()

    judging = threading.Thread(target=first)
    judging.start()
    assert begun.wait(20)
    for sensor in (1, 2, 3, 2):  # each is let go at once
        tasks.evaluate_sensors(sensor_ids=[sensor])
    go_on.set()
    judging.join(20)
    assert rounds == [[int(porch.mac)], [1, 2, 3]]
    assert AlertEvent.objects.count() == 1


def test_a_long_backlog_lets_others_have_their_turn(alice, porch, rule_for, hear, monkeypatch):
    other = claim_sensor(user=alice, mac=Mac.parse("EF:54:4A:E7:1D:9F"))
    for sensor in (porch, other):
        rule_for(alice, sensor=sensor)
    for minute in range(5):
        hear(5.0, after_s=60 * minute + 60)
    hear(9.5, after_s=600, sensor=other.mac)
    monkeypatch.setattr(evaluation, "MAX_SAMPLES", 1)
    monkeypatch.setattr(tasks, "ROUND_SENSORS", 1)
    monkeypatch.setattr(tasks, "GATHERING_S", 0)
    rounds = []

    def evaluate(*, sensors, now, real=tasks.evaluate):
        rounds.extend(sensors)
        return real(sensors=sensors, now=now)

    monkeypatch.setattr(tasks, "evaluate", evaluate)
    tasks.evaluate_sensors(sensor_ids=[int(porch.mac), int(other.mac)])
    assert rounds[:2] == [int(porch.mac), int(other.mac)]
    assert [event.sensor for event in AlertEvent.objects.all()] == [other.mac]
    assert rounds.count(int(porch.mac)) >= 5


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_died_is_replaced_before_the_next_round(alice, porch, rule_for, hear):
    rule_for(alice)
    hear(9.5, after_s=60)
    connection.ensure_connection()
    if settings.EMBEDDED_DATABASE:  # a file hangs up on nobody
        connection.close()
    else:
        connection.connection.close()
    connection.errors_occurred = True
    tasks.evaluate_sensors(sensor_ids=[int(porch.mac)])
    assert AlertEvent.objects.count() == 1


def test_the_sweep_closes_events_whose_rule_is_gone(alice, porch, rule_for, hear):
    rule_for(alice)
    hear(9.5, after_s=60)
    tasks.sweep()
    AlertRule.objects.all().delete()
    tasks.sweep()
    assert AlertEvent.objects.get().resolved_at


@pytest.fixture
def dead_broker():
    """A broker that takes nothing; whoever tried to reach it is listed."""
    url, options = app.conf.broker_url, app.conf.broker_transport_options
    with socket.create_server(("127.0.0.1", 0)) as server:
        knocks: list[object] = []
        threading.Thread(target=slam, args=[server, knocks], daemon=True).start()
        if settings.EMBEDDED_DATABASE:
            folders = {"data_folder_in": "/dev/null/no", "data_folder_out": "/dev/null/no"}
            app.conf.broker_transport_options = options | folders
        else:
            app.conf.broker_url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        app._after_fork()  # forget open connections
        yield knocks
        app.conf.broker_url, app.conf.broker_transport_options = url, options
        app._after_fork()
        server.shutdown(socket.SHUT_RDWR)


def slam(server: socket.socket, knocks: list[object]) -> None:
    """Close each connection at once, until the server is shut down."""
    with contextlib.suppress(OSError):
        while True:
            caller, address = server.accept()
            knocks.append(address)
            caller.close()


@pytest.mark.storage
def test_a_dead_broker_is_not_tried_again_and_again(alice, rule_for, dead_broker, caplog):
    configure_rule(rule_for(alice), at=timezone.now())
    wake([AlertRule.objects.get().sensor_id])
    assert len(dead_broker) <= 4
    assert "broker unreachable" in caplog.text


def test_sending_waits_in_a_queue_of_its_own():
    queues = {
        name: app.amqp.router.route({}, name)["queue"].name
        for name in ("alerts.deliver", "alerts.evaluate_sensors", "alerts.sweep")
    }
    assert queues == {
        "alerts.deliver": "delivery",
        "alerts.evaluate_sensors": "celery",
        "alerts.sweep": "celery",
    }


def test_silence_is_looked_for_each_minute():
    task = app.conf.beat_schedule["offline"]
    assert (task["task"], task["schedule"]) == (tasks.scan_offline.name, 60.0)


def test_a_message_from_before_an_update_still_sends(alice, porch, phone, rule_for, hear):
    rule_for(alice)
    hear(9.5, after_s=60)
    evaluation.evaluate_sensors(sensors=[porch.mac], now=timezone.now())
    tasks.deliver(delivery_id=1, of_yesterday=True)
    statuses = Delivery.objects.values_list("channel", "status")
    assert set(statuses) == {("push", "not_sent"), ("email", "not_sent")}


def test_the_sweep_sends_what_no_message_announced(alice, porch, phone, rule_for, hear):
    rule_for(alice)
    hear(9.5, after_s=60)
    evaluation.evaluate_sensors(sensors=[porch.mac], now=timezone.now())
    assert delivery.due_channels(timezone.now()) == ["email", "push"]


def test_silent_sensors_are_told_of_through_the_whole_way(alice, porch, phone, rule_for, hear):
    rule = rule_for(alice, type="offline", max=900)
    hear(5.0, after_s=0)
    for second in range(2000, 0, -10):
        note_listening(timezone.now() - timedelta(seconds=second))
    tasks.scan_offline()
    assert AlertEvent.objects.get().rule == rule
