"""The Firebase client against the emulator, over real HTTP."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from alerts.fcm_emulator import FcmEmulator
from alerts.transports.base import DeliveryError, Destination, Notification
from alerts.transports.fcm import FcmClient, retry_after_s
from alerts.transports.push import Push

TOKEN = "fcm-token-that-must-stay-out-of-logs"
EVENT = Notification(
    email="alice@example.com",
    name="Fridge",
    sensor_mac="AA:BB:CC:DD:EE:FF",
    alert_type="temperature",
    type_name="Temperature",
    trigger="over",
    base_value=8.5,
    base_threshold=8,
    value_text="8.5 °C",
    threshold_text="8 °C",
    language="en",
    opened_at=datetime(2026, 4, 1, 12, tzinfo=UTC),
    is_late=False,
    current_value=8.5,
    threshold_value=8,
    unit="C",
    description="check door",
    title="Temperature is over 8 °C",
    body="Fridge",
    subtitle="check door",
    collapse_key="event-17",
)
ANDROID = Destination(address=TOKEN, platform="android")
IOS = Destination(address=TOKEN, platform="ios")


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    """One RSA key for all tests here: an emulator keeps the key of the file it is given."""
    return tmp_path_factory.mktemp("fcm") / "account.json"


@pytest.fixture
def fcm(key_file):
    with FcmEmulator() as emulator:
        emulator.service_account_file(key_file)
        yield emulator


@pytest.fixture
def new_client(fcm, key_file):
    """Builds clients, and closes this thread's connections of each."""
    clients = []

    def build(path=key_file, *, base_url=fcm.base_url, timeout_s=5.0):
        clients.append(FcmClient(path, base_url=base_url, timeout_s=timeout_s))
        return clients[-1]

    yield build
    for client in clients:
        client.requests_session.close()


@pytest.fixture
def push(new_client):
    return Push(new_client())


def failure(push, destination=ANDROID):
    """The error of one send; it never tells the token, whatever went wrong."""
    with pytest.raises(DeliveryError) as caught:
        push.send(EVENT, destination)
    error = caught.value
    assert str(error) == error.message
    for secret in (TOKEN, "ya29.", "PRIVATE KEY"):
        assert secret not in error.message
    assert len(error.message) < 200
    return error


