"""The console in a real browser: what an administrator does on the first day."""

import json
import os
import shutil
import time

import pytest
from django.test import Client
from playwright.sync_api import Page, sync_playwright

from gateways.models import Gateway
from gateways.signature import sign

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
CHROMIUM = shutil.which("chromium")
GATEWAY = "C8:25:2D:8E:9C:2C"
SECRET = "40:98:A7:78:58:1A:E1:38"
TAG = "F4:1F:0C:28:CB:D6"
PAYLOAD = "0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6"
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture
def page(live_server, admin_user, monkeypatch):
    """A signed-in page that fails the test on any console error or request to elsewhere."""
    if not CHROMIUM:
        pytest.skip("chromium is not installed")
    # Playwright keeps an event loop in this thread, which Django takes for asynchronous code.
    monkeypatch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", *QUIET]
        )
        page = browser.new_page()
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: r.url.startswith(live_server.url) or faults.append(r.url))
        page.goto(f"{live_server.url}/admin/")
        page.fill("#id_username", "admin@example.com")
        page.fill("#id_password", "password")
        page.click("input[type=submit]")
        yield page
        browser.close()
    assert faults == []


def post() -> int:
    now = int(time.time())
    tag = {"rssi": -70, "timestamp": now, "data": PAYLOAD}
    body = json.dumps({"data": {"gw_mac": GATEWAY, "timestamp": now, "tags": {TAG: tag}}}).encode()
    headers = {"Ruuvi-HMAC-SHA256": sign(body, SECRET)}
    return (
        Client().post("/record", body, content_type="application/json", headers=headers).status_code
    )


def whitelist(page: Page, url: str, secret: str) -> None:
    page.goto(f"{url}/admin/gateways/gateway/?state=waiting")
    page.check(f"tr:has-text('{GATEWAY}') input[type=checkbox]")
    page.select_option("select[name=action]", "whitelist")
    page.click("button[name=index]")
    page.fill("input[type=password]", secret)
    page.click("input[name=confirm]")


def test_a_gateway_that_knocked_is_whitelisted_and_its_sensor_appears(page, live_server):
    assert post() == 403
    whitelist(page, live_server.url, SECRET)
    page.wait_for_selector(f"text={GATEWAY} is whitelisted.")
    assert post() == 200
    page.goto(f"{live_server.url}/admin/sensors/latest/")
    page.wait_for_selector(f"tr:has-text('{TAG}'):has-text('27.45')")


def test_the_fallback_key_is_refused_with_an_explanation(page, live_server):
    post()
    whitelist(page, live_server.url, "FF:FF:FF:FF:FF:FF:FF:FF")
    page.wait_for_selector("text=anybody could sign with it")
    assert not Gateway.objects.whitelisted().exists()
