"""The internal API: who may decide about gateways, and how the answers are shaped."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from gateways.models import Gateway
from gateways.services import note_rejection
from gateways.signature import sign
from ruuvinet.lib.mac import Mac
from tests.gateways.conftest import ADDRESS, GATEWAY, KEY, Sender, body_of

pytestmark = pytest.mark.django_db

SECRET = "between us"
MAC = str(GATEWAY)
NOTHING = {"Whitelisted": 0, "Connected": 0, "Latest": 0, "InvalidSignatureTimestamp": 0}


@pytest.fixture(autouse=True)
def _internal_secret(settings):
    settings.INTERNAL_SECRET = SECRET


@pytest.fixture
def post():
    """Post JSON (or bytes as they are) with the internal secret, or without when it is None."""

    def send(path, body, *, secret=SECRET, content_type="application/json"):
        return Client(enforce_csrf_checks=True).generic(
            "POST",
            path,
            body if isinstance(body, bytes) else json.dumps(body).encode(),
            content_type=content_type,
            headers={} if secret is None else {"X-Internal-Secret": secret},
        )

    return send


@pytest.fixture
def gwinfo():
    def ask(mac=MAC, *, secret=SECRET):
        headers = {} if secret is None else {"X-Internal-Secret": secret}
        return Client().get("/gwinfo", {"gateway": mac}, headers=headers)

    return ask


@pytest.fixture
def whitelisted(post):
    assert post("/whitelist", {"macAddress": MAC, "secret": KEY}).status_code == 200


def deliver(*, key=KEY):
    """The status that the gateway's next post gets."""
    body = body_of({})
    return Sender(GATEWAY, key).send(body, now=int(timezone.now().timestamp())).status


def is_error(reply, status, code):
    assert (reply.status_code, reply["Content-Type"]) == (status, "application/json")
    envelope = dict(reply.json())
    assert envelope.pop("error")
    assert envelope == ({"result": "error", "code": code} if code else {"result": "error"})
    return True


class TestSecret:
    @pytest.mark.parametrize(
        "given",
        [None, "", " ", "wrong", SECRET + "x", SECRET[:-1], SECRET.upper(), "é", ","],
        ids=repr,
    )
    def test_wrong_secret_is_refused(self, given, post, gwinfo):
        for path in ("/whitelist", "/blacklist"):
            body = {"macAddress": MAC, "secret": KEY}
            assert is_error(post(path, body, secret=given), 403, "ER_FORBIDDEN")
        assert is_error(gwinfo(secret=given), 401, "ER_UNAUTHORIZED")
        assert not Gateway.objects.exists()

    @pytest.mark.parametrize("unset", ["", " ", ",", " , "], ids=repr)
    @pytest.mark.parametrize("given", [None, "", " ", ",", SECRET], ids=repr)
    def test_unset_secret_lets_nobody_in(self, unset, given, post, gwinfo, settings):
        settings.INTERNAL_SECRET = unset

        for path in ("/whitelist", "/blacklist"):
            body = {"macAddress": MAC, "secret": KEY}
            assert post(path, body, secret=given).status_code == 403
        assert gwinfo(secret=given).status_code == 401

    @pytest.mark.parametrize(
        ("given", "status"),
        [("old", 200), ("new", 200), ("old,new", 401), ("old, new", 401), ("newer", 401)],
    )
    def test_several_secrets_are_each_good(self, given, status, gwinfo, settings):
        settings.INTERNAL_SECRET = "old, new"

        assert gwinfo(secret=given).status_code == status

    def test_caller_without_the_secret_learns_nothing_about_its_body(self, post):
        assert post("/whitelist", b"{", secret="wrong").status_code == 403


