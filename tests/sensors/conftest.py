"""Sensors as their people use them: alice's porch with two days of history, in a frozen now."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from django.conf import settings as django_settings

from ruuvinet.lib.mac import Mac
from sensors.models import Sensor
from sensors.partitions import ensure_partitions
from sensors.services import Reception, claim_sensor, store
from sensors.sharing import share_sensor
from subscriptions.models import Subscription

# On SQLite there are neither partitions nor views; on PostgreSQL whole partitions are dropped.
collect_ignore = (
    ["test_decoded_views.py", "test_rewriting.py"]
    if django_settings.EMBEDDED_DATABASE
    else ["test_purge.py"]
)

NOW = 1775069475  # 2026-04-01 18:51:15 UTC; Unix seconds
PORCH = Mac.parse("F4:1F:0C:28:CB:D6")
GATEWAY = Mac.parse("C8:25:2D:8E:9C:2C")
DF5 = bytes.fromhex("0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6")
AIR = bytes.fromhex("2BFF9904E1" + "17" * 39)


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        ensure_partitions(NOW)
        ensure_partitions(NOW - 21 * 86400)


@pytest.fixture
def now() -> Iterator[int]:
    """The clock of the requests stands here."""
    with time_machine.travel(NOW, tick=False):
        yield NOW


@pytest.fixture
def hear():
    """Store what a sensor measured at each of some times, Unix seconds."""

    def hear(*times: int, mac: Mac = PORCH) -> None:
        for time in times:
            store([Reception(int(mac), time, int(GATEWAY), -76, DF5)])

    return hear


@pytest.fixture
def porch(alice, now, hear) -> Sensor:
    """Alice's sensor, claimed an hour ago, heard a minute ago."""
    sensor = claim_sensor(user=alice, mac=PORCH, name="Porch", at=at(NOW - 3600))
    hear(NOW - 60)
    return sensor


@pytest.fixture
def hear_all():
    """Store one advertisement of the porch for each time."""

    def hear_all(payloads):
        store([Reception(int(PORCH), t, int(GATEWAY), -76, p) for t, p in payloads.items()])

    return hear_all


@pytest.fixture
def shared_porch(porch, alice, bob) -> Sensor:
    """The same, shared with bob."""
    share_sensor(user=alice, mac=PORCH, email=bob.email, at=at(NOW - 1800))
    return porch


@pytest.fixture
def plan():
    """Give somebody a plan."""

    def plan(user, **allowance):
        Subscription.objects.create(user=user, name="Basic", starts_at=at(NOW - 9), **allowance)

    return plan


@pytest.fixture
def folder(tmp_path, settings):
    """Where the pictures of a test lie."""
    storages = {**django_settings.STORAGES}
    options = {**storages["pictures"]["OPTIONS"], "location": str(tmp_path)}
    settings.STORAGES = {**storages, "pictures": {**storages["pictures"], "OPTIONS": options}}
    return tmp_path / "pictures"


def refused(reply, status: int, code: str | None, text: str | None = None, sub_code=None) -> bool:
    """Whether `reply` is the envelope of an error, with nothing else in it."""
    body = {"result": "error", "error": text or reply.json().get("error")}
    body |= {"code": code} if code else {}
    body |= {"sub_code": sub_code} if sub_code else {}
    assert (reply.status_code, reply.json()) == (status, body)
    assert reply["Content-Type"] == "application/json"
    return True
