"""Both lanes of `ruuvinet.asgi`: what slow, huge and vanishing requests meet, and Django behind it."""

import asyncio
import json

import pytest
from django.utils import timezone

from gateways.models import Gateway
from gateways.services import whitelist
from gateways.signature import sign
from gateways.wire import MAX_BODY_BYTES
from ruuvinet import asgi
from sensors.models import Latest
from tests.gateways.conftest import DF5, GATEWAY, KEY, TAG, body_of
from tests.ruuvinet.asgi_server import AsgiServer
from tests.ruuvinet.program import eventually

pytestmark = pytest.mark.django_db(transaction=True)

POST = body_of({TAG: {"rssi": -70, "data": DF5}})


@pytest.fixture
def server(transactional_db):
    with AsgiServer() as running:
        yield running


@pytest.fixture
def whitelisted():
    return whitelist(mac=GATEWAY, secret=KEY, at=timezone.now())


class Parts:
    """A body that comes in parts, after which the client stays silent or goes away."""

    def __init__(self, *parts, then="silence"):
        self._parts = list(parts)
        self._then = then
        self._more = len(parts) > 1 or then != "end"

    async def receive(self):
        if self._parts:
            part = self._parts.pop(0)
            more = bool(self._parts) or self._then != "end"
            return {"type": "http.request", "body": part, "more_body": more}
        if self._then == "silence":
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}


def request(path="/record", method="POST", headers=(), client=("192.0.2.7", 1234)):
    signed = [(b"ruuvi-hmac-sha256", sign(POST, KEY).encode())]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"testserver"), *signed, *headers],
        "client": client,
    }


def status_and_body(server, scope, body):
    start, content = server.answer(scope, body)
    return start["status"], json.loads(content)


class TestFastLane:
    @pytest.mark.usefixtures("whitelisted")
    def test_body_in_parts_is_one_body(self, server):
        parts = Parts(POST[:10], POST[10:40], POST[40:], then="end")

        assert status_and_body(server, request(), parts)[0] == 200
        assert Latest.objects.count() == 1

    @pytest.mark.usefixtures("whitelisted")
    def test_half_sent_body_is_given_up(self, server, monkeypatch):
        monkeypatch.setattr(asgi, "GATEWAY_PATIENCE_S", 0.05)
        status, body = status_and_body(server, request(), Parts(POST[:10]))

        assert (status, body["result"]) == (408, "error")

    def test_body_without_a_length_is_read_up_to_the_limit(self, server):
        part = b" " * (MAX_BODY_BYTES // 4)

        assert status_and_body(server, request(), Parts(*[part] * 5))[0] == 413

    @pytest.mark.usefixtures("whitelisted")
    def test_client_that_vanishes_is_answered_nothing(self, server):
        assert server.answer(request(), Parts(POST[:10], then="gone")) == (None, b"")
        assert not Latest.objects.exists()

    def test_name_with_an_underscore_is_no_header(self, server, settings):
        settings.TRUSTED_PROXIES = []
        scope = request(headers=[(b"x_forwarded_for", b"198.51.100.1")])
        server.answer(scope, Parts(POST, then="end"))

        assert eventually(Gateway.objects.exclude(rejected_at=None).exists)
        assert Gateway.objects.get().rejected_address == "192.0.2.7"

    def test_a_fault_of_ours_is_answered(self, server, monkeypatch, caplog):
        monkeypatch.setattr("gateways.fast_lane.open_body", lambda body: 1 / 0)
        status, body = status_and_body(server, request(), Parts(POST, then="end"))

        assert (status, body["code"]) == (500, "ER_INTERNAL")
        assert "could not be handled" in caplog.text


class TestDjango:
    def test_pages_are_served(self, server):
        start, content = server.answer(request("/admin/login/", "GET"), Parts(b"", then="end"))

        assert start["status"] == 200
        assert b"csrfmiddlewaretoken" in content
        assert b"Set-Cookie" in dict(start["headers"])

    def test_files_are_streamed(self, server):
        start, content = server.answer(
            request("/static/admin/css/base.css", "GET"), Parts(b"", then="end")
        )

        assert start["status"] == 200
        assert int(dict(start["headers"])[b"Content-Length"]) == len(content) > 1000

    def test_body_is_read_before_a_thread_is_taken(self, server, monkeypatch):
        monkeypatch.setattr(asgi, "PATIENCE_S", 0.05)
        status, body = status_and_body(server, request("/whitelist"), Parts(b"{"))

        assert (status, body["result"]) == (408, "error")

    def test_long_body_goes_through_a_file(self, server):
        body = b'{"macAddress": "' + b"x" * 600_000 + b'"}'
        parts = Parts(body[:300_000], body[300_000:], then="end")
        headers = [(b"x-internal-secret", b"wrong")]

        assert status_and_body(server, request("/whitelist", headers=headers), parts)[0] == 403

    def test_body_that_comes_in_chunks_without_a_length_is_read(self, server, settings):
        settings.INTERNAL_SECRET = "s" * 40
        headers = [(b"x-internal-secret", b"s" * 40), (b"content-type", b"application/json")]
        Gateway.objects.create(mac=GATEWAY, first_seen_at=timezone.now())
        parts = Parts(f'{{"macAddress": "{GATEWAY}", '.encode(), b'"secret": "x"}', then="end")
        scope = request("/whitelist", headers=headers)

        assert status_and_body(server, scope, parts)[0] == 200

    def test_huge_body_is_refused_before_it_is_read(self, server):
        headers = [(b"content-length", b"10000000000")]
        scope = request("/whitelist", headers=headers)

        assert status_and_body(server, scope, Parts())[0] == 413

    def test_other_origins_may_read_that_their_body_was_refused(self, server):
        headers = [(b"content-length", b"10000000000"), (b"origin", b"https://station.example")]
        start, _ = server.answer(request("/upload", headers=headers), Parts())

        assert dict(start["headers"])[b"Access-Control-Allow-Origin"] == b"*"

    @pytest.mark.parametrize("path", ["/\udcff", "/%00", "/ä", "//", "/a\nb"])
    def test_odd_path_is_not_found(self, path, server):
        assert server.answer(request(path, "GET"), Parts(b"", then="end"))[0]["status"] == 404
