"""Webhooks against a real server, and against names and addresses that mean harm."""

import contextlib
import hashlib
import hmac
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alerts.transports import webhook
from alerts.transports.base import DeliveryError, Destination
from alerts.transports.webhook import Webhook, is_public, signature
from tests.alerts.transports.test_push_messages import FRIDGE


class Receiver(ThreadingHTTPServer):
    """A person's server: keeps what was posted and answers as told."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.posts: list[tuple[str, dict, bytes]] = []
        self.status, self.headers = 200, {}
        self.drip = False

    def handle_error(self, request, client_address):
        """Say nothing of callers that hung up, as they must on one that drips."""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_address[1]}/hook?a=1"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def log_message(self, format, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, dict(self.headers), body))
        if self.server.drip:
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"H")
                    threading.Event().wait(0.05)
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture
def receiver(settings):
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send(url):
    Webhook().send(FRIDGE, Destination(address=url, secret="shared"))


def failure(url) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        send(url)
    return raised.value


def test_a_post_tells_all_in_the_units_of_the_api(receiver):
    send(receiver.url)
    ((path, headers, body),) = receiver.posts
    assert path == "/hook?a=1"
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == f"localhost:{receiver.server_address[1]}"
    assert json.loads(body) == {
        "id": "event-17",
        "type": "alert",
        "time": "2026-04-01T12:00:00Z",
        "late": False,
        "sensor": "AA:BB:CC:DD:EE:FF",
        "name": "Fridge",
        "alertType": "temperature",
        "trigger": "over",
        "value": 8.5,
        "threshold": 8,
        "description": "check door",
        "text": "Temperature is over 8 °C",
    }


def test_a_post_is_signed_with_the_shared_secret(receiver):
    send(receiver.url)
    ((_, headers, body),) = receiver.posts
    signed = headers["X-RuuviNet-Timestamp"].encode() + b"." + body
    expected = hmac.new(b"shared", signed, hashlib.sha256).hexdigest()
    assert headers["X-RuuviNet-Signature"] == f"sha256={expected}"


def test_a_signature_depends_on_secret_time_and_body():
    assert len({signature("a", 1, b"x"), signature("b", 1, b"x"), signature("a", 2, b"x")}) == 3


@pytest.mark.parametrize(
    ("status", "permanent", "retires"),
    [
        (500, False, False),
        (503, False, False),
        (429, False, False),
        (408, False, False),
        (301, True, False),
        (404, True, False),
        (401, True, False),
        (410, True, True),
    ],
)
def test_what_an_answer_means(receiver, status, permanent, retires):
    receiver.status = status
    error = failure(receiver.url)
    assert (error.permanent, error.retire_address) == (permanent, retires)
    assert str(status) in error.message


def test_the_alarm_of_a_server_that_hung_up_says_nothing(receiver):
    pinned = webhook._Pinned("127.0.0.1", "localhost", receiver.server_address[1], secure=False)
    with contextlib.closing(socket.socket()) as unconnected:
        pinned.raw = unconnected
        pinned.shut()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_2xx_is_success(receiver, status):
    receiver.status = status
    send(receiver.url)


def test_retry_after_is_read(receiver):
    receiver.status, receiver.headers = 503, {"Retry-After": "120"}
    assert failure(receiver.url).retry_after_s == 120


def test_a_redirect_is_not_followed(receiver):
    receiver.status, receiver.headers = 302, {"Location": receiver.url}
    assert failure(receiver.url).permanent
    assert len(receiver.posts) == 1


def test_a_server_that_is_down_is_temporary(settings):
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
    assert not failure("http://127.0.0.1:1/").permanent


def test_a_server_that_drips_is_left(receiver, monkeypatch):
    monkeypatch.setattr(webhook, "ALL_IN_S", 0.4)
    receiver.drip = True
    assert not failure(receiver.url).permanent


# --- where posts may go --------------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "::127.0.0.1",
        "::ffff:0:7f00:1",
        "64:ff9b:1::7f00:1",
        "fec0::1",
        "nonsense",
    ],
)
def test_an_address_of_our_own_network_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_an_address_on_the_internet_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"])
def test_nothing_is_posted_into_our_own_network(receiver, settings, host):
    settings.WEBHOOK_PRIVATE_ADDRESSES = False
    assert failure(f"https://{host}:{receiver.server_address[1]}/").permanent
    assert receiver.posts == []


def test_a_name_with_one_private_address_among_others_is_refused(settings, monkeypatch):
    entries = [(2, 1, 6, "", (address, 443)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    assert failure("https://rebinding.example/").permanent


def test_a_name_is_resolved_once(receiver, monkeypatch):
    asked = []
    real = socket.getaddrinfo

    def count(host, *args, **kwargs):
        asked.append(host)
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", count)
    send(receiver.url)
    assert asked.count("localhost") == 1


@pytest.mark.parametrize("url", ["http://example.com/", "ftp://example.com/", "https:///x", "x"])
def test_only_https_leaves_the_house(url):
    assert failure(url).permanent


@pytest.mark.parametrize("url", ["https://a:99999/", "https://a:b/"])
def test_a_url_that_cannot_be_read_is_a_failure_and_no_fault(url):
    assert failure(url)
