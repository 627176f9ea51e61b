"""`POST /status`, through both doors: believed with proof, otherwise answered and forgotten."""

import json
from base64 import b64encode

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gateways import directory
from gateways.credentials import make_credential, revoke
from gateways.models import Gateway, GatewayReset, GatewayStatus, Policy
from gateways.services import offer_key, whitelist
from gateways.signature import sign
from tests.gateways.conftest import GATEWAY, KEY, OTHER_KEY, golden
from tests.gateways.test_gateway_admin import console, operator

__all__ = ["console", "operator"]
pytestmark = pytest.mark.django_db(transaction=True)

SIGNATURE = "2abb751c62cf57495be83f21d3aca178637b90068f420d54ee455fe3a578f0a7"
PANIC = "Reset by panic: Guru Meditation Error\r\nCore  0 register dump:\r\n" + "PC: 0x40\r\n" * 400


def told(**changes):
    status = json.loads(golden("status")) | changes
    return json.dumps({name: value for name, value in status.items() if value is not None}).encode()


@pytest.fixture
def row():
    return whitelist(mac=GATEWAY, secret=KEY, at=timezone.now())


@pytest.fixture
def post(door):
    client = door(enforce_csrf_checks=True)

    def send(body, *, path="/status", key=KEY, **headers):
        signed = {"Ruuvi-HMAC-SHA256": sign(body, key)} if key else {}
        return client.post(path, body, content_type="application/json", headers=signed | headers)

    return send


@pytest.mark.storage
@pytest.mark.usefixtures("row")
@pytest.mark.parametrize("path", ["/status", "/status/", "/status?id=1"])
def test_the_example_is_stored(path, post):
    assert sign(golden("status"), KEY) == SIGNATURE
    reply = post(golden("status"), path=path)
    stored = GatewayStatus.objects.get()

    assert (reply.status_code, reply.content) == (200, b"{}")
    assert (stored.esp_firmware, stored.nrf_firmware, stored.nrf_alive) == (
        "v1.17.0",
        "v2.0.0",
        True,
    )
    assert (stored.uptime_s, stored.connection, stored.connections_lost) == (3630, "ETHERNET", 1)
    assert (stored.free_bytes, stored.largest_free_block_bytes) == (107564, 55568)
    assert stored.sensors_seen == 2
    assert stored.told["INACTIVE_SENSORS"] == ["E1:9D:F3:4E:B2:72"]
    reset = GatewayReset.objects.get()
    assert (reset.reason, reset.count) == ("SW", 2)
    assert reset.info == "Reset by software: Network watchdog"


@pytest.mark.usefixtures("row")
def test_numbers_may_be_numbers_and_old_firmware_tells_less(post):
    body = told(UPTIME=60, NONCE=5, NUM_CONN_LOST=None, TASKS=None, NRF_STATUS=None, SENSORS_SEEN=7,
                TOTAL_FREE_BYTES_INTERNAL=None)  # fmt: skip

    assert post(body).status_code == 200
    stored = GatewayStatus.objects.get()
    assert (stored.uptime_s, stored.sensors_seen) == (60, 7)
    assert (stored.connections_lost, stored.nrf_alive, stored.free_bytes) == (None, None, None)


@pytest.mark.usefixtures("row")
@pytest.mark.parametrize("key", [None, OTHER_KEY])
def test_an_unsigned_one_is_answered_and_forgotten(key, post):
    reply = post(golden("status"), key=key)

    assert (reply.status_code, reply.content) == (200, b"{}")
    assert not GatewayStatus.objects.exists()
    assert Gateway.objects.get().rejection == ("signature" if key else "unsigned")


def test_that_of_a_stranger_is_answered_and_forgotten(post):
    assert post(golden("status")).status_code == 200
    assert not Gateway.objects.exists()


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"\xff", b"[" * 10_000, told(DEVICE_ADDR=None), told(DEVICE_ADDR="x"),
     told(DEVICE_ADDR=5), told(ESP_FW=None), told(NRF_FW=None), told(ESP_FW=5)],
    ids=lambda body: body[:12],
)  # fmt: skip
@pytest.mark.usefixtures("row")
def test_what_is_no_status_is_refused(body, post):
    reply = post(body)

    assert (reply.status_code, reply.json()["code"]) == (400, "ER_INVALID_FORMAT")
    assert not GatewayStatus.objects.exists()


@pytest.mark.storage
@pytest.mark.usefixtures("row")
@pytest.mark.parametrize(
    "odd",
    [{"UPTIME": -1}, {"UPTIME": "x"}, {"UPTIME": 2**70}, {"UPTIME": [1]}, {"UPTIME": 2**62},
     {"NONCE": None}, {"RESET_INFO": 5}, {"RESET_REASON": {"a": 1}}, {"CONNECTION": "x" * 999},
     {"ESP_FW": "v\0" * 99}, {"TASKS": "\0"}, {"RESET_INFO": "\0" * 99_999}, {"X": "y" * 100_000},
     {"NUM_CONN_LOST": True}, {"RESET_CNT": "1" * 30}, {"ACTIVE_SENSORS": None}],
    ids=lambda odd: str(odd)[:24],
)  # fmt: skip
def test_odd_values_never_are_a_fault(odd, post):
    assert post(told(**odd)).status_code == 200
    assert GatewayStatus.objects.count() == 1


