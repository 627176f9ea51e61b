"""The console in a real browser: what an administrator does on the first day, also on a phone."""

import json
import time

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page

from gateways.models import Gateway, IngestMinute
from gateways.signature import sign
from tests.console import fleet
from tests.console.conftest import DESKTOP, PHONE

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
GATEWAY = "C8:25:2D:8E:9C:2C"
SECRET = "40:98:A7:78:58:1A:E1:38"
TAG = "F4:1F:0C:28:CB:D6"
PAYLOAD = "0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6"
POINTS = "Chart.getChart(document.querySelector('canvas')).data.datasets[0].data.length"
sizes = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])


def post(*, seconds_ago: int = 0) -> int:
    now = int(time.time())
    tag = {"rssi": -70, "timestamp": now - seconds_ago, "data": PAYLOAD}
    body = json.dumps({"data": {"gw_mac": GATEWAY, "timestamp": now, "tags": {TAG: tag}}}).encode()
    headers = {"Ruuvi-HMAC-SHA256": sign(body, SECRET)}
    return (
        Client().post("/record", body, content_type="application/json", headers=headers).status_code
    )


def whitelist(page: Page, secret: str) -> None:
    """Two clicks from the first page."""
    page.goto("/admin/")
    page.click("#overview a[href$='/whitelist/']")
    page.fill("input[type=password]", secret)
    page.click("button[name=confirm]")


@sizes
def test_a_gateway_that_knocked_is_whitelisted_and_its_sensors_chart_moves(opened, size):
    assert post() == 403
    with opened(size) as page:
        whitelist(page, SECRET)
        page.wait_for_selector(f"text={GATEWAY} is whitelisted.")
        assert post(seconds_ago=120) == 200
        page.reload()
        page.click(f"a:has-text('{TAG}')")
        page.wait_for_selector("dd:has-text('27.45 °C')")
        page.clock.install()
        page.reload()
        page.wait_for_selector("[data-state=drawn] canvas")
        assert page.evaluate(POINTS) == 1
        assert post() == 200
        page.clock.fast_forward(61_000)
        page.wait_for_function(f"{POINTS} === 2")


@sizes
def test_an_alert_is_followed_to_its_delivery(opened, size):
    fleet.settle(timezone.now())
    with opened(size) as page:
        page.click("#overview a:has-text('Freezer: Temperature over -10')")
        page.click("tr:has-text('failed') a[href*='/delivery/']")
        page.wait_for_selector("text=the mail server does not know this address")


def test_the_chart_of_the_first_page_moves_by_itself(opened):
    with opened() as page:
        page.clock.install()
        page.reload()
        page.wait_for_selector("[data-state=drawn] canvas[aria-label$=': 0 ']")
        minute = timezone.now().replace(second=0, microsecond=0)
        IngestMinute.objects.create(minute=minute, posts=3, readings=18, refused=0)
        page.clock.fast_forward(11_000)
        page.wait_for_selector("canvas[aria-label*='0 to 18']")


@sizes
def test_a_list_is_whitelisted_after_it_was_shown_what_will_happen(opened, size):
    post()
    with opened(size) as page:
        page.click("text=Whitelist many from a CSV file")
        page.fill("textarea", f"mac,key,name\n{GATEWAY},{SECRET},Barn\nC8:25:2D,{SECRET}\n")
        page.click("button[name=confirm]")
        page.wait_for_selector("tr:has-text('Barn'):has-text('will be whitelisted; it waits')")
        page.wait_for_selector("tr:has-text('Left out: a MAC address looks like')")
        assert SECRET not in page.content()
        assert not Gateway.objects.whitelisted().exists()
        page.click("button[name=confirm]")
        page.wait_for_selector("text=1 gateways are whitelisted.")
        assert Gateway.objects.whitelisted().get().name == "Barn"


def test_the_fallback_key_is_refused_with_an_explanation(page):
    post()
    whitelist(page, "FF:FF:FF:FF:FF:FF:FF:FF")
    page.wait_for_selector("text=anybody could sign with it")
    assert not Gateway.objects.whitelisted().exists()