class TestWhitelist:
    @pytest.mark.storage
    def test_answer_names_the_gateway_at_both_places(self, post):
        reply = post("/whitelist", {"macAddress": MAC, "secret": KEY})

        assert (reply.status_code, reply["Content-Type"]) == (200, "application/json")
        assert reply.json() == {
            "result": "success",
            "gateway": MAC,
            "blockedAt": None,
            "data": {"gateway": {"macAddress": MAC, "blockedAt": None}},
        }

    @pytest.mark.usefixtures("whitelisted")
    def test_posts_of_the_gateway_are_accepted_from_now_on(self):
        assert deliver() == 200
        assert deliver(key="another") == 403

    def test_last_rejection_is_told_in_seconds(self, post):
        rejected_at = timezone.now().replace(microsecond=999_999)
        note_rejection(
            mac=GATEWAY, reason=Gateway.Rejection.UNKNOWN, address=ADDRESS, at=rejected_at
        )
        reply = post("/whitelist", {"macAddress": MAC, "secret": KEY}).json()

        assert reply["blockedAt"] == int(rejected_at.timestamp())
        assert reply["data"]["gateway"]["blockedAt"] == reply["blockedAt"]

    @pytest.mark.parametrize("spelling", [MAC.lower(), MAC.replace(":", "-"), "c8-25:2D-8e:9C-2c"])
    def test_mac_is_echoed_as_written(self, spelling, post):
        reply = post("/whitelist", {"macAddress": spelling, "secret": KEY}).json()

        assert reply["gateway"] == reply["data"]["gateway"]["macAddress"] == spelling
        assert Gateway.objects.get().mac == GATEWAY

    @pytest.mark.parametrize(
        "secret",
        ["1234", "x", " ", " 40:98 ", "ключ", "🔑", "x" * 255, "a\tb\n", '"', "\u2028"],
        ids=repr,
    )
    @pytest.mark.storage
    def test_secret_is_taken_literally(self, secret, post):
        reply = post("/whitelist", {"macAddress": MAC, "secret": secret})

        assert reply.status_code == 200
        assert deliver(key=secret) == 200

    @pytest.mark.usefixtures("whitelisted")
    def test_twice_is_a_conflict_and_keeps_the_secret(self, post):
        reply = post("/whitelist", {"macAddress": MAC.lower(), "secret": "another"})

        assert is_error(reply, 409, "ER_GATEWAY_ALREADY_WHITELISTED")
        assert reply.json()["error"] == "Gateway already whitelisted"
        assert deliver() == 200

    @pytest.mark.parametrize("spell", [str, str.lower, "  {}\n".format])
    def test_fallback_key_is_refused_with_the_reason(self, spell, post):
        fallback = spell("FF:FF:FF:FF:FF:FF:FF:FF")
        reply = post("/whitelist", {"macAddress": MAC, "secret": fallback})

        assert is_error(reply, 400, "ER_INVALID_FORMAT")
        assert "fallback key" in reply.json()["error"]
        assert not Gateway.objects.exists()

    @pytest.mark.usefixtures("whitelisted")
    def test_rotation_is_blacklisting_and_whitelisting_again(self, post):
        deliver()
        post("/blacklist", {"macAddress": MAC})
        reply = post("/whitelist", {"macAddress": MAC, "secret": "another"})

        assert (reply.status_code, reply.json()["blockedAt"]) == (200, None)
        assert deliver(key="another") == 200
        assert deliver() == 403

    def test_secret_is_in_no_answer(self, post):
        ask = {"macAddress": MAC, "secret": KEY}
        replies = [post("/whitelist", ask), post("/whitelist", ask)]
        replies += [post("/whitelist", {**ask, "also": 1}), post("/whitelist", {"secret": KEY})]

        assert [reply.status_code for reply in replies] == [200, 409, 400, 400]
        assert all(KEY not in reply.content.decode() for reply in replies)


class TestBlacklist:
    @pytest.mark.storage
    @pytest.mark.parametrize("spelling", [MAC, MAC.lower(), MAC.replace(":", "-")])
    def test_answer_echoes_the_gateway_at_both_places(self, spelling, post):
        reply = post("/blacklist", {"macAddress": spelling})

        assert reply.status_code == 200
        assert reply.json() == {
            "result": "success",
            "gateway": spelling,
            "data": {"gateway": spelling},
        }
        assert Gateway.objects.get().state() == Gateway.State.BLACKLISTED

    @pytest.mark.usefixtures("whitelisted")
    def test_may_be_repeated(self, post):
        replies = [post("/blacklist", {"macAddress": MAC}) for _ in range(2)]

        assert [reply.status_code for reply in replies] == [200, 200]
        assert replies[0].json() == replies[1].json()

    @pytest.mark.usefixtures("whitelisted")
    def test_posts_of_the_gateway_are_refused_from_now_on(self, post):
        post("/blacklist", {"macAddress": MAC})

        assert deliver() == 403

    def test_forgets_the_last_rejection(self, post, gwinfo):
        deliver()
        post("/blacklist", {"macAddress": MAC})

        assert gwinfo().json()["data"]["gateway"] == {"GatewayId": MAC, **NOTHING}

    def test_secret_is_a_key_too_many(self, post):
        reply = post("/blacklist", {"macAddress": MAC, "secret": KEY})

        assert is_error(reply, 400, "ER_INVALID_FORMAT")
        assert not Gateway.objects.exists()


