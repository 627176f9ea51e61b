"""The page of a gateway: what it says in plain words, and what to do about each rejection."""

from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gateways import advice
from gateways.credentials import make_credential
from gateways.models import Gateway, GatewayGroup, GatewayStatus
from gateways.selectors import MAX_STATUSES, status_history
from gateways.services import blacklist, note_rejection, whitelist
from ruuvinet.lib.mac import Mac
from sensors.models import Latest

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
MAC, KEY = Mac.parse("C8:25:2D:8E:9C:2C"), "40:98:A7:78:58:1A:E1:38"
SENSOR = Mac.parse("F4:1F:0C:28:CB:D6")


def page(client, mac=MAC):
    reply = client.get(reverse("admin:gateways_gateway_change", args=[mac]))
    assert reply.status_code == 200
    return " ".join(unescape(reply.content.decode()).split())


@pytest.fixture
def gateway():
    return whitelist(mac=MAC, secret=KEY, at=timezone.now() - timedelta(days=1))


def seen(minutes_ago):
    Gateway.objects.update(last_seen_at=timezone.now() - timedelta(minutes=minutes_ago))


def test_one_that_reports_is_well(admin_client, gateway):
    seen(3)
    assert "All is well: its last accepted post came 3 minutes ago." in page(admin_client)


def test_one_that_is_silent_says_since_when(admin_client, gateway):
    seen(125)
    assert "It is silent: its last accepted post came 2 hours ago." in page(admin_client)


def test_one_that_never_delivered_says_so(admin_client, gateway):
    assert "has delivered nothing yet" in page(admin_client)


def test_one_that_waits_can_be_whitelisted_from_its_page(admin_client):
    unknown = Gateway.Rejection.UNKNOWN
    note_rejection(mac=MAC, reason=unknown, address="", at=timezone.now())
    url = reverse("admin:gateways_gateway_whitelist_one", args=[MAC])
    assert url in page(admin_client)
    admin_client.post(url, {"confirm": "yes", str(MAC): KEY})
    assert Gateway.objects.whitelisted().get().secret == KEY
    assert url not in page(admin_client)


def test_a_blacklisted_one_says_so(admin_client):
    blacklist(mac=MAC, at=timezone.now())
    assert "It is blacklisted" in page(admin_client)


@pytest.mark.parametrize("reason", Gateway.Rejection)
def test_every_rejection_comes_with_a_remedy(admin_client, gateway, reason):
    note_rejection(mac=MAC, reason=reason, address="192.0.2.9", at=timezone.now())
    assert advice.remedy(reason)
    text = page(admin_client)
    assert f"from 192.0.2.9: {reason.label}." in text
    assert advice.remedy(reason) in text


def test_its_period_says_who_set_it(admin_client, gateway, settings):
    assert advice.period(gateway) == f"{settings.GATEWAY_RATE_S} s, from the settings"
    gateway.group = GatewayGroup(name="cold rooms", period_s=120, policy="both")
    assert advice.period(gateway) == "120 s, from its group"
    assert advice.policy(gateway) == "signature and credential, from its group"
    gateway.period_s = 30
    assert advice.period(gateway) == "30 s, its own"


def test_sensors_are_listed_with_how_well_they_are_heard(admin_client, gateway):
    for number, rssi_dbm in enumerate((-60, -75, -85, -95)):
        Latest.objects.create(
            sensor=Mac(SENSOR + number), measured_at=0, gateway=MAC, rssi_dbm=rssi_dbm, payload=b""
        )
    text = page(admin_client)
    for words in ("-60 dBm, strong", "-75 dBm, good", "-85 dBm, weak", "-95 dBm, barely heard"):
        assert words in text


def test_no_secret_is_on_the_page(admin_client, gateway):
    credential = make_credential(kind="bearer", gateway=gateway, at=timezone.now())
    text = page(admin_client)
    assert "Bearer token" in text
    assert KEY not in text
    assert credential.shown_once not in text


def tell(at, **told):
    GatewayStatus.objects.create(
        gateway_id=MAC, received_at=at, esp_firmware="v1.16.0", nrf_firmware="v1.0.0",
        nonce=int(at.timestamp()), told={}, **told,
    )  # fmt: skip


def test_its_statuses_are_drawn_over_time(admin_client, gateway):
    now = timezone.now().replace(microsecond=0)
    for hours in (200, 2, 1):
        tell(now - timedelta(hours=hours), sensors_seen=hours, uptime_s=7200)
    reply = admin_client.get(reverse("admin:gateways_gateway_charts", args=[MAC])).json()
    seen = next(line for line in reply["series"] if line["name"] == "Sensors heard")
    assert seen["mid"] == [2, 1]
    assert seen["t"] == [int((now - timedelta(hours=h)).timestamp()) for h in (2, 1)]
    assert reply["until"] - reply["since"] == 7 * 86400


def test_the_newest_statuses_are_drawn_if_there_are_too_many(gateway, monkeypatch):
    assert MAX_STATUSES > 31 * 24
    monkeypatch.setattr("gateways.selectors.MAX_STATUSES", 2)
    now = timezone.now()
    for minutes in (3, 2, 1):
        tell(now - timedelta(minutes=minutes), sensors_seen=minutes)
    assert status_history(MAC, now - timedelta(days=1))[0]["mid"] == [2, 1]


def test_charts_of_nothing_are_empty(admin_client):
    reply = admin_client.get(reverse("admin:gateways_gateway_charts", args=[MAC]))
    assert reply.json()["series"] == []


@pytest.mark.parametrize("url", ["gateways_gateway_charts", "sensors_sensor_charts"])
def test_charts_are_not_for_everybody_and_not_of_everything(admin_client, url):
    assert Client().get(reverse(f"admin:{url}", args=[MAC])).status_code == 302
    assert admin_client.get(reverse(f"admin:{url}", args=["porch"])).status_code == 404


def test_the_page_costs_the_same_however_much_there_is(
    admin_client, gateway, django_assert_num_queries
):
    page(admin_client)
    with django_assert_num_queries(20, exact=False) as few:
        page(admin_client)
    for number in range(10):
        tell(timezone.now() - timedelta(hours=number), uptime_s=number)
        make_credential(kind="bearer", gateway=gateway, at=timezone.now())
        Latest.objects.create(
            sensor=Mac(SENSOR + number), measured_at=0, gateway=MAC, rssi_dbm=-60, payload=b""
        )
        note_rejection(
            mac=MAC, reason=Gateway.Rejection.SIGNATURE, address=f"192.0.2.{number}",
            at=timezone.now() + timedelta(minutes=number),
        )  # fmt: skip
    with django_assert_num_queries(len(few.captured_queries)):
        page(admin_client)
