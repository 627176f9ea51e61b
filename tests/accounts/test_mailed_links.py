"""The links in mails, opened by apps and by browsers."""

import re

import pytest
from django.test import Client

from accounts.codes import Purpose, make_code
from accounts.models import AccessToken, OneTimeCode, User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
PAGE = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def browser():
    return Client(enforce_csrf_checks=True, headers=PAGE)


@pytest.fixture
def code(alice, now):
    return make_code(Purpose.SIGN_IN, email=alice.email, at=now)


@pytest.fixture
def deletion(alice, now):
    return make_code(Purpose.DELETE_ACCOUNT, email=alice.email, at=now)


@pytest.mark.parametrize("url", ["/verify?token={}", "/verify/{}"])
def test_a_browser_is_shown_the_code_and_nothing_is_used_up(browser, code, url):
    reply = browser.get(url.format(code.lower()))
    assert (reply.status_code, reply["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert code in reply.text
    assert reply["Cache-Control"] == "no-store"
    assert OneTimeCode.objects.exists()
    assert not AccessToken.objects.exists()


def test_the_button_goes_on_to_the_web_ui(browser, code, settings):
    assert "<button" not in browser.get(f"/verify?token={code}").text
    settings.STATION_URL = "https://station.example"
    assert '<form method="post"><button' in browser.get(f"/verify?token={code}").text
    reply = browser.post(f"/verify?token={code}")
    assert (reply.status_code, reply["Location"]) == (
        303,
        f"https://station.example/?token={code}",
    )
    assert OneTimeCode.objects.exists()


@pytest.mark.parametrize("token", ["", "<script>", "ä"])
def test_a_browser_with_an_odd_link_is_told_so(browser, token):
    for url in ("/verify", "/verify-delete"):
        method = browser.get if url == "/verify" else browser.post
        reply = method(f"{url}?token={token}")
        assert reply.status_code == 403
        assert "does not work any more" in reply.text
        assert "<script>" not in reply.text


@pytest.mark.parametrize(
    ("accepted", "language", "words"),
    [
        ("fi-FI,fi;q=0.9,en;q=0.8", "fi", "Poistetaanko tilisi?"),
        ("de,sv;q=0.5", "sv", "Ska ditt konto tas bort?"),
        ("de", "en", "Delete your account?"),
        ("", "en", "Delete your account?"),
        ("*;q=x,,,", "en", "Delete your account?"),
    ],
)
def test_pages_speak_the_browsers_language(browser, accepted, language, words):
    page = browser.get("/verify-delete?token=x", headers={"Accept-Language": accepted}).text
    assert f'<html lang="{language}">' in page
    assert words in page


@pytest.mark.parametrize("method", ["head", "put", "patch", "delete"])
@pytest.mark.parametrize("url", ["/verify", "/verify-delete"])
def test_mail_scanners_change_nothing(client, code, deletion, method, url):
    for token in (code, deletion):
        assert getattr(client, method)(f"{url}?token={token}").status_code == 405
    assert OneTimeCode.objects.count() == 2


def test_an_app_may_post_as_well(client, code):
    assert client.post(f"/verify?token={code}").json()["data"]["email"] == "alice@example.com"


class TestDeletion:
    def ask(self, app, email="alice@example.com"):
        return app.post("/request-delete", {"email": email})

    def test_a_link_is_mailed(self, alice, signed_in, mailed):
        reply = self.ask(signed_in(alice), "Alice@Example.com")
        assert reply.json() == {"result": "success", "data": {"email": "alice@example.com"}}
        assert re.search(
            r"/verify-delete\?token=[A-Z0-9]{32}$", mailed("alice@example.com")["link"]
        )

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({}, 400, "ER_MISSING_ARGUMENT"),
            ({"email": ""}, 400, "ER_MISSING_ARGUMENT"),
            ({"email": "alice"}, 400, "ER_INVALID_EMAIL_ADDRESS"),
            ({"email": {}}, 400, "ER_INVALID_EMAIL_ADDRESS"),
            ({"email": "bob@example.com"}, 403, "ER_UNAUTHORIZED"),
        ],
    )
    def test_a_wrong_address_is_refused(self, alice, signed_in, body, status, code):
        reply = signed_in(alice).post("/request-delete", body)
        assert (reply.status_code, reply.json()["code"]) == (status, code)
        assert not OneTimeCode.objects.exists()

    def test_without_a_token_nothing_is_asked(self, client):
        assert client.post("/request-delete").status_code == 401

    def test_links_are_mailed_ten_times_an_hour(self, alice, signed_in):
        app = signed_in(alice)
        assert [self.ask(app).status_code for _ in range(11)] == [200] * 10 + [429]

    @pytest.mark.parametrize("url", ["/verify-delete?token={}", "/verify-delete/{}"])
    def test_an_app_that_opens_the_link_deletes(self, client, deletion, url):
        assert client.get(url.format(deletion)).json() == {"result": "success"}
        assert not User.objects.exists()

    def test_a_browser_is_asked_first(self, browser, deletion):
        page = browser.get(f"/verify-delete?token={deletion}")
        assert '<form method="post"><button' in page.text
        assert User.objects.exists()
        reply = browser.post(f"/verify-delete?token={deletion}")
        assert "Your account is deleted" in reply.text
        assert not User.objects.exists()

    def test_a_link_works_once_and_for_a_day(self, client, bob, deletion, clock):
        clock.shift(86400)
        assert client.get(f"/verify-delete?token={deletion}").status_code == 403
        clock.shift(-1)
        assert client.get(f"/verify-delete?token={deletion}").status_code == 200
        reply = client.get(f"/verify-delete?token={deletion}")
        assert (reply.status_code, reply.json()) == (
            403,
            {"result": "error", "error": "Unauthorized request.", "code": "ER_UNAUTHORIZED"},
        )
        assert User.objects.get() == bob

    def test_a_sign_in_code_deletes_nobody(self, client, code):
        assert client.get(f"/verify-delete?token={code}").status_code == 403
        assert User.objects.exists()


def test_there_is_no_firmware_to_offer(client):
    assert client.get("/air_firmwareupdate").json() == {
        "result": "success",
        "data": {"latest": None, "beta": None, "alpha": None},
    }


@pytest.mark.parametrize(
    "url", ["/apple-app-site-association", "/.well-known/apple-app-site-association"]
)
def test_ios_learns_which_app_opens_the_links(client, settings, url):
    assert client.get(url).json() == {"applinks": {"apps": [], "details": []}}
    settings.IOS_APP_ID = "TEAM.com.example.station"
    (detail,) = client.get(url).json()["applinks"]["details"]
    assert detail == {"appID": "TEAM.com.example.station", "paths": ["/verify", "/verify/*"]}