BAD_BODIES = {
    "no MAC": {"secret": KEY},
    "no secret": {"macAddress": MAC},
    "nothing": {},
    "extra key": {"macAddress": MAC, "secret": KEY, "name": "porch"},
    "extra key of lone surrogates": {"macAddress": MAC, "secret": KEY, "\ud800": 1},
    "extra key with NUL": {"macAddress": MAC, "secret": KEY, "\0": 1},
    "many extra keys": {"macAddress": MAC, "secret": KEY} | dict.fromkeys("abcdefgh"),
    "MAC null": {"macAddress": None, "secret": KEY},
    "MAC empty": {"macAddress": "", "secret": KEY},
    "MAC a number": {"macAddress": 220026155834412, "secret": KEY},
    "MAC true": {"macAddress": True, "secret": KEY},
    "MAC a list": {"macAddress": [MAC], "secret": KEY},
    "MAC an object": {"macAddress": {"mac": MAC}, "secret": KEY},
    "MAC too short": {"macAddress": MAC[:-1], "secret": KEY},
    "MAC too long": {"macAddress": MAC + ":00", "secret": KEY},
    "MAC inside of more": {"macAddress": f"x{MAC}", "secret": KEY},
    "MAC and a line feed": {"macAddress": f"{MAC}\nx", "secret": KEY},
    "MAC without separators": {"macAddress": MAC.replace(":", ""), "secret": KEY},
    "MAC with NUL": {"macAddress": f"{MAC}\0", "secret": KEY},
    "MAC of wide digits": {"macAddress": "Ｃ" + MAC[1:], "secret": KEY},  # noqa: RUF001  # that is the point
    "MAC of lone surrogates": {"macAddress": "\ud800", "secret": KEY},
    "secret null": {"macAddress": MAC, "secret": None},
    "secret empty": {"macAddress": MAC, "secret": ""},
    "secret true": {"macAddress": MAC, "secret": True},
    "secret a list": {"macAddress": MAC, "secret": [KEY]},
    "secret an object": {"macAddress": MAC, "secret": {"key": KEY}},
    "secret of 256 characters": {"macAddress": MAC, "secret": "x" * 256},
    "secret with NUL": {"macAddress": MAC, "secret": "a\0b"},
    "secret of lone surrogates": {"macAddress": MAC, "secret": "\ud800"},
    "list": [{"macAddress": MAC}],
    "empty list": [],
    "null": None,
    "text": "macAddress",
    "number": 7,
    "true": True,
    "not JSON": b"{",
    "empty": b"",
    "a form": b"macAddress=C8&secret=1",
    "NUL": b"\0",
    "not UTF-8": b'{"macAddress": "\xff"}',
    "UTF-16": json.dumps({"macAddress": MAC, "secret": KEY}).encode("utf-16"),
    "NaN": b'{"macAddress": NaN, "secret": "x"}',
    "huge number": b'{"macAddress": %s}' % (b"9" * 5000),
    "deep": b"[" * 100_000,
    "deep MAC": b'{"macAddress": %s%s}' % (b"[" * 100_000, b"]" * 100_000),
    "deep object": b'{"a":' * 100_000,
}


@pytest.mark.storage
@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_bad_body_is_refused_and_changes_nothing(body, post):
    assert is_error(post("/whitelist", body), 400, "ER_INVALID_FORMAT")
    assert not Gateway.objects.exists()


WITHOUT_SECRET = {
    name: {k: v for k, v in body.items() if k != "secret"} if isinstance(body, dict) else body
    for name, body in BAD_BODIES.items()
    if "secret" not in name
}


