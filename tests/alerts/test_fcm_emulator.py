"""The emulator is as strict as Firebase, and can be told to fail."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from django.core.management import CommandError, call_command
from google.auth import crypt, jwt

from alerts.fcm_emulator import (
    CLIENT_EMAIL,
    GRANT_TYPE,
    MODES,
    SCOPE,
    FcmEmulator,
    Refused,
    describe,
    parse_request,
)

ROOT = Path(__file__).parents[2]
HELLO = {"token": "t", "data": {"a": "b"}}


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    return tmp_path_factory.mktemp("fcm") / "account.json"


@pytest.fixture
def fcm(key_file):
    with FcmEmulator() as emulator:
        emulator.service_account_file(key_file)
        yield emulator


@pytest.fixture
def http():
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def account(fcm, key_file):
    return json.loads(key_file.read_text())


@pytest.fixture
def ask_token(fcm, http, account):
    """Asks for an access token with these changes to an otherwise right assertion."""

    def ask(header=None, key_id=None, **changes):
        now = int(time.time())
        claims = {"iss": CLIENT_EMAIL, "aud": fcm.token_uri, "scope": SCOPE}
        claims |= {"iat": now, "exp": now + 3600} | changes
        signer = crypt.RSASigner.from_service_account_info(account)
        assertion = jwt.encode(signer, claims, header=header, key_id=key_id)
        form = {"grant_type": GRANT_TYPE, "assertion": assertion}
        return http.post(fcm.token_uri, data=form, timeout=5)

    return ask


@pytest.fixture
def send(fcm, http, ask_token):
    bearer = ask_token().json()["access_token"]

    def send(message=HELLO, *, project="ruuvinet-emulator", bearer=bearer, **more):
        return http.post(
            f"{fcm.base_url}/v1/projects/{project}/messages:send",
            json={"message": message, **more},
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=5,
        )

    return send


# --- Access tokens ---------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"aud": "https://oauth2.googleapis.com/token"}])
def test_right_assertion_gets_an_access_token(ask_token, changes):
    reply = ask_token(**changes)
    assert reply.status_code == 200
    assert reply.json()["token_type"] == "Bearer"
    assert reply.json()["expires_in"] == 3599


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "stranger@example.com"},
        {"aud": "https://example.com/token"},
        {"scope": "https://www.googleapis.com/auth/drive"},
        {"exp": int(time.time()) - 3600},
        {"exp": int(time.time()) + 7200},
        {"iat": int(time.time()) + 3600},
        {"key_id": "unknown"},
        {"header": {"alg": "none"}},
    ],
)
def test_wrong_assertion_is_refused(ask_token, changes):
    reply = ask_token(**changes)
    assert reply.status_code == 400
    assert reply.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("form", [{}, {"grant_type": "x"}, {"grant_type": GRANT_TYPE}, b"\xff"])
def test_anything_but_an_assertion_is_refused(fcm, http, form):
    assert http.post(fcm.token_uri, data=form, timeout=5).status_code == 400


@pytest.mark.parametrize("bearer", ["", "invented"])
def test_only_an_issued_access_token_sends(fcm, send, bearer):
    reply = send(bearer=bearer)
    assert reply.status_code == 401
    assert reply.json()["error"]["status"] == "UNAUTHENTICATED"
    assert fcm.messages == []


def test_other_project_is_refused(send):
    assert send(project="other").status_code == 403


# --- Messages --------------------------------------------------------------------------------


def test_accepted_message_is_listed_until_deleted(fcm, http, send):
    name = send().json()["name"]
    (listed,) = http.get(f"{fcm.base_url}/messages", timeout=5).json()
    assert listed["name"] == name
    assert listed["message"] == HELLO
    assert datetime.fromisoformat(listed["received_at"]).tzinfo is not None
    http.delete(f"{fcm.base_url}/messages", timeout=5)
    assert fcm.messages == []


def test_validate_only_sends_nothing(fcm, send):
    assert send(validate_only=True).status_code == 200
    assert fcm.messages == []


@pytest.mark.parametrize(
    "message",
    [
        {"topic": "weather", "notification": {"title": "x"}},
        {"condition": "'a' in topics"},
        {"token": "t", "android": {"collapseKey": "k", "ttl": "3.5s", "priority": "NORMAL"}},
        {"token": "t", "android": {"notification": {"sticky": True, "title_loc_args": ["a"]}}},
        {"token": "t", "webpush": {"headers": {"TTL": "1"}}, "fcm_options": None},
    ],
)
def test_right_shapes_are_accepted(message):
    assert parse_request(json.dumps({"message": message}).encode())["message"] == message


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({}, "message"),
        ({"token": ""}, "message"),
        ({"token": "t", "topic": "x"}, "message"),
        ({"token": 1}, "message.token"),
        ({"token": "t", "content_available": 1}, "message"),
        ({"token": "t", "data": {"n": 1}}, "message.data[0].value"),
        ({"token": "t", "data": {"n": None}}, "message.data[0].value"),
        ({"token": "t", "data": {"from": "x"}}, "message.data"),
        ({"token": "t", "data": {"gcm.x": "x"}}, "message.data"),
        ({"token": "t", "data": {"a": "x" * 4096}}, "message.data"),
        ({"token": "t", "data": "x"}, "message.data"),
        ({"token": "t", "notification": {"subtitle": "x"}}, "message.notification"),
        ({"token": "t", "android": {"ttl": 3600}}, "message.android.ttl"),
        ({"token": "t", "android": {"ttl": "1h"}}, "message.android.ttl"),
        ({"token": "t", "android": {"priority": "high!"}}, "message.android.priority"),
        ({"token": "t", "android": {"sound": "x"}}, "message.android"),
        ({"token": "t", "apns": {"headers": {"apns-priority": 10}}}, "message.apns.headers[0].value"),
        ({"token": "t", "apns": {"headers": {"apns-collapse-id": "x" * 65}}}, "message.apns.headers"),
        ({"token": "t", "apns": {"payload": {"aps": 1}}}, "message.apns.payload.aps"),
        ({"token": "t", "apns": {"payload": {"aps": {"mutable-content": "1"}}}},
         "message.apns.payload.aps.mutable-content"),
        ({"token": "t", "apns": {"payload": {"aps": {}, "x": "y" * 4096}}}, "message.apns.payload"),
    ],
)  # fmt: skip
def test_wrong_shapes_are_refused_with_the_field(message, field):
    with pytest.raises(Refused) as caught:
        parse_request(json.dumps({"message": message}).encode())
    error = caught.value.body["error"]
    violations = [
        violation["field"]
        for detail in error["details"]
        for violation in detail.get("fieldViolations", [])
    ]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert violations == [field]


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{}", b'{"messages": {}}', b"[" * 60000])
def test_bodies_that_are_no_request_are_refused(body):
    with pytest.raises(Refused) as caught:
        parse_request(body)
    assert caught.value.http_status == 400


def test_too_long_body_is_refused(send):
    assert send({"token": "t", "data": {"a": "x" * 100_000}}).status_code == 413


def test_unknown_paths_are_refused(fcm, http):
    for method in ("GET", "POST", "DELETE"):
        assert http.request(method, f"{fcm.base_url}/nothing", timeout=5).status_code == 404


# --- Misbehaving -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "http_status", "status", "code"),
    [
        ("unregistered", 404, "NOT_FOUND", "UNREGISTERED"),
        ("sender_mismatch", 403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
        ("invalid_token", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("quota", 429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"),
        ("unavailable", 503, "UNAVAILABLE", "UNAVAILABLE"),
        ("internal", 500, "INTERNAL", "INTERNAL"),
    ],
)
def test_misbehaviour_is_told_over_http(fcm, http, send, mode, http_status, status, code):
    told = {"mode": mode, "times": 1, "retry_after_s": 3}
    assert http.post(f"{fcm.base_url}/behaviour", json=told, timeout=5).status_code == 200
    reply = send()
    assert reply.status_code == http_status
    assert reply.headers["Retry-After"] == "3"
    assert reply.json()["error"]["status"] == status
    assert {
        "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
        "errorCode": code,
    } in reply.json()["error"]["details"]
    assert send().status_code == 200


def test_misbehaviour_for_one_token_goes_before_that_for_all(fcm, send):
    fcm.behave("internal")
    fcm.behave("unregistered", token="t", times=1)
    assert [send().status_code, send().status_code] == [404, 500]
    fcm.behave("ok", token="t")
    assert send().status_code == 200
    fcm.behave("ok")
    assert send({"token": "other"}).status_code == 200


def test_expired_token_takes_the_access_token_back(fcm, send):
    fcm.behave("expired_token", times=1)
    assert send().json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_EXPIRED"
    assert send().status_code == 401


def test_hanging_drops_the_connection_in_the_end(fcm, send):
    fcm.behave("hang", hang_s=0.1)
    with pytest.raises(requests.ConnectionError):
        send()
    assert fcm.messages == []


@pytest.mark.parametrize(
    "told",
    [
        {"mode": "lazy"},
        {"mode": "quota", "times": "two"},
        {"mode": "quota", "token": 1},
        {"mode": "hang", "hang_s": -1},
        {"mode": "quota", "retry_after_s": "1\r\nX: y"},
        {"mode": "quota", "colour": "red"},
        {},
        [],
    ],
)
def test_senseless_behaviour_is_refused(fcm, http, told):
    assert http.post(f"{fcm.base_url}/behaviour", json=told, timeout=5).status_code == 400


def test_every_mode_can_be_told(fcm):
    assert {fcm.behave(mode).mode for mode in MODES} == set(MODES)


# --- The service account file ----------------------------------------------------------------


def test_file_is_private_and_points_here(fcm, key_file, account):
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert account["token_uri"] == fcm.base_url + "/token"
    assert account["type"] == "service_account"


def test_key_survives_a_restart_on_another_port(tmp_path):
    keys = set()
    for _ in range(2):
        with FcmEmulator() as emulator:
            path = emulator.service_account_file(tmp_path / "account.json")
            account = json.loads(path.read_text())
            assert account["token_uri"] == emulator.token_uri
            keys.add(account["private_key"])
    assert len(keys) == 1


@pytest.mark.parametrize("content", ["", "[]", "{}", "important notes"])
def test_other_files_are_left_alone(fcm, tmp_path, content):
    path = tmp_path / "precious.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"precious\.txt exists"):
        fcm.service_account_file(path)
    assert path.read_text() == content


def test_service_account_of_a_real_project_is_left_alone(fcm, account, tmp_path):
    path = tmp_path / "google.json"
    path.write_text(json.dumps(account | {"client_email": "push@real.iam.gserviceaccount.com"}))
    with pytest.raises(ValueError, match="another project"):
        fcm.service_account_file(path)


def test_public_url_is_what_others_are_told(tmp_path):
    with FcmEmulator(public_url="http://fcm:8901/") as emulator:
        path = emulator.service_account_file(tmp_path / "account.json")
        assert emulator.base_url == "http://fcm:8901"
        assert json.loads(path.read_text())["token_uri"] == "http://fcm:8901/token"


# --- What people see -------------------------------------------------------------------------

NOON = datetime(2023, 2, 8, 12, 0, tzinfo=UTC)
FIELDS = {
    "name": "Fridge",
    "id": "AA:BB:CC:DD:EE:FF",
    "alertType": "Temperature",
    "triggerType": "Over",
    "currentValue": "8.50",
    "thresholdValue": "8.00",
    "alertUnit": "C",
}
TEXTS = {"title": "Too warm", "body": "Fridge", "subtitle": "check door"}
NUMBERS = "\n    Fridge AA:BB:CC:DD:EE:FF: Temperature Over (8.50 / 8.00 C)"


def test_android_push_is_told_in_two_lines():
    message = {"token": "t", "data": {"default": json.dumps({"GCM": {"data": FIELDS | TEXTS}})}}
    told = describe(message, received_at=NOON)
    assert told == "12:00:00Z Android: Too warm | Fridge | check door" + NUMBERS


def test_ios_push_is_told_in_two_lines():
    message = {"token": "t", "data": FIELDS, "apns": {"payload": {"aps": {"alert": TEXTS}}}}
    told = describe(message, received_at=NOON)
    assert told == "12:00:00Z iOS: Too warm | Fridge | check door" + NUMBERS


@pytest.mark.parametrize(
    "message",
    [
        {"token": "t"},
        HELLO,
        {"token": "t", "data": {"default": '{"GCM": 1}'}},
        {"token": "t", "data": {"default": "[" * 4000}},
        {"token": "t", "apns": None},
        {"token": "t", "apns": {"payload": {"aps": {"alert": "plain"}}}},
        {"token": "t", "notification": {"title": "x"}},
    ],
)
def test_any_accepted_message_can_be_told(message):
    assert describe(message, received_at=NOON).startswith("12:00:00Z ")


def test_a_name_cannot_steer_the_terminal():
    message = {"token": "t", "notification": {"title": "\x1b[2Jgone\nline"}}
    assert describe(message, received_at=NOON) == "12:00:00Z other: �[2Jgone�line"


def test_each_accepted_push_is_said(key_file):
    said = []
    with FcmEmulator(say=said.append) as emulator:
        emulator.service_account_file(key_file)
        emulator._bearers["b"] = time.monotonic() + 60
        emulator.send("ruuvinet-emulator", "b", json.dumps({"message": HELLO}).encode())
    assert len(said) == 1


# --- The command -----------------------------------------------------------------------------


def test_taken_port_is_said_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=rf"127\.0\.0\.1:{port}: .*in use") as caught:
            call_command(
                "fcm_emulator", port=port, service_account_file=str(tmp_path / "account.json")
            )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_says_how_to_use_it_and_stops_cleanly(tmp_path, number):
    path = tmp_path / "account.json"
    command = [sys.executable, "manage.py", "fcm_emulator", "--port", "0"]
    with subprocess.Popen(
        [*command, "--service-account-file", str(path)],
        cwd=ROOT,
        env=os.environ | {"RUUVINET_DATA": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    assert lines[1].startswith("    FCM_BASE_URL=http://127.0.0.1:")
    assert lines[2] == f"    FCM_SERVICE_ACCOUNT_FILE={path}\n"
    assert (process.returncode, rest) == (0, "")
    assert "Traceback" not in errors
