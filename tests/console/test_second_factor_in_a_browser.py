"""A second factor is set up and shown in Chromium, as a person does."""

import base64
import re

import pytest
from django_otp.oath import TOTP

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def code_of(key, steps=0):
    return f"{TOTP(base64.b32decode(key), drift=steps).token():06}"


def test_a_person_sets_it_up_and_signs_in_with_it(page, tmp_path):
    page.goto("/admin/second-factor")
    page.wait_for_function("document.querySelector('.qr').naturalWidth > 0")
    page.screenshot(path=tmp_path / "set-up.png", full_page=True)
    key = page.text_content("code.key")
    page.fill("#id_code", code_of(key))
    page.click("button[name=confirm], .buttons button[type=submit]")
    codes = page.locator(".recovery-codes code").all_text_contents()
    page.screenshot(path=tmp_path / "codes.png", full_page=True)
    assert all(re.fullmatch(r"\w{5}-\w{5}", code) for code in codes)
    page.click(".sign-out button")
    page.goto("/admin/login/")
    page.fill("#id_username", "admin@example.com")
    page.fill("#id_password", "password")
    page.click("button[type=submit]")
    page.screenshot(path=tmp_path / "ask.png", full_page=True)
    page.fill("#id_code", code_of(key, steps=1))
    page.click(".buttons button[type=submit]")
    page.wait_for_selector("#overview")