@pytest.mark.usefixtures("row")
class TestResets:
    def test_a_panic_is_kept_when_first_told(self, post):
        post(told(RESET_REASON="PANIC", RESET_INFO=PANIC, NONCE="1", UPTIME="30"))
        post(told(RESET_REASON="PANIC", RESET_INFO=PANIC, NONCE="2", UPTIME="31"))
        post(told(RESET_REASON="PANIC", RESET_INFO="", NONCE="3", UPTIME="32"))

        assert GatewayReset.objects.get().info == PANIC

    def test_the_next_restart_is_another(self, post):
        post(told(NONCE="1", UPTIME="90000"))
        post(told(NONCE="2", UPTIME="30", RESET_CNT="3"))
        post(told(NONCE="3", UPTIME="30", RESET_CNT="3", RESET_REASON="PANIC"))

        assert GatewayReset.objects.count() == 3

    def test_the_dump_may_come_later(self, post):
        post(told(RESET_INFO="", NONCE="1"))
        post(told(RESET_INFO=PANIC, NONCE="2"))

        assert GatewayReset.objects.get().info == PANIC


@pytest.mark.storage
@pytest.mark.usefixtures("row")
def test_a_captured_status_sent_again_changes_nothing_and_is_counted(post):
    for _ in range(3):
        assert post(golden("status")).status_code == 200

    assert (GatewayStatus.objects.count(), GatewayReset.objects.count()) == (1, 1)
    assert Gateway.objects.get().replays == 2


class TestProof:
    def basic(self, password):
        return {"Authorization": f"Basic {b64encode(f'gw1:{password}'.encode()).decode()}"}

    @pytest.mark.parametrize(
        ("policy", "password", "key", "status", "stored"),
        [
            (Policy.SIGNATURE, "wrong", KEY, 200, 1),
            (Policy.SIGNATURE, "right", None, 200, 0),
            (Policy.EITHER, "right", None, 200, 1),
            (Policy.EITHER, "wrong", None, 401, 0),
            (Policy.EITHER, "wrong", KEY, 200, 1),
            (Policy.BOTH, "right", KEY, 200, 1),
            (Policy.BOTH, "right", None, 200, 0),
            (Policy.CERTIFICATE, "right", KEY, 200, 0),
        ],
    )
    def test_the_policy_decides(self, policy, password, key, status, stored, row, post):
        Gateway.objects.update(policy=policy)
        make_credential(kind="basic", name="gw1", secret="right", gateway=row, at=timezone.now())
        reply = post(golden("status"), key=key, **self.basic(password))

        assert (reply.status_code, GatewayStatus.objects.count()) == (status, stored)
        assert "Digest" not in reply.headers.get("WWW-Authenticate", "")

    def test_a_token_may_stand_in_the_url_and_in_no_log(self, row, post, caplog):
        """A gateway's statistics page has no tokens."""
        caplog.set_level("WARNING", "django.request")
        Gateway.objects.update(policy=Policy.EITHER)
        made = make_credential(kind="path", secret="sesame", gateway=row, at=timezone.now())

        assert post(golden("status"), path="/status/sesame", key=None).status_code == 200
        assert GatewayStatus.objects.count() == 1
        revoke(made, timezone.now())
        assert post(golden("status"), path="/status/sesame", key=None).status_code == 200
        assert post(b"{}", path="/status/sesame", key=None).status_code == 400
        assert GatewayStatus.objects.count() == 1
        assert "/status/" in caplog.text
        assert "sesame" not in caplog.text

    def test_the_new_key_is_offered_for_statistics_too(self, row, post):
        offer_key(mac=GATEWAY, at=timezone.now())
        key = Gateway.objects.get().offered_secret

        reply = post(told(NONCE="1"))
        assert reply["Ruuvi-HMAC-KEY"] == key
        assert "X-Ruuvi-Gateway-Rate" not in reply
        assert "Ruuvi-HMAC-KEY" not in post(told(NONCE="2"), key=key)
        assert GatewayStatus.objects.count() == 2
        # The keys of posts and statistics are separate: this says nothing about the other.
        directory.forget_all()
        assert Gateway.objects.get().key_state == "offered"


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_other_methods_are_not_allowed(method):
    reply = Client(enforce_csrf_checks=True).generic(method, "/status")

    assert (reply.status_code, reply["Allow"]) == (405, "POST")


def test_a_body_that_is_too_large_is_refused(post):
    assert post(b" " * 1_000_001, key=None).status_code == 413


@pytest.mark.usefixtures("row")
def test_the_gateway_may_know_us_by_any_name(post, settings):
    settings.ALLOWED_HOSTS = ["ruuvi.example.com"]

    assert post(golden("status"), Host="192.168.1.5").status_code == 200


def test_the_console_shows_status_and_resets(row, post, console):
    post(golden("status"))
    page = console.get(reverse("admin:gateways_gateway_change", args=[row.pk])).content.decode()
    statuses = console.get(reverse("admin:gateways_gatewaystatus_changelist")).content.decode()
    resets = console.get(reverse("admin:gateways_gatewayreset_changelist")).content.decode()

    assert "<dd>v1.17.0</dd>" in page
    for name in ("gatewaystatus", "gatewayreset", "servedconfiguration", "credential"):
        own = f"{reverse(f'admin:gateways_{name}_changelist')}?gateway={row.pk}"
        assert f'href="{own}"' in page
        assert console.get(own).status_code == 200
    told = reverse("admin:gateways_gatewaystatus_change", args=[GatewayStatus.objects.get().pk])
    assert "MIN_FREE_STACK_SIZE" in console.get(told).content.decode()
    assert "1:00:30" in statuses
    assert "v1.17.0" in statuses
    assert "Network watchdog" in resets
