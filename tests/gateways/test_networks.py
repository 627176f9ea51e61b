"""Networks that are refused, and those inside of them that may pass."""

import json
from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from gateways import networks
from gateways.models import NetworkRule
from gateways.networks import allow, block, is_blocked

pytestmark = pytest.mark.django_db
SECRET = {"X-Internal-Secret": "between us"}


@pytest.fixture(autouse=True)
def _internal_secret(settings):
    settings.INTERNAL_SECRET = "between us"


def post(path, body, *, address="198.51.100.1", **headers):
    return Client().generic(
        "POST", path, json.dumps(body).encode(), headers=SECRET | headers, REMOTE_ADDR=address
    )


class TestRules:
    @pytest.mark.parametrize(
        ("rule", "inside", "outside"),
        [
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.9/24", "192.0.2.1", "192.0.3.0"),
            ("0.0.0.0/0", "203.0.113.1", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::/0", "::1", "10.0.0.1"),
            ("2001:DB8::1", "2001:db8::1", "2001:db8::2"),
            ("::ffff:192.0.2.0/120", "192.0.2.1", "192.0.3.1"),
        ],
    )
    @pytest.mark.storage
    def test_a_network_blocks_what_lies_in_it(self, rule, inside, outside):
        block(rule)

        assert (is_blocked(inside), is_blocked(outside)) == (True, False)

    def test_an_allowed_network_inside_a_blocked_one_passes(self):
        block("10.0.0.0/8")
        allow("10.1.0.0/16")
        block("10.1.1.0/24")
        allow("10.1.1.1")

        blocked = ["10.0.0.1", "10.1.0.1", "10.1.1.0", "10.1.1.1", "11.0.0.1"]
        assert [is_blocked(address) for address in blocked] == [True, False, True, False, False]

    def test_a_wider_rule_does_not_open_a_narrower_one(self):
        block("10.1.0.0/16")
        allow("10.0.0.0/8")

        assert is_blocked("10.1.0.1")

    def test_deciding_again_replaces_the_decision(self):
        block("10.0.0.0/8")
        allow("10.0.0.1/8")

        assert not is_blocked("10.0.0.1")
        assert NetworkRule.objects.count() == 1

    def test_an_expired_rule_does_not_count(self):
        now = timezone.now()
        for network, expires_at in (("10.0.0.0/8", now), ("11.0.0.0/8", now + timedelta(hours=1))):
            NetworkRule.objects.create(network=network, expires_at=expires_at)
        networks.forget()

        assert (is_blocked("10.0.0.1"), is_blocked("11.0.0.1")) == (False, True)

    def test_without_rules_nobody_is_blocked(self):
        networks.forget()

        assert not any(is_blocked(address) for address in ("10.0.0.1", "::1", ""))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "x",
            "10.0.0.0/33",
            "10.0.0.256",
            "fe80::1/129",
            "10.0.0.0/",
            "10.0.0.1\0",
        ],
    )
    def test_what_is_no_network_is_refused(self, text):
        with pytest.raises(ValueError, match=r".+"):
            block(text)
        with pytest.raises(ValidationError):
            NetworkRule(network=text).full_clean()


class TestMemory:
    def test_asking_again_costs_no_query(self, django_assert_num_queries):
        block("10.0.0.0/8")
        with django_assert_num_queries(1):
            assert [is_blocked("10.0.0.1") for _ in range(5)] == [True] * 5

    def test_a_change_elsewhere_is_seen_after_seconds(self, monkeypatch):
        block("10.0.0.0/8")
        assert is_blocked("10.0.0.1")
        NetworkRule.objects.all().delete()
        assert is_blocked("10.0.0.1")
        later = networks.time.monotonic() + networks.REMEMBERED_S
        monkeypatch.setattr(networks.time, "monotonic", lambda: later)
        assert not is_blocked("10.0.0.1")

    def test_a_change_while_the_rules_are_read_is_not_lost(self, monkeypatch):
        read = networks._read

        def interrupted(at):
            rules = read(at)
            block("10.0.0.0/8")
            return rules

        networks.forget()
        monkeypatch.setattr(networks, "_read", interrupted)
        assert not is_blocked("10.0.0.1")
        monkeypatch.setattr(networks, "_read", read)
        assert is_blocked("10.0.0.1")

    def test_while_the_database_is_away_what_was_known_counts(self, monkeypatch, caplog):
        block("10.0.0.0/8")
        is_blocked("10.0.0.1")

        def fail(at):
            raise OperationalError("gone")

        monkeypatch.setattr(networks, "_read", fail)
        networks.forget()
        assert is_blocked("10.0.0.1")
        assert not is_blocked("11.0.0.1")
        assert caplog.messages == ["blocked networks cannot be read: OperationalError"]


