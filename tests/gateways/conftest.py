"""Gateways as they post: signed bodies of one day, on which the history has room."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client

from gateways import record as recording
from gateways.guesses import Guesses
from gateways.models import Gateway
from gateways.record import Reply, Request, record
from gateways.services import whitelist
from gateways.signature import sign
from ruuvinet.lib.mac import Mac
from sensors.models import Latest, Measurement, SparseMeasurement
from sensors.partitions import ensure_partitions
from tests.gateways.doors import FastLaneClient
from tests.ruuvinet.asgi_server import AsgiServer

BODIES = Path(__file__).parents[1] / "golden" / "bodies"
NOW = 1775069475  # 2026-04-01 18:51:15 UTC, the day of the golden bodies; Unix seconds
ADDRESS = "192.0.2.7"
GATEWAY, KEY = Mac.parse("C8:25:2D:8E:9C:2C"), "40:98:A7:78:58:1A:E1:38"
OTHER_GATEWAY, OTHER_KEY = Mac.parse("C8:25:2D:8E:9C:2D"), "40:98:A7:78:58:1A:E1:39"
TAG, AIR = "F4:1F:0C:28:CB:D6", "FD:54:6F:6C:52:92"
DF5 = "0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6"
DF6 = "0201061BFF990406170C5668C79E007000C90501D900CD004E000000000000"
E1 = "2BFF9904E114595CB0C6460030003A0041004402364300FFFFFFFFFFFF103B37F8FFFFFFFFFFFD546F6C5292030398FC"
FOREIGN = "02011A0BFF4C001006131AAB12CD34"  # a phone passing by


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def tag(data: str = DF5, *, timestamp: object = NOW - 6, rssi: object = -70, **more) -> dict:
    return {"rssi": rssi, "timestamp": timestamp, "data": data, **more}


def tags(count: int) -> dict:
    """That many sensors, each heard once."""
    return {str(Mac(0xF41F0C000000 + number)): tag() for number in range(count)}


def body_of(tags: object, *, gw_mac: object = str(GATEWAY), **data) -> bytes:
    """A body without timestamp, unless `data` has one."""
    return json.dumps({"data": {"gw_mac": gw_mac, "nonce": 1, "tags": tags, **data}}).encode()


def golden(name: str) -> bytes:
    return (BODIES / f"{name}.json").read_bytes()


@dataclass(frozen=True)
class Sender:
    """A gateway out there that signs with `key`, whatever the server thinks of it."""

    mac: Mac
    key: str

    def send(
        self,
        body: bytes,
        *,
        now: int = NOW,
        address: str = ADDRESS,
        signature: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Deliver `body` at `now`; an empty `signature` sends none."""
        signature = sign(body, self.key) if signature is None else signature
        signed = {"ruuvi-hmac-sha256": signature} if signature else {}
        return record(Request(body, signed | (headers or {}), at(now), address))

    def post(self, tags: object, *, now: int = NOW, address: str = ADDRESS, **data) -> Reply:
        data.setdefault("timestamp", now)
        return self.send(body_of(tags, gw_mac=str(self.mac), **data), now=now, address=address)

    def row(self) -> Gateway:
        return Gateway.objects.get(mac=self.mac)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        ensure_partitions(NOW)


@pytest.fixture
def stranger():
    """A gateway that nobody has whitelisted."""
    return Sender(GATEWAY, KEY)


@pytest.fixture
def gateway(db):
    """A gateway whitelisted an hour ago."""
    whitelist(mac=GATEWAY, secret=KEY, at=at(NOW - 3600))
    return Sender(GATEWAY, KEY)


@pytest.fixture
def other_gateway(db):
    """The neighbour of `gateway`, which hears the same sensors."""
    whitelist(mac=OTHER_GATEWAY, secret=OTHER_KEY, at=at(NOW - 3600))
    return Sender(OTHER_GATEWAY, OTHER_KEY)


@pytest.fixture
def stored(db):
    """Reads everything stored: rows of dense, sparse and latest, each in the order of the key."""

    def read() -> tuple[list, list, list]:
        history = ("sensor", "slot", "measured_at", "gateway", "rssi_dbm", "payload")
        latest = ("sensor", "measured_at", "gateway", "rssi_dbm", "payload", "data_format")
        return (
            rows(Measurement.objects.order_by("sensor", "slot").values_list(*history)),
            rows(SparseMeasurement.objects.order_by("sensor", "slot").values_list(*history)),
            rows(Latest.objects.order_by("sensor").values_list(*latest)),
        )

    return read


def rows(found) -> list[tuple]:
    return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in found]


@pytest.fixture(autouse=True)
def _no_guesses(monkeypatch):
    """Other tests guess too, from the same address in the same minute."""
    monkeypatch.setattr(recording, "GUESSES", Guesses())


@pytest.fixture(params=["fast lane", "django"])
def door(request, transactional_db):
    """The class of clients for one of the doors."""
    if request.param == "django":
        yield Client
        return
    with AsgiServer() as FastLaneClient.server:
        yield FastLaneClient