@pytest.mark.parametrize("body", WITHOUT_SECRET.values(), ids=WITHOUT_SECRET)
def test_bad_body_blacklists_nobody(body, post):
    assert is_error(post("/blacklist", body), 400, "ER_INVALID_FORMAT")
    assert not Gateway.objects.exists()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "text/plain;charset=UTF-8",
        "text/plain",
        "",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=rot13",
        "application/json; charset=hex",
        "nonsense",
    ],
)
@pytest.mark.parametrize("path", ["/whitelist", "/blacklist"])
def test_body_is_json_whatever_its_type_says(path, content_type, post):
    body = {"macAddress": MAC} | ({"secret": KEY} if path == "/whitelist" else {})

    assert post(path, body, content_type=content_type).status_code == 200


class TestGatewayInfo:
    @pytest.mark.storage
    def test_unknown_gateway_is_all_zeros(self, gwinfo):
        reply = gwinfo()

        assert reply.status_code == 200
        assert reply.json() == {
            "result": "success",
            "data": {"gateway": {"GatewayId": MAC, **NOTHING}},
        }

    @pytest.mark.parametrize("spelling", [MAC.lower(), MAC.replace(":", "-")])
    @pytest.mark.usefixtures("whitelisted")
    def test_mac_is_echoed_as_written(self, spelling, gwinfo):
        info = gwinfo(spelling).json()["data"]["gateway"]

        assert info["GatewayId"] == spelling
        assert info["Whitelisted"] > 0

    def test_times_are_whole_seconds(self, gwinfo):
        moments = [timezone.now().replace(microsecond=999_999) - timedelta(n) for n in range(4)]
        Gateway.objects.create(
            mac=GATEWAY,
            whitelisted_at=moments[3],
            connected_at=moments[2],
            last_seen_at=moments[0],
            rejected_at=moments[1],
        )

        assert gwinfo().json()["data"]["gateway"] == {
            "GatewayId": MAC,
            "Whitelisted": int(moments[3].timestamp()),
            "Connected": int(moments[2].timestamp()),
            "Latest": int(moments[0].timestamp()),
            "InvalidSignatureTimestamp": int(moments[1].timestamp()),
        }

    @pytest.mark.parametrize(
        "mac",
        [
            "",
            "x",
            MAC[:-1],
            MAC + "0",
            f" {MAC}",
            f"{MAC}\n",
            f"{MAC}\0",
            "\0",
            "é",
            "Ｃ" + MAC[1:],  # noqa: RUF001  # that is the point
        ],
        ids=repr,
    )
    def test_bad_mac_is_refused(self, mac, gwinfo):
        assert is_error(gwinfo(mac), 400, "ER_INVALID_MAC_ADDRESS")

    @pytest.mark.parametrize("query", ["", "?", "?gateway", "?Gateway=" + MAC, "?gateway=%FF%00"])
    def test_missing_mac_is_refused(self, query):
        reply = Client().get(f"/gwinfo{query}", headers={"X-Internal-Secret": SECRET})

        assert is_error(reply, 400, "ER_INVALID_MAC_ADDRESS")

    @pytest.mark.usefixtures("whitelisted")
    def test_secret_is_not_told(self, gwinfo):
        assert KEY not in gwinfo().content.decode()


@pytest.mark.parametrize("path", ["/whitelist", "/blacklist"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_deciding_is_a_post(path, method):
    reply = Client().generic(method, path, headers={"X-Internal-Secret": SECRET})

    assert is_error(reply, 405, None)
    assert "POST" in reply["Allow"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_asking_is_a_get(method):
    reply = Client().generic(method, "/gwinfo", headers={"X-Internal-Secret": SECRET})

    assert is_error(reply, 405, None)
    assert "GET" in reply["Allow"]


@pytest.mark.parametrize(
    "path", ["/whitelist/", "/blacklist/", "/gwinfo/", "/records", "/%00", "/%FF", "/record-"]
)
def test_unknown_path_is_not_found_as_json(path):
    assert is_error(Client().get(path), 404, None)


def test_decision_reaches_only_the_gateway_that_it_names(post):
    neighbour = Mac(GATEWAY + 1)
    post("/whitelist", {"macAddress": str(neighbour), "secret": KEY})

    assert deliver() == 403
    body = body_of({}, gw_mac=str(neighbour))
    assert Sender(neighbour, KEY).send(body, signature=sign(body, KEY)).status == 200
