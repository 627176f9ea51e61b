"""The factory line: `POST /register-sensor`."""

import json

import pytest
from django.test import Client

from ruuvinet.lib.mac import Mac
from sensors.models import Sensor
from sensors.services import SensorRegistered, claim_sensor, register_sensor
from tests.threads import at_once

MAC, SECRET = "AA:BB:CC:DD:EE:FF", "DE:AD:BE:EF:00:11:22:33"
OTHER = "DE:AD:BE:EF:00:11:22:34"
SENSOR = Mac.parse(MAC)


@pytest.fixture
def register(db, settings):
    settings.INTERNAL_SECRET = "between us"

    def send(body, *, credentials="between us"):
        return Client().generic(
            "POST",
            "/register-sensor",
            json.dumps(body),
            headers={"X-Internal-Secret": credentials} if credentials else {},
        )

    return send


def stored():
    return Sensor.objects.get(mac=SENSOR)


@pytest.mark.storage
def test_200_sensor_was_added(register):
    reply = register({"macAddress": MAC, "secret": SECRET})

    assert reply.status_code == 200
    assert reply.json() == {"result": "success", "data": {"sensor": MAC, "macAddress": MAC}}
    assert stored().has_secret(SECRET)
    assert not stored().has_secret(OTHER)


@pytest.mark.parametrize("missing", ["macAddress", "secret"])
def test_400_a_parameter_is_missing(missing, register):
    body = {"macAddress": MAC, "secret": SECRET}
    del body[missing]
    reply = register(body)

    assert (reply.status_code, missing in reply.json()["error"]) == (400, True)
    assert not Sensor.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("macAddress", "AA:BB:CC:DD:EE"),
        ("macAddress", 1),
        ("macAddress", None),
        ("secret", ""),
        ("secret", "1234"),
        ("secret", SECRET + ":44"),
        ("secret", SECRET.replace("D", "X")),
        ("secret", "\ud800"),
        ("secret", ["DE"]),
        ("secret", 10**12),
        ("also", "unknown"),
    ],
)
def test_400_data_is_invalid(field, value, register):
    reply = register({"macAddress": MAC, "secret": SECRET, field: value})

    assert (reply.status_code, reply.json()["code"]) == (400, "ER_INVALID_FORMAT")
    assert not Sensor.objects.exists()


@pytest.mark.parametrize("credentials", [None, "wrong"])
def test_403_missing_or_invalid_internal_secret(credentials, register):
    reply = register({"macAddress": MAC, "secret": SECRET}, credentials=credentials)

    assert (reply.status_code, reply.json()["code"]) == (403, "ER_FORBIDDEN")
    assert not Sensor.objects.exists()


@pytest.mark.parametrize(
    "again", [SECRET, SECRET.lower(), SECRET.replace(":", "-"), SECRET.replace(":", "")]
)
def test_the_same_secret_again_is_fine_however_it_is_written(again, register):
    register({"macAddress": MAC, "secret": SECRET})

    assert register({"macAddress": MAC.lower(), "secret": again}).status_code == 200
    assert stored().has_secret(again)


def test_another_secret_is_a_conflict_and_changes_nothing(register):
    register({"macAddress": MAC, "secret": SECRET})
    reply = register({"macAddress": MAC, "secret": OTHER})

    assert (reply.status_code, reply.json()["code"]) == (409, "ER_SENSOR_ALREADY_REGISTERED")
    assert SECRET not in reply.content.decode()
    assert stored().has_secret(SECRET)


@pytest.mark.parametrize("spelling", [MAC.lower(), MAC.replace(":", "-")])
def test_the_mac_is_echoed_as_written(spelling, register):
    reply = register({"macAddress": spelling, "secret": SECRET})

    assert reply.json()["data"] == {"sensor": spelling, "macAddress": spelling}


def test_a_claimed_sensor_gets_its_secret_and_keeps_its_owner(register, alice):
    claim_sensor(user=alice, mac=SENSOR)
    register({"macAddress": MAC, "secret": SECRET})

    assert (stored().owner, stored().has_secret(SECRET)) == (alice, True)


@pytest.mark.django_db
def test_a_sensor_without_a_registered_secret_has_none(alice):
    sensor = claim_sensor(user=alice, mac=SENSOR)

    assert not any(sensor.has_secret(secret) for secret in ("", SECRET, "0" * 16))


def test_the_secret_cannot_be_read_in_the_database(register):
    register({"macAddress": MAC, "secret": SECRET})

    assert SECRET.replace(":", "") not in stored().secret_hash.upper()
    assert len(stored().secret_hash) == 64


@pytest.mark.django_db
def test_the_same_secret_of_two_sensors_looks_different():
    for mac in (SENSOR, Mac(SENSOR - 1)):
        register_sensor(mac=mac, secret=SECRET)

    assert Sensor.objects.values("secret_hash").distinct().count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.storage
def test_of_two_secrets_at_once_one_wins():
    def register(secret):
        try:
            register_sensor(mac=SENSOR, secret=secret)
        except SensorRegistered:
            return None
        return secret

    won = [s for s in at_once(lambda: register(SECRET), lambda: register(OTHER)) if s]

    assert len(won) == 1
    assert stored().has_secret(won[0])
