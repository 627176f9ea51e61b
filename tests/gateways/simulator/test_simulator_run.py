import io
import json
import os
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management import CommandError, call_command

from gateways.simulator.client import Endpoint
from gateways.simulator.gateway import sign
from gateways.simulator.run import Plan, simulate
from gateways.simulator.tally import Tally, percentile
from gateways.simulator.whitelist import whitelist_url
from gateways.simulator.world import freezer_mac, gateway_identities

FAST = 500  # simulated seconds in a real one


class Server(ThreadingHTTPServer):
    """Records requests and answers as told."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []
        self.status = 200
        self.answer_headers = {}
        self.body = b"{}"
        self.url = f"http://127.0.0.1:{self.server_port}/record"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open: closing them is the gateway's part

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers, body, self.client_address))
        self.send_response(self.server.status)
        for name, value in self.server.answer_headers.items():
            self.send_header(name, value)
        if "Transfer-Encoding" not in self.server.answer_headers:
            self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_args):
        """Keeps the test output readable."""


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.shutdown()


@pytest.fixture
def nobody_url():
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}/record"


def run(url, **changes):
    values = {"gateways": 2, "posts": 3, "speed": FAST}
    return simulate(Plan(url=url, **(values | changes)), io.StringIO())


def command(*args, **options):
    stdout = io.StringIO()
    call_command("simulate", *args, stdout=stdout, **options)
    return stdout.getvalue()


def test_every_post_is_made_and_counted(server):
    tally = run(server.url)
    assert tally.posts == len(server.requests) == 6
    assert tally.statuses == {200: 6}
    assert tally.verdict == ""
    sent = sum(len(json.loads(body)["data"]["tags"]) for _, _, body, _ in server.requests)
    assert tally.readings == sent > 0


def test_headers_on_the_wire_are_exactly_the_firmwares(server):
    run(server.url, gateways=1)
    for path, headers, body, _ in server.requests:
        key = gateway_identities(1, 1)[0].key
        assert path == "/record"
        assert dict(headers) == {
            "Host": f"127.0.0.1:{server.server_port}",
            "User-Agent": "Ruuvi Gateway HTTP Client/1.0",
            "Content-Type": "application/json",
            "Ruuvi-HMAC-SHA256": sign(body, key),
            "Content-Length": str(len(body)),
        }


def test_each_request_has_a_connection_of_its_own(server):
    run(server.url)
    clients = [client for _, _, _, client in server.requests]
    assert len(set(clients)) == len(clients) == 6


def test_the_first_body_of_each_gateway_has_no_tags(server):
    run(server.url, posts=1)
    assert [json.loads(body)["data"]["tags"] for _, _, body, _ in server.requests] == [{}, {}]


def test_a_new_key_is_used_from_the_next_request_on(server):
    server.answer_headers = {"Ruuvi-HMAC-KEY": "rotated"}
    run(server.url, gateways=1, posts=2, key="first")
    signed_with = zip(server.requests, ("first", "rotated"), strict=True)
    for (_, headers, body, _), key in signed_with:
        assert headers["Ruuvi-HMAC-SHA256"] == sign(body, key)


def test_the_servers_rate_spaces_the_posts(server):
    server.answer_headers = {"X-Ruuvi-Gateway-Rate": "100"}
    begun = time.monotonic()
    run(server.url, gateways=1, posts=3)
    assert time.monotonic() - begun >= 2 * 100 / FAST


def test_refusals_are_counted_and_retried_after_67_seconds(server):
    server.status = 429
    begun = time.monotonic()
    tally = run(server.url, gateways=1, posts=3)
    assert time.monotonic() - begun >= 2 * 67 / FAST
    assert tally.statuses == {429: 3}
    assert tally.verdict == "3 of 3 posts refused, 0 unanswered"


def test_an_absent_server_is_counted_not_a_traceback(nobody_url):
    tally = run(nobody_url)
    assert tally.errors == {"Connection refused": 6}
    assert tally.verdict == "0 of 6 posts refused, 6 unanswered"


def test_a_redirect_is_not_followed(server):
    server.status = 301
    server.answer_headers = {"Location": "/elsewhere"}
    tally = run(server.url, gateways=1, posts=1)
    assert tally.refused == 1
    assert [path for path, _, _, _ in server.requests] == ["/record"]


def test_chunked_answers_are_understood(server):
    server.answer_headers = {"Transfer-Encoding": "chunked"}
    server.body = b"2\r\n{}\r\n0\r\n\r\n"
    assert run(server.url).statuses == {200: 6}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", "connection closed early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "connection closed early"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not an HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "not an HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "not an HTTP answer"),
    ],
)
def test_strange_answers_are_errors_of_a_kind(answer, kind):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve_one():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve_one)
        thread.start()
        tally = run(f"http://127.0.0.1:{listener.getsockname()[1]}/", gateways=1, posts=1)
        thread.join()
    assert tally.errors == {kind: 1}


def test_a_silent_server_is_given_up(monkeypatch):
    monkeypatch.setattr("gateways.simulator.client.TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/record"
        assert run(url, gateways=1, posts=1).errors == {"timeout": 1}


def test_hundreds_of_gateways_are_played_and_counted_alike(server):
    tally = run(server.url, gateways=400, sensors=2, posts=2, speed=60)
    assert tally.statuses == {200: 800}
    assert not tally.errors
    assert len({json.loads(body)["data"]["gw_mac"] for _, _, body, _ in server.requests}) == 400


def test_duration_ends_the_run(server):
    begun = time.monotonic()
    tally = run(server.url, posts=None, duration_s=0.3)
    assert tally.posts > 2
    assert time.monotonic() - begun < 5


def test_ctrl_c_ends_the_run_with_its_summary(server):
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    tally = run(server.url, posts=None)
    assert tally.posts > 2
    assert tally.verdict == ""


def test_a_second_ctrl_c_drops_requests_that_wait():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for after_s in (0.3, 0.5):
            threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGINT)).start()
        begun = time.monotonic()
        tally = run(f"http://127.0.0.1:{silent.getsockname()[1]}/", posts=None)
    assert time.monotonic() - begun < 10
    assert tally.verdict == "nothing was sent"


def test_a_defect_ends_the_run_and_is_seen(server, monkeypatch):
    def broken(*_args, **_options):
        raise ZeroDivisionError

    monkeypatch.setattr("gateways.simulator.gateway.build_body", broken)
    with pytest.raises(ExceptionGroup):
        run(server.url, posts=None)


def test_command_prints_a_summary(server):
    output = command(url=server.url, gateways=1, posts=2, speed=FAST)
    lines = output.splitlines()
    assert [line.split()[0] for line in lines] == [
        "posts",
        "readings",
        "statuses",
        "latency",
        "errors",
    ]
    assert lines[2] == "statuses  200: 2"


def test_command_fails_with_exit_code_1_if_refused(server):
    server.status = 403
    with pytest.raises(CommandError, match="2 of 2 posts refused") as caught:
        command(url=server.url, gateways=1, posts=2, speed=FAST)
    assert caught.value.returncode == 1


def test_command_fails_if_nothing_was_sent(server):
    with pytest.raises(CommandError, match="nothing was sent"):
        command(url=server.url, duration=0)


def test_command_refuses_an_unusable_url_in_one_line():
    with pytest.raises(CommandError, match="not an http or https URL: ftp://x/"):
        command(url="ftp://x/", posts=1)


@pytest.mark.parametrize("argument", ["--gateways=0", "--sensors=101", "--speed=nan", "--period=x"])
def test_command_refuses_impossible_numbers(argument):
    with pytest.raises(CommandError):
        command(argument)


def test_list_names_gateways_keys_and_sensors():
    lines = command(list=True, gateways=2, sensors=2, seed=5).splitlines()
    gateway = gateway_identities(5, 1)[0]
    assert lines[0] == f"gateway {gateway.mac} {gateway.key}"
    assert lines[1] == f"  sensor {freezer_mac(5)} freezer"
    assert len(lines) == 6


@pytest.mark.parametrize("status", [200, 409])
def test_whitelist_introduces_every_gateway_before_the_first_post(server, settings, status):
    settings.INTERNAL_SECRET = "new-secret,old-secret"
    server.status = status
    with pytest.raises(CommandError, match="nothing was sent"):
        command(url=server.url, whitelist=True, gateways=20, duration=0)
    assert {path for path, _, _, _ in server.requests} == {"/whitelist"}
    assert {headers["X-Internal-Secret"] for _, headers, _, _ in server.requests} == {"new-secret"}
    together, *one_by_one = [json.loads(body) for _, _, body, _ in server.requests]
    assert together == [{"macAddress": g.mac, "secret": g.key} for g in gateway_identities(1, 20)]
    assert one_by_one == (together if status == 409 else [])


def test_a_refused_whitelisting_is_said_in_one_line(server, settings):
    settings.INTERNAL_SECRET = "wrong"
    server.status = 403
    server.body = b'{"result":\n"error"}'
    with pytest.raises(CommandError, match=r'cannot whitelist .*: 403 \{"result": "error"\}'):
        command(url=server.url, whitelist=True, gateways=1)
    assert len(server.requests) == 1


def test_whitelisting_with_nobody_there_is_said_in_one_line(nobody_url, settings):
    settings.INTERNAL_SECRET = "secret"
    with pytest.raises(CommandError, match="cannot whitelist"):
        command(url=nobody_url, whitelist=True)


def test_whitelisting_needs_the_internal_secret(server, settings):
    settings.INTERNAL_SECRET = ""
    with pytest.raises(CommandError, match="needs INTERNAL_SECRET"):
        command(url=server.url, whitelist=True)


def test_the_whitelist_is_on_the_host_of_the_posting_address():
    assert whitelist_url("https://h:8443/a/record?x=1") == "https://h:8443/whitelist"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://ruuvi.example/record", "ruuvi.example"),
        ("https://ruuvi.example/record", "ruuvi.example"),
        ("http://ruuvi.example:443/", "ruuvi.example"),
        ("http://ruuvi.example:8000", "ruuvi.example:8000"),
        ("http://[::1]:8000/record", "[::1]:8000"),
    ],
)
def test_host_header_names_the_port_only_if_it_is_unusual(url, host):
    assert Endpoint(url).host == host


def test_percentiles():
    assert [percentile(range(1, 101), share) for share in (0, 0.5, 0.99, 1)] == [1, 50, 99, 100]


def test_an_empty_tally_is_a_failure_and_says_so():
    assert Tally().verdict == "nothing was sent"
    assert "latency   none" in Tally().summary()
