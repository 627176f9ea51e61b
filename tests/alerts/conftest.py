"""A porch, a rule and readings: what most alert tests start from."""

from datetime import UTC, datetime

import pytest

from alerts.models import AlertRule
from alerts.services import configure_rule, register_push_token
from ruuvinet.lib.mac import Mac
from sensors.models import Access
from sensors.partitions import ensure_partitions
from sensors.services import Reception, claim_sensor, store

PORCH = Mac.parse("EF:54:4A:E7:1D:9E")
GATEWAY = Mac.parse("C8:25:2D:8E:9C:2C")
# Data format 5 with nothing but a temperature and a movement counter.
FORMAT_5 = "0201061BFF990405{temperature:04X}FFFFFFFF800080008000FFFF{movement:02X}FFFFFFFFFFFFFFFF"


@pytest.fixture
def start() -> datetime:
    """A fixed beginning on a whole minute; readings come after it."""
    return datetime(2026, 4, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def porch(db, alice, start):
    ensure_partitions(int(start.timestamp()))
    return claim_sensor(user=alice, mac=PORCH, name="Porch")


@pytest.fixture
def hear(start):
    """Store a reading of the porch, `after_s` seconds after the start."""

    def hear(
        temperature_c: float,
        *,
        after_s: int,
        movement: int = 0,
        sensor: Mac = PORCH,
        gateway: Mac = GATEWAY,
        rssi_dbm: int = -70,
    ) -> None:
        payload = FORMAT_5.format(
            temperature=round(temperature_c / 0.005) & 0xFFFF, movement=movement
        )
        at = int(start.timestamp()) + after_s
        reception = Reception(int(sensor), at, int(gateway), rssi_dbm, bytes.fromhex(payload))
        store([reception])

    return hear


@pytest.fixture
def rule_for(start, porch):
    def rule_for(user, **fields) -> AlertRule:
        fields = {"sensor": porch, "type": "temperature", "max": 8.0, **fields}
        Access.objects.get_or_create(user=user, sensor=fields["sensor"])
        return configure_rule(AlertRule(user=user, **fields), at=start)

    return rule_for


@pytest.fixture
def phone(alice):
    return register_push_token(user=alice, token="alice-phone", platform="android")