@contextmanager
def server_answering(status, body=b"{}", headers=()):
    """A web server that gives one fixed answer; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def silent_server():
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def account_with(key_file, path, **changes):
    path.write_text(json.dumps(json.loads(key_file.read_text()) | changes))
    return path


def google_error(code, **error):
    return json.dumps({"error": {"code": code, "message": "", **error}}).encode()


# --- It arrives ------------------------------------------------------------------------------


def test_android_push_arrives(fcm, push):
    push.send(EVENT, ANDROID)
    (accepted,) = fcm.messages
    gcm = json.loads(accepted["message"]["data"]["default"])["GCM"]
    assert accepted["message"]["token"] == TOKEN
    assert "notification" not in accepted["message"]
    assert gcm["data"]["title"] == "Temperature is over 8 °C"


def test_ios_push_arrives(fcm, push):
    push.send(EVENT, IOS)
    message = fcm.messages[0]["message"]
    assert message["notification"] == {"title": "Temperature is over 8 °C", "body": "Fridge"}
    assert message["apns"]["payload"]["aps"]["alert"]["subtitle"] == "check door"


def test_client_returns_the_message_name(fcm, new_client):
    name = new_client().deliver({"token": TOKEN, "data": {"a": "b"}})
    assert name == fcm.messages[0]["name"]
    assert name.startswith("projects/ruuvinet-emulator/messages/")


@pytest.mark.parametrize("base_url", [None, ""])
def test_without_an_emulator_the_address_is_googles(fcm, new_client, base_url):
    address = new_client(base_url=base_url).fcm_end_point
    path = "/v1/projects/ruuvinet-emulator/messages:send"
    assert address == "https://fcm.googleapis.com" + path
    assert new_client().fcm_end_point == fcm.base_url + path


# --- The device is gone ----------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["unregistered", "sender_mismatch", "invalid_token"])
def test_dead_token_is_retired(fcm, push, mode):
    fcm.behave(mode)
    error = failure(push)
    assert (error.permanent, error.retire_address) == (True, True)


def test_invalid_token_is_known_by_the_sentence_alone(new_client):
    said = "The registration token is not a valid FCM registration token"
    body = google_error(400, status="INVALID_ARGUMENT", message=said)
    with server_answering(400, body) as (url, _):
        assert failure(Push(new_client(base_url=url))).retire_address


def test_one_dead_token_does_not_harm_another(fcm, push):
    fcm.behave("unregistered", token="other")
    push.send(EVENT, ANDROID)
    assert len(fcm.messages) == 1


def test_bad_message_does_not_retire_the_token(new_client):
    with pytest.raises(DeliveryError) as caught:
        new_client().deliver({"token": TOKEN, "data": {"google.x": "y"}})
    error = caught.value
    assert (error.permanent, error.retire_address) == (True, False)
    assert "message.data" in error.message


# --- Later, perhaps --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["quota", "unavailable", "internal"])
def test_trouble_at_google_is_temporary(fcm, push, mode):
    fcm.behave(mode, times=1)
    error = failure(push)
    assert (error.permanent, error.retire_address, error.retry_after_s) == (False, False, None)
    push.send(EVENT, ANDROID)  # it was asked once, and has recovered
    assert len(fcm.messages) == 1


@pytest.mark.parametrize("mode", ["quota", "unavailable", "internal"])
def test_retry_after_is_told_not_slept(fcm, push, mode):
    fcm.behave(mode, retry_after_s=3000)
    assert failure(push).retry_after_s == 3000


def test_one_send_is_one_request(new_client):
    with server_answering(503, headers=[("Retry-After", "1")]) as (url, asked):
        failure(Push(new_client(base_url=url)))
        assert len(asked) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("1.5", 1.5),
        ("Mon, 02 Jan 2023 03:04:15 GMT", 10),
        ("Mon, 02 Jan 2023 03:04:15", 10),
        ("Mon, 02 Jan 2023 03:00:00 GMT", 0),
        ("999999999", 24 * 3600),
        ("-5", None),
        ("soon", None),
        ("Mon, 02 Jan 99999999999999999999 03:04:15 GMT", None),
        ("nan", None),
        ("٣", None),
        ("9" * 400, None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_header(header, seconds):
    assert retry_after_s(header, now=datetime(2023, 1, 2, 3, 4, 5, tzinfo=UTC)) == seconds


def test_unreadable_retry_after_is_ignored(fcm, push):
    fcm.behave("unavailable", retry_after_s="when it suits us")
    assert failure(push).retry_after_s is None


def test_hanging_server_times_out_as_temporary(fcm, new_client):
    fcm.behave("hang")
    error = failure(Push(new_client(timeout_s=0.3)))
    assert not error.permanent
    assert "did not answer in time" in error.message


def test_dropped_connection_is_temporary(fcm, push):
    fcm.behave("hang", hang_s=0)
    assert not failure(push).permanent


def test_nobody_listening_is_temporary(new_client):
    with silent_server() as url:
        pass
    error = failure(Push(new_client(base_url=url)))
    assert not error.permanent
    assert "could not be reached" in error.message


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>sign in</html>", b"\xff"])
def test_success_that_is_not_firebases_is_temporary(new_client, body):
    with server_answering(200, body) as (url, _):
        assert not failure(Push(new_client(base_url=url))).permanent


def test_redirect_is_not_followed(new_client):
    with server_answering(307, headers=[("Location", "http://127.0.0.1:1/")]) as (url, asked):
        assert not failure(Push(new_client(base_url=url))).permanent
        assert len(asked) == 1


# --- An operator must mend it ----------------------------------------------------------------


def test_expired_access_token_is_replaced_once(fcm, push):
    fcm.behave("expired_token", times=1)
    push.send(EVENT, ANDROID)
    assert len(fcm.messages) == 1


def test_access_token_refused_for_ever_ends(fcm, push):
    fcm.behave("expired_token")
    error = failure(push)
    assert (error.permanent, error.retire_address) == (False, False)
    assert "401" in error.message
    fcm.behave("ok")
    push.send(EVENT, ANDROID)


def test_access_token_outlives_many_pushes(fcm, push):
    for _ in range(3):
        push.send(EVENT, ANDROID)
    assert len(fcm._bearers) == 1


def test_permission_denied_keeps_the_token(fcm, push):
    fcm.behave("permission_denied")
    error = failure(push)
    assert (error.permanent, error.retire_address) == (False, False)


@pytest.mark.parametrize(
    "body", [b"<html>not here</html>", google_error(404, status="NOT_FOUND"), b"\xff"]
)
def test_404_without_unregistered_keeps_the_token(new_client, body):
    """As from a mistyped address: it must not cost every device its registration."""
    with server_answering(404, body) as (url, _):
        error = failure(Push(new_client(base_url=url)))
    assert (error.permanent, error.retire_address) == (False, False)


def test_wrong_key_is_refused_and_temporary(fcm, key_file, new_client, tmp_path):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = other.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    forged = account_with(key_file, tmp_path / "forged.json", private_key=pem.decode())
    error = failure(Push(new_client(forged)))
    assert not error.permanent
    assert "invalid_grant" in error.message
    assert fcm.messages == []


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"\xff", b'{"client_email": 1}', b'{"private_key": "x"}']
)
def test_unusable_service_account_is_temporary(new_client, tmp_path, content):
    path = tmp_path / "account.json"
    path.write_bytes(content)
    error = failure(Push(new_client(path)))
    assert not error.permanent
    assert str(path) in error.message


def test_service_account_without_a_project_is_temporary(key_file, new_client, tmp_path):
    path = account_with(key_file, tmp_path / "account.json", project_id=None)
    assert "project_id" in failure(Push(new_client(path))).message


def test_mended_service_account_is_used_without_a_restart(fcm, key_file, new_client, tmp_path):
    path = tmp_path / "account.json"
    push = Push(new_client(path))
    assert "No such file" in failure(push).message
    path.write_bytes(key_file.read_bytes())
    push.send(EVENT, ANDROID)
    assert len(fcm.messages) == 1


def test_silent_access_token_server_times_out(key_file, new_client, tmp_path):
    with silent_server() as url:
        path = account_with(key_file, tmp_path / "account.json", token_uri=f"{url}/token")
        error = failure(Push(new_client(path, timeout_s=0.3)))
    assert not error.permanent
    assert "access token server did not answer in time" in error.message


def test_failing_access_token_server_is_asked_once(key_file, new_client, tmp_path):
    with server_answering(503, headers=[("Retry-After", "9")]) as (url, asked):
        path = account_with(key_file, tmp_path / "account.json", token_uri=f"{url}/token")
        error = failure(Push(new_client(path)))
    assert (error.permanent, error.retry_after_s, len(asked)) == (False, 9, 1)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'"x"', b"\xff", b'{"access_token": "x", "expires_in": "soon"}'],
)
def test_odd_access_token_answer_is_temporary(key_file, new_client, tmp_path, body):
    with server_answering(200, body) as (url, _):
        path = account_with(key_file, tmp_path / "account.json", token_uri=f"{url}/token")
        assert not failure(Push(new_client(path))).permanent


# --- Threads ---------------------------------------------------------------------------------


def test_one_client_serves_many_threads(fcm, push):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: push.send(EVENT, ANDROID), range(40)))
    assert len(fcm.messages) == 40
    assert len(fcm._bearers) == 1


def test_threads_replace_an_expired_access_token_together(fcm, push):
    push.send(EVENT, ANDROID)
    fcm._bearers.clear()  # as if the emulator had been restarted
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: push.send(EVENT, ANDROID), range(16)))
    assert len(fcm.messages) == 17
    assert len(fcm._bearers) == 1
