"""The log: one line for each event, whose request it was, and never a secret."""

import gzip
import io
import json
import logging
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_network
from pathlib import Path

import pytest
from celery.signals import before_task_publish
from django.db import DatabaseError
from django.test import Client

from accounts.models import User
from gateways import record as recording
from ruuvinet import asgi, views
from ruuvinet.celery import app
from ruuvinet.lib.logs import REQUEST_ID, Json, Text, redacted
from tests.gateways.conftest import GATEWAY, TAG, body_of, tag
from tests.gateways.doors import FastLaneClient
from tests.ruuvinet.asgi_server import AsgiServer

ROOT = Path(__file__).parents[2]
# Importing it sets the log up anew, so that has to be over before a test listens.
assert asgi.application
SECRET = "Qx7VeryPrivate9fK2mPz"


@pytest.fixture(params=[Text, Json], ids=["text", "json"])
def written(request):
    """All that is logged, as the log would hold it; even what is usually left out."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    root, quiet = logging.getLogger(), ["django.request", "django.security.DisallowedHost", "axes"]
    levels = {name: logging.getLogger(name).level for name in ["", *quiet]}
    for name in levels:
        logging.getLogger(name).setLevel(logging.INFO)
    root.addHandler(handler)
    yield stream.getvalue
    root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def record_of(message: str, *args, **more) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "some.logger", "levelname": "ERROR", "msg": message, "args": args, **more}
    )


def failed():
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        return sys.exc_info()


# --- One line --------------------------------------------------------------------------------
@pytest.mark.parametrize("form", [Text(), Json()], ids=["text", "json"])
def test_an_event_is_one_line_whatever_it_says(form):
    line = form.format(record_of("two\nlines of %s", "a\r\nstranger", exc_info=failed()))

    assert len(line.splitlines()) == 1
    assert "stranger" in line
    assert "test_logs.py" in line  # the traceback is in it


def test_json_has_named_parts_and_nothing_that_a_record_carries_beside():
    REQUEST_ID.set("abc")
    try:
        told = json.loads(Json().format(record_of("%d °C", 5, request=SECRET, exc_info=failed())))
    finally:
        REQUEST_ID.set("")

    assert told.pop("exception").endswith("ValueError: first\nsecond")
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "ERROR", "logger": "some.logger", "message": "5 °C", "request_id": "abc",
    }  # fmt: skip


# --- Whose request ---------------------------------------------------------------------------
@pytest.fixture
def unlucky(monkeypatch):
    """`/health/ready` fails for a reason of ours."""

    def fail(*_):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(views, "parts", fail)
    return Client(raise_request_exception=False)


def test_each_line_of_a_request_has_its_name_and_so_has_the_answer(unlucky, written):
    reply = unlucky.get("/health/ready")
    name = reply.headers["X-Request-ID"]

    assert (reply.status_code, len(name)) == (500, 16)
    (line,) = [line for line in written().splitlines() if "/health/ready" in line]
    assert name in line
    assert REQUEST_ID.get() == ""


def test_two_requests_have_two_names(unlucky):
    names = {unlucky.get("/health").headers["X-Request-ID"] for _ in range(2)}
    assert len(names) == 2


def test_the_line_about_a_refusal_has_its_name(written):
    name = Client().get("/nowhere").headers["X-Request-ID"]

    (line,) = written().splitlines()
    assert "Not Found: /nowhere" in line
    assert name in line


@pytest.mark.parametrize("peer", ["192.0.2.1", "192.0.2.9"])
def test_only_a_trusted_proxy_may_name_a_request(peer, settings):
    settings.TRUSTED_PROXIES = [ip_network("192.0.2.1")]
    reply = Client().get("/health", headers={"x-request-id": "from-nginx"}, REMOTE_ADDR=peer)

    assert (reply.headers["X-Request-ID"] == "from-nginx") == (peer == "192.0.2.1")


@pytest.mark.parametrize("name", ["a b", "a\nb", "ä", "x" * 65, ""])
def test_an_odd_name_is_replaced(name, settings):
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1")]
    meta = {"HTTP_X_REQUEST_ID": name}
    assert len(Client().get("/health", **meta).headers["X-Request-ID"]) == 16


@pytest.mark.django_db(transaction=True)
def test_a_post_of_a_gateway_has_a_name_too(monkeypatch, settings, written):
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1")]

    def fail(*_):
        raise ZeroDivisionError

    with AsgiServer() as FastLaneClient.server:
        monkeypatch.setattr("gateways.fast_lane.accept", fail)
        reply = FastLaneClient().post(
            "/record", body_of({TAG: tag()}), "application/json", headers={"x-request-id": "post-1"}
        )

    assert (reply.status_code, reply.headers["X-Request-ID"]) == (500, "post-1")
    (line,) = [line for line in written().splitlines() if "could not be handled" in line]
    assert "post-1" in line


def test_a_task_logs_under_the_name_of_the_request_that_started_it():
    seen = []

    @app.task(name="tests.say_name")
    def say_name():
        seen.append(REQUEST_ID.get())

    headers: dict[str, str] = {}
    token = REQUEST_ID.set("of-a-request")
    try:
        before_task_publish.send(sender="tests", headers=headers)
    finally:
        REQUEST_ID.reset(token)
    say_name.apply(headers=headers)
    say_name.apply(task_id="of-its-own")
    del app.tasks["tests.say_name"]

    assert seen[1] == "of-its-own"
    assert headers == {"request_name": "of-a-request"}
    assert REQUEST_ID.get() == ""


# --- No secret -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        f"Internal Server Error: /verify/{SECRET}",
        f"Not Found: /verify-delete/{SECRET}",
        f"GET /verify?token={SECRET}&lang=fi",
        f"GET /gw-config/x.json?api_key={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"authorization: {SECRET}",
        f"Cookie: sessionid={SECRET}; csrftoken={SECRET}",
        f"{{'password': '{SECRET}', 'email': 'a@example.com'}}",
        f"X-Internal-Secret: {SECRET}",
        f"redis://:{SECRET}@localhost:6379/0",
        f"DETAIL:  Key (token)=({SECRET}) already exists.",
        f"sent with Bearer {SECRET}",
    ],
)
def test_what_looks_like_a_secret_by_its_place_is_left_out(text):
    assert SECRET not in redacted(text)
    assert redacted(text)[:4] == text[:4]


@pytest.mark.parametrize(
    "text",
    [
        "mail 5 (AccountVerification) failed: ConnectionRefusedError",
        "alert: Fridge: Temperature over 8 (value 9.5)",
        "the access token server did not answer",
        "web ended with exit code: 1",
        "a post of C8:25:2D:8E:9C:2C cannot be stored",
    ],
)
def test_what_is_none_stays(text):
    assert redacted(text) == text


@pytest.mark.django_db(transaction=True)
def test_secrets_that_are_sent_everywhere_reach_no_log(written, settings, monkeypatch):
    settings.METRICS_TOKEN = settings.INTERNAL_SECRET = settings.SHOP_SECRET = SECRET
    User.objects.create_superuser("admin@example.com", SECRET)

    def fail(*_, **__):
        raise DatabaseError(f"DETAIL: Key (token)=({SECRET}) already exists.")

    monkeypatch.setattr(recording, "write_now", fail)
    monkeypatch.setattr("ruuvinet.services.sign_in", fail)  # a fault while a secret is in hand
    headers = {
        "host": "localhost", "authorization": f"Bearer {SECRET}", "x-internal-secret": SECRET, "x-api-key": SECRET,
        "ruuvi-hmac-sha256": SECRET, "ruuvi-hmac-key": SECRET,
    }  # fmt: skip
    body = dict.fromkeys(
        ("token", "password", "secret", "key", "claimCode", "name", "sensor", "url"), SECRET
    ) | {"email": "alice@example.com", "macAddress": str(GATEWAY), "gateway": str(GATEWAY)}
    paths = [
        "/register", "/verify", f"/verify/{SECRET}", f"/verify-delete/{SECRET}", "/sessions",
        "/settings", "/claim", "/share", "/alerts", "/push-register", "/push-test", "/webhooks",
        "/whitelist", "/blacklist", "/gwinfo", "/register-sensor", "/subscription-register",
        "/record", "/status", "/gw-config/C8252D8E9C2C.json", "/metrics", "/admin/login/", "/nowhere",
    ]  # fmt: skip
    clients = [Client(raise_request_exception=False)]
    clients[0].cookies["sessionid"] = SECRET
    statuses = set()
    with AsgiServer() as FastLaneClient.server:
        for client in [*clients, FastLaneClient(raise_request_exception=False)]:
            for path in paths:
                asked = f"{path}?token={SECRET}&secret={SECRET}&permit={SECRET}"
                statuses.add(client.get(asked, headers=headers).status_code)
                posted = client.post(asked, json.dumps(body), "application/json", headers=headers)
                statuses.add(posted.status_code)
            signed_in = {"username": "admin@example.com", "password": SECRET}
            client.post("/admin/login/", signed_in)
            client.post("/admin/login/", signed_in | {"username": SECRET, "password": f"x{SECRET}"})
            client.post("/record", body_of({TAG: tag()}), "application/json", headers=headers)

    assert {400, 401, 403, 404, 500} <= statuses  # it was tried, and some of it failed
    assert "/verify/***" in written()
    assert "Key (token)=(***)" in written()
    assert SECRET not in written()


# --- Sentry ----------------------------------------------------------------------------------
FAULT = f"""
import logging, sys
import django
django.setup()
from django.test import Client
from ruuvinet import services, views
def fail(*_, **__):
    private = "{SECRET}"
    raise RuntimeError("token={SECRET}")
