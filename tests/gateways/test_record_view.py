"""`/record` over HTTP, through both doors: what URL, headers and proxies do to a gateway's post.

One door is the fast lane with the group commit behind it, as granian serves it; the other is the
view behind Django, as its test client and `runserver` use it.
"""

import json
from ipaddress import ip_network

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from gateways.models import Gateway
from gateways.services import whitelist
from gateways.signature import sign
from gateways.wire import MAX_BODY_BYTES
from sensors.models import Latest
from tests.gateways.conftest import DF5, GATEWAY, KEY, TAG, body_of
from tests.ruuvinet.asgi_server import AsgiServer
from tests.ruuvinet.program import eventually

# The fast lane commits in a thread of its own, which sees only what is committed.
pytestmark = pytest.mark.django_db(transaction=True)

PROXY = "10.0.0.1"
CALLER = "192.0.2.7"


class FastLaneClient(Client):
    """Django's test client in front of the application that granian serves."""

    def request(self, **request):
        environ = self._base_environ(**request)
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "query_string": environ["QUERY_STRING"].encode("latin-1"),
            "headers": _headers(environ),
            "client": (environ["REMOTE_ADDR"], 1234),
        }
        start, content = self.server.answer(scope, WholeBody(environ["wsgi.input"]))
        headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        reply = HttpResponse(content, status=start["status"], headers=headers)
        reply.json = lambda: json.loads(reply.content)
        return reply


class WholeBody:
    """A body that is there when it is asked for."""

    def __init__(self, file):
        self._file = file

    async def receive(self):
        return {"type": "http.request", "body": self._file.read(), "more_body": False}


def _headers(environ):
    """The headers of a WSGI environment as ASGI has them."""
    named = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}
    headers = {named[name]: environ[name] for name in named if environ.get(name)}
    headers |= {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


@pytest.fixture(params=["fast lane", "django"])
def door(request, transactional_db):
    """The class of clients for one of the doors."""
    if request.param == "django":
        yield Client
        return
    with AsgiServer() as FastLaneClient.server:
        yield FastLaneClient


def refused_gateway():
    """The row about a refused post, which the fast lane writes after the answer."""
    assert eventually(Gateway.objects.exclude(rejected_at=None).exists)
    return Gateway.objects.get()


@pytest.fixture
def body():
    return body_of({TAG: {"rssi": -70, "data": DF5}})


@pytest.fixture
def whitelisted():
    return whitelist(mac=GATEWAY, secret=KEY, at=timezone.now())


@pytest.fixture
def post(body, door):
    """Post `body` as a gateway does: signed, and knowing nothing of CSRF."""

    def send(path="/record", *, signature=None, **environ):
        return door(enforce_csrf_checks=True).post(
            path,
            body,
            content_type="application/json",
            **{"HTTP_RUUVI_HMAC_SHA256": signature or sign(body, KEY)} | environ,
        )

    return send


@pytest.mark.storage
@pytest.mark.usefixtures("whitelisted")
@pytest.mark.parametrize("path", ["/record", "/record/", "/record?token=secret", "/record/?a=1"])
def test_post_is_accepted_without_redirect(path, post):
    reply = post(path)

    assert (reply.status_code, reply.json()) == (200, {"result": "success"})
    assert str(Latest.objects.get().sensor) == TAG


@pytest.mark.usefixtures("whitelisted")
def test_answer_is_json_with_its_length_and_the_period(post, settings):
    settings.GATEWAY_RATE_S = 42
    reply = post()

    assert reply["Content-Type"] == "application/json"
    assert int(reply["Content-Length"]) == len(reply.content)
    assert reply["X-Ruuvi-Gateway-Rate"] == "42"
    assert "Set-Cookie" not in reply


@pytest.mark.storage
def test_stranger_is_refused_as_json(post):
    reply = post()

    assert (reply.status_code, reply["Content-Type"]) == (403, "application/json")
    assert reply.json()["code"] == "ER_UNAUTHORIZED"
    assert "WWW-Authenticate" not in reply


@pytest.mark.usefixtures("whitelisted")
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "application/json; charset=no-such-one",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "",
        "\0",
    ],
)
def test_content_type_does_not_matter(content_type, post):
    assert post(CONTENT_TYPE=content_type).status_code == 200


@pytest.mark.usefixtures("whitelisted")
@pytest.mark.parametrize(
    "authorization",
    ["Basic dXNlcjE6cGFzczE=", "Bearer a b", "Token t", "bare key", "Digest x", "\xff"],
)
def test_authorization_beside_the_signature_does_not_matter(authorization, post):
    assert post(HTTP_AUTHORIZATION=authorization).status_code == 200


@pytest.mark.usefixtures("whitelisted")
@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("Ruuvi-HMAC-SHA256", 200),
        ("ruuvi-hmac-sha256", 200),
        ("RUUVI-HMAC-SHA256", 200),
        ("X-Ruuvi-HMAC-SHA256", 403),
        ("X-Ruuvi-Signature", 403),
    ],
)
def test_signature_is_read_from_its_header_in_any_case(name, status, body, door):
    reply = door().post(
        "/record", body, content_type="application/json", headers={name: sign(body, KEY)}
    )

    assert reply.status_code == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/record", "/record/"])
