"""From a signed gateway body to a push at Firebase, through a real broker and a real worker."""

import json
import time
from datetime import timedelta

import pytest
from celery.contrib.testing.worker import start_worker
from django.test import Client
from django.utils import timezone

from alerts import tasks
from alerts.fcm_emulator import FcmEmulator
from alerts.models import AlertEvent, AlertRule, Delivery
from alerts.services import configure_rule, register_push_token
from gateways.services import whitelist
from gateways.signature import sign
from ruuvinet.celery import app
from ruuvinet.lib.mac import Mac
from sensors.models import Latest
from sensors.services import claim_sensor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]
GATEWAY = "C8:25:2D:8E:9C:2C"
SECRET = "40:98:A7:78:58:1A:E1:38"
FRIDGE = "F4:1F:0C:28:CB:D6"
# Data format 5: 27.445 °C
PAYLOAD = "0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6"


@pytest.fixture
def fcm(tmp_path, settings):
    with FcmEmulator() as emulator:
        settings.FCM_BASE_URL = emulator.base_url
        settings.FCM_SERVICE_ACCOUNT_FILE = str(
            emulator.service_account_file(tmp_path / "fcm.json")
        )
        yield emulator


@pytest.fixture
def worker(transactional_db):
    # The pool is a thread of this process, so that it uses the test's database and settings.
    with start_worker(app, pool="solo", perform_ping_check=False) as running:
        yield running


@pytest.fixture
def fridge(transactional_db, alice):
    whitelist(mac=Mac.parse(GATEWAY), secret=SECRET, at=timezone.now())
    sensor = claim_sensor(user=alice, mac=Mac.parse(FRIDGE), name="Fridge")
    rule = AlertRule(user=alice, sensor=sensor, type="temperature", max=8)
    configure_rule(rule, at=timezone.now() - timedelta(seconds=5))
    register_push_token(user=alice, token="alice-phone", platform="android")
    return sensor


def post():
    """One post as firmware sends it, heard this second."""
    now = int(time.time())
    tag = {"rssi": -70, "timestamp": now, "data": PAYLOAD}
    data = {
        "coordinates": "",
        "timestamp": now,
        "nonce": 1,
        "gw_mac": GATEWAY,
        "tags": {FRIDGE: tag},
    }
    body = json.dumps({"data": data}, indent=2).encode()
    return Client().post(
        "/record",
        body,
        content_type="application/json",
        headers={"Ruuvi-HMAC-SHA256": sign(body, SECRET)},
    )


def wait_for(condition, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_signed_body_becomes_a_push(fcm, worker, fridge):
    assert post().status_code == 200
    wait_for(lambda: fcm.messages)
    (kept,) = fcm.messages
    shown = json.loads(kept["message"]["data"]["default"])["GCM"]["data"]
    assert shown["title"] == "Temperature 27.45 °C, above the limit of 8 °C"
    assert shown["body"] == "Fridge"
    wait_for(lambda: Delivery.objects.get(channel="push").status == "sent")


@pytest.fixture
def broken_broker():
    """A broker that nobody can reach until `mend()` is called."""
    url, options = app.conf.broker_url, app.conf.broker_transport_options

    class Broken:
        def mend(self) -> None:
            use_broker(url, options)

    if url.startswith("redis"):
        use_broker("redis://127.0.0.1:1/0", options)  # nobody listens there
    else:
        use_broker(url, options | {"data_folder_out": "/nowhere", "data_folder_in": "/dev/null/no"})
    yield Broken()
    use_broker(url, options)


def use_broker(url: str, options: dict) -> None:
    app.conf.broker_url, app.conf.broker_transport_options = url, options
    app._after_fork()  # forget open connections


def test_broker_and_worker_gone_cost_the_gateway_nothing_and_the_alert_comes_once(
    fcm, fridge, broken_broker
):
    assert [post().status_code, post().status_code] == [200, 200]
    assert Latest.objects.get().sensor == fridge.mac
    assert not AlertEvent.objects.exists()
    broken_broker.mend()
    with start_worker(app, pool="solo", perform_ping_check=False):
        tasks.sweep.delay()
        wait_for(lambda: fcm.messages)
        tasks.sweep.delay()
        assert post().status_code == 200
        wait_for(lambda: Delivery.objects.get(channel="push").status == "sent")
    assert AlertEvent.objects.count() == 1
    assert len(fcm.messages) == 1