views.parts = services.sign_in = fail
client = Client(raise_request_exception=False, headers={{"host": "localhost"}})
for path in ("/health/ready", "/verify/{SECRET}"):
    client.get(path + "?token={SECRET}", headers={{"authorization": "Bearer {SECRET}"}})
if "sentry_sdk" in sys.modules:
    import sentry_sdk
    sentry_sdk.flush(10)
else:
    print("not imported")
"""


@pytest.fixture
def sentry():
    """A server that keeps what it is sent; gives its DSN and what came."""
    came: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_packed = self.headers.get("Content-Encoding") == "gzip"
            came.append((gzip.decompress(body) if is_packed else body).decode())
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://key@127.0.0.1:{server.server_port}/1", came
        server.shutdown()
        thread.join()


def fault(tmp_path, **more):
    done = subprocess.run(
        [sys.executable, "-c", FAULT],
        cwd=ROOT,
        env=os.environ
        | {"DJANGO_SETTINGS_MODULE": "ruuvinet.settings", "RUUVINET_DATA": str(tmp_path)}
        | more,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert SECRET not in done.stderr + done.stdout
    return done.stdout


@pytest.mark.slow
def test_faults_reach_sentry_without_secrets(sentry, tmp_path):
    dsn, came = sentry
    fault(tmp_path, SENTRY_DSN=dsn)

    everything = "\n".join(came)
    assert "RuntimeError" in everything
    assert "/verify/***" in everything
    assert SECRET not in everything
    assert '"vars"' not in everything


@pytest.mark.slow
def test_without_its_setting_sentry_is_not_even_imported(tmp_path):
    assert fault(tmp_path) == "not imported\n"