def test_other_methods_are_not_allowed(path, method, door):
    reply = door(enforce_csrf_checks=True).generic(method, path)

    assert (reply.status_code, reply["Allow"]) == (405, "POST")
    assert reply["Content-Type"] == "application/json"
    if method != "HEAD":
        assert reply.json() == {"result": "error", "error": "Only POST."}


class Unreadable:
    def read(self, *_):
        raise AssertionError("the body was read")

    readline = read


@pytest.mark.parametrize("length", [MAX_BODY_BYTES + 1, 10**9, 10**30])
def test_body_that_says_it_is_too_large_is_not_read(length, door):
    reply = door().post(
        "/record",
        content_type="application/json",
        CONTENT_LENGTH=str(length),
        **{"wsgi.input": Unreadable()},
    )

    assert (reply.status_code, reply["Content-Type"]) == (413, "application/json")
    assert reply.json()["result"] == "error"


@pytest.mark.usefixtures("whitelisted")
def test_largest_body_is_accepted(body, door):
    largest = body + b" " * (MAX_BODY_BYTES - len(body))
    reply = door().post(
        "/record",
        largest,
        content_type="application/json",
        headers={"Ruuvi-HMAC-SHA256": sign(largest, KEY)},
    )

    assert reply.status_code == 200


@pytest.mark.parametrize("length", ["", "-1", "0", "+5"])
def test_odd_length_is_never_a_fault(length, post):
    assert post(CONTENT_LENGTH=length).status_code in {400, 403}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\0", b"\xff", b"[" * 100_000], ids=lambda body: repr(body[:2])
)
def test_hostile_body_is_answered_as_json(body, door):
    reply = door().post("/record", body, content_type="application/json")

    assert (reply.status_code, reply["Content-Type"]) == (400, "application/json")
    assert reply["X-Ruuvi-Gateway-Rate"]
    assert json.loads(reply.content)["code"] == "ER_INVALID_FORMAT"


class TestAddress:
    """Where a post came from, as the gateway's row tells it."""

    @pytest.mark.parametrize(
        ("peer", "forwarded_for", "noted"),
        [
            pytest.param(CALLER, None, CALLER, id="straight"),
            pytest.param(CALLER, "198.51.100.1", CALLER, id="a stranger's claim"),
            pytest.param(PROXY, CALLER, CALLER, id="through the proxy"),
            pytest.param(PROXY, f"198.51.100.1, {CALLER}", CALLER, id="a claim before the proxy"),
            pytest.param(PROXY, f"{CALLER}, 10.0.0.2", CALLER, id="through two proxies"),
            pytest.param(PROXY, None, PROXY, id="from the proxy itself"),
            pytest.param(PROXY, " , ", PROXY, id="an empty claim"),
            pytest.param(PROXY, "10.0.0.3, 10.0.0.2", "10.0.0.3", id="only proxies"),
            pytest.param(PROXY, "2001:DB8::7", "2001:db8::7", id="IPv6"),
            pytest.param(PROXY, "::ffff:192.0.2.7", CALLER, id="IPv4 in IPv6"),
            pytest.param("::ffff:10.0.0.1", CALLER, CALLER, id="proxy as IPv4 in IPv6"),
            pytest.param("fe80::1%eth0", None, "fe80::1", id="a scope"),
            pytest.param(PROXY, "unknown", None, id="no address"),
            pytest.param(PROXY, "\0", None, id="NUL"),
            pytest.param("", CALLER, None, id="no peer, as on a socket file"),
        ],
    )
    @pytest.mark.storage
    def test_only_a_trusted_proxy_is_believed(self, peer, forwarded_for, noted, post, settings):
        settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
        forwarded = {} if forwarded_for is None else {"HTTP_X_FORWARDED_FOR": forwarded_for}

        assert post(REMOTE_ADDR=peer, **forwarded).status_code == 403
        assert refused_gateway().rejected_address == noted

    def test_nobody_is_believed_without_trusted_proxies(self, post, settings):
        settings.TRUSTED_PROXIES = []
        post(REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=CALLER)

        assert refused_gateway().rejected_address == PROXY

    @pytest.mark.usefixtures("whitelisted")
    def test_accepted_post_notes_the_client(self, post, settings):
        settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
        post(REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=CALLER)

        assert Gateway.objects.get().last_address == CALLER


@pytest.mark.usefixtures("whitelisted")
def test_gateway_may_know_us_by_any_name(post, settings):
    settings.ALLOWED_HOSTS = ["ruuvi.example.com"]

    assert post(HTTP_HOST="192.168.1.5:8000").status_code == 200


@pytest.mark.parametrize("path", ["/admin/login/", "/whitelist", "/recorder"])
def test_everything_else_is_refused_under_a_name_that_is_not_ours(path, settings):
    settings.ALLOWED_HOSTS = ["ruuvi.example.com"]

    assert Client().get(path, headers={"host": "evil.example"}).status_code == 400


def test_health_may_be_asked_by_address(settings):
    settings.ALLOWED_HOSTS = ["ruuvi.example.com"]

    assert Client().get("/health", headers={"host": "10.0.0.5"}).status_code == 200