class TestDoor:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/record"),
            ("GET", "/gwinfo"),
            ("POST", "/whitelist"),
            ("GET", "/subscription"),
            ("OPTIONS", "/subscription"),
            ("GET", "/nothing"),
        ],
    )
    def test_a_blocked_network_is_refused_before_any_other_work(
        self, method, path, django_assert_num_queries
    ):
        block("10.0.0.0/8")
        is_blocked("10.0.0.1")
        with django_assert_num_queries(0):
            reply = Client().generic(method, path, headers=SECRET, REMOTE_ADDR="10.0.0.1")

        assert reply.status_code == 403
        assert reply.json() == {"result": "error", "error": "Forbidden.", "code": "ER_FORBIDDEN"}
        assert Client().generic(method, path, REMOTE_ADDR="11.0.0.1").json() != reply.json()

    def test_the_console_and_the_health_stay_open(self):
        block("10.0.0.0/8")

        assert Client().get("/admin/login/", REMOTE_ADDR="10.0.0.1").status_code == 200
        assert Client().get("/health", REMOTE_ADDR="10.0.0.1").status_code != 403

    def test_only_a_named_proxy_says_who_calls(self, settings):
        block("10.0.0.0/8")
        ask = {"path": "/nothing", "headers": {"X-Forwarded-For": "10.0.0.1"}}
        assert Client().get(**ask, REMOTE_ADDR="192.0.2.1").status_code == 404
        settings.TRUSTED_PROXIES = [ip_network("192.0.2.1")]
        assert Client().get(**ask, REMOTE_ADDR="192.0.2.1").status_code == 403

    def test_nobody_talks_themselves_out_by_a_header(self, settings):
        block("10.0.0.0/8")
        headers = {"X-Forwarded-For": "192.0.2.1"}

        reply = Client().get("/nothing", headers=headers, REMOTE_ADDR="10.0.0.1")
        assert reply.status_code == 403


class TestApi:
    @pytest.mark.parametrize("path", ["/blacklist", "/whitelist"])
    @pytest.mark.parametrize("spelling", ["10.0.0.1", "10.0.0.0/8", " 2001:DB8::/32"])
    def test_an_address_is_taken_in_place_of_a_gateway_and_echoed(self, path, spelling):
        reply = post(path, {"ipAddress": spelling})
        told = spelling.strip()

        assert (reply.status_code, reply.json()) == (
            200,
            {"result": "success", "ipAddress": told, "data": {"ipAddress": told}},
        )

    def test_blacklisted_is_blocked_and_whitelisted_passes(self):
        post("/blacklist", {"ipAddress": "10.0.0.0/8"})
        post("/whitelist", {"ipAddress": "10.1.0.0/16"})

        assert (is_blocked("10.0.0.1"), is_blocked("10.1.0.1")) == (True, False)
        assert post("/blacklist", {}, address="10.0.0.1").json()["error"] == "Forbidden."

    @pytest.mark.parametrize(
        "value",
        ["", "x", "10.0.0.0/33", None, 167772161, ["10.0.0.1"], True, "1" * 1000, "\ud800"],
        ids=repr,
    )
    @pytest.mark.parametrize("path", ["/blacklist", "/whitelist"])
    def test_what_is_no_address_is_refused(self, path, value):
        reply = post(path, {"ipAddress": value})

        assert (reply.status_code, reply.json()["code"]) == (400, "ER_INVALID_FORMAT")
        assert not NetworkRule.objects.exists()

    @pytest.mark.parametrize("more", [{"secret": "1"}, {"macAddress": "C8:25:2D:8E:9C:2C"}])
    @pytest.mark.parametrize("path", ["/blacklist", "/whitelist"])
    def test_an_address_comes_alone(self, path, more):
        assert post(path, {"ipAddress": "10.0.0.1", **more}).status_code == 400

    def test_a_reason_and_an_end_are_taken_and_told(self):
        end = int((timezone.now() + timedelta(days=1)).timestamp())
        asked = {"ipAddress": "10.0.0.0/8", "reason": "guesses secrets", "expiresAt": end}

        reply = post("/blacklist", asked)
        assert reply.json() == {"result": "success", "ipAddress": "10.0.0.0/8", "data": asked}
        rule = NetworkRule.objects.get()
        assert (rule.reason, rule.expires_at.timestamp()) == ("guesses secrets", end)
        assert is_blocked("10.0.0.1")

    def test_a_new_decision_replaces_reason_and_end(self):
        end = int((timezone.now() + timedelta(days=1)).timestamp())
        post("/blacklist", {"ipAddress": "10.0.0.0/8", "reason": "guesses", "expiresAt": end})
        post("/whitelist", {"ipAddress": "10.0.0.0/8", "expiresAt": None})

        rule = NetworkRule.objects.get()
        assert (rule.is_allowed, rule.reason, rule.expires_at) == (True, "", None)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"expiresAt": 1},
            {"expiresAt": 0},
            {"expiresAt": -1},
            {"expiresAt": 10**12},
            {"expiresAt": "soon"},
            {"expiresAt": 1.5},
            {"reason": "x" * 256},
            {"reason": ["x"]},
        ],
        ids=repr,
    )
    def test_an_end_that_is_over_or_none_is_refused(self, wrong):
        reply = post("/blacklist", {"ipAddress": "10.0.0.1", **wrong})

        assert (reply.status_code, reply.json()["code"]) == (400, "ER_INVALID_FORMAT")
        assert not NetworkRule.objects.exists()

    def test_both_at_once_is_refused_even_where_unknown_keys_are_not(self, settings):
        settings.INTERNAL_REFUSE_UNKNOWN_KEYS = False
        both = {"ipAddress": "10.0.0.1", "macAddress": "C8:25:2D:8E:9C:2C"}

        assert post("/blacklist", both).status_code == 400
        assert not NetworkRule.objects.exists()

    def test_nobody_decides_without_the_secret(self):
        reply = post("/blacklist", {"ipAddress": "10.0.0.1"}, **{"X-Internal-Secret": "wrong"})

        assert reply.status_code == 403
        assert not NetworkRule.objects.exists()
