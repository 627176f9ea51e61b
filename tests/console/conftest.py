"""A signed-in Chromium that fails the test on any console error or request to elsewhere."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def browser(monkeypatch) -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("chromium is not installed")
    # Playwright keeps an event loop in this thread, which Django takes for asynchronous code.
    monkeypatch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        args = ["--no-sandbox", "--disable-gpu", *QUIET]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, live_server, admin_user) -> Callable[..., object]:
    """`with opened(size, scheme) as page`: an administrator at the first page."""

    @contextmanager
    def opened(size: dict[str, int] = DESKTOP, scheme: str = "light") -> Iterator[Page]:
        faults: list[str] = []
        context = browser.new_context(
            viewport=size, color_scheme=scheme, base_url=live_server.url, timezone_id="UTC"
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda r: r.url.startswith(live_server.url) or faults.append(r.url))
        page.goto("/admin/")
        page.fill("#id_username", "admin@example.com")
        page.fill("#id_password", "password")
        page.click("button[type=submit]")
        page.wait_for_selector("#overview")
        yield page
        context.close()
        assert faults == []

    return opened


@pytest.fixture
def page(opened) -> Iterator[Page]:
    with opened() as page:
        yield page
