"""The door of machines: secrets, patience with guessers, networks, and the audit trail."""

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
import time_machine
from django.test import Client

from accounts import audit
from accounts.models import AuditEntry
from accounts.tasks import purge_audit_trail

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
MAC = "C8:25:2D:8E:9C:2C"
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"
SECRET = "between us"
SHOP = {
    "validDays": 1,
    "maxClaims": 1,
    "maxHistoryDays": 1,
    "maxResolutionMinutes": 1,
    "claimCode": "ABCDEFGH",
}


@pytest.fixture(autouse=True)
def _secrets(settings):
    settings.INTERNAL_SECRET, settings.SHOP_SECRET = SECRET, "shop " + SECRET


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def ask(secret=SECRET, *, address=HERE, **headers):
    """The status of a call from `address`."""
    return gwinfo(secret, address=address, **headers).status_code


def gwinfo(secret=SECRET, *, address=HERE, **headers):
    headers = {"X-Internal-Secret": secret, **headers}
    return Client().get("/gwinfo", {"gateway": MAC}, headers=headers, REMOTE_ADDR=address)


def post(path, body, *, address=HERE, **headers):
    return Client().generic(
        "POST", path, json.dumps(body).encode(), headers=headers, REMOTE_ADDR=address
    )


def trail():
    return AuditEntry.objects.order_by("pk")


class TestRotation:
    @pytest.mark.parametrize("given", ["old", "new"])
    def test_several_secrets_of_the_shop_are_each_good(self, given, settings):
        settings.SHOP_SECRET = "old, new"

        assert post("/subscription-register", SHOP, **{"X-Shop-Secret": given}).status_code == 200

    @pytest.mark.parametrize("unset", ["", " ", ","])
    @pytest.mark.parametrize("given", ["", ",", "x"])
    def test_an_unset_secret_of_the_shop_lets_nobody_in(self, unset, given, settings):
        settings.SHOP_SECRET = unset

        assert post("/subscription-register", SHOP, **{"X-Shop-Secret": given}).status_code == 403

    @pytest.mark.parametrize("path", ["/whitelist", "/blacklist", "/register-sensor"])
    def test_the_shop_may_not_do_what_the_factory_may(self, path, settings):
        headers = {"X-Internal-Secret": settings.SHOP_SECRET, "X-Shop-Secret": settings.SHOP_SECRET}

        assert post(path, {}, **headers).status_code == 403


class TestSlowDown:
    def fail(self, times=20, **origin):
        return [ask("wrong", **origin) for _ in range(times)]

    def test_after_twenty_wrong_secrets_an_address_has_to_wait(self):
        assert self.fail() == [401] * 20
        reply = gwinfo()

        assert (reply.status_code, reply.json()["code"]) == (429, "ER_THROTTLED")
        assert reply["Retry-After"] == "60"

    def test_fewer_mistakes_cost_nothing(self):
        self.fail(19)

        assert ask() == 200

    def test_right_secrets_are_not_counted(self):
        assert [ask() for _ in range(30)] == [200] * 30

    def test_other_addresses_do_not_wait(self):
        self.fail()

        assert ask(address=ELSEWHERE) == 200

    def test_addresses_of_one_household_wait_together(self):
        self.fail(address="2001:db8::1")

        assert ask(address="2001:db8::2") == 429
        assert ask(address="2001:db8:0:1::1") == 200

    def test_after_a_minute_the_right_secret_is_good(self, clock):
        self.fail()
        clock.move_to(NOW + timedelta(minutes=1))

        assert ask() == 200

    def test_a_flood_does_not_fill_the_trail(self):
        self.fail(60)

        assert AuditEntry.objects.count() == 20

    def test_mistakes_at_one_secret_count_for_the_other(self):
        for _ in range(20):
            post("/subscription-register", SHOP, **{"X-Shop-Secret": "wrong"})

        assert ask() == 429


class TestNetworks:
    def test_a_secret_is_good_only_from_the_networks_that_are_set(self, settings):
        settings.INTERNAL_NETWORKS = [ip_network("192.0.2.0/31")]

        assert (ask(address=HERE), ask(address=ELSEWHERE)) == (200, 401)

    def test_the_shop_has_networks_of_its_own(self, settings):
        settings.SHOP_NETWORKS = [ip_network("198.51.100.0/24")]
        headers = {"X-Shop-Secret": settings.SHOP_SECRET}

        assert ask(address=HERE) == 200
        assert post("/subscription-register", SHOP, **headers).status_code == 403
        reply = post("/subscription-register", SHOP, address="198.51.100.9", **headers)
        assert reply.status_code == 200

    def test_a_forwarded_address_counts_only_from_a_named_proxy(self, settings):
        settings.INTERNAL_NETWORKS = [ip_network("192.0.2.0/31")]
        forwarded = {"X-Forwarded-For": HERE}
        assert ask(address=ELSEWHERE, **forwarded) == 401
        settings.TRUSTED_PROXIES = [ip_network(ELSEWHERE)]
        assert ask(address=ELSEWHERE, **forwarded) == 200


class TestTrail:
    def test_tells_who_from_where_what_and_the_result(self):
        post("/whitelist", {"macAddress": MAC, "secret": "1234"}, **{"X-Internal-Secret": SECRET})
        post("/whitelist", {"macAddress": MAC, "secret": "1234"}, **{"X-Internal-Secret": SECRET})
        told = trail().values_list("at", "kind", "actor", "address", "action", "about", "result")

        entry = (NOW, "call", "internal", HERE, "POST /whitelist", MAC)
        assert list(told) == [(*entry, "200"), (*entry, "409 ER_GATEWAY_ALREADY_WHITELISTED")]

    @pytest.mark.parametrize(
        ("path", "body", "about", "result"),
        [
            ("/whitelist", [{"macAddress": MAC, "secret": "1"}] * 1, MAC, "200"),
            (
                "/whitelist",
                [{"macAddress": f"00:00:00:00:00:0{n}", "secret": "1"} for n in range(3)],
                "3 gateways",
                "200",
            ),
            ("/whitelist", {"ipAddress": "10.0.0.0/8"}, "10.0.0.0/8", "200"),
            ("/whitelist", {}, "", "400 ER_INVALID_FORMAT"),
            ("/blacklist", {"macAddress": MAC}, MAC, "200"),
            ("/blacklist", {"ipAddress": "10.0.0.0/8"}, "10.0.0.0/8", "200"),
            ("/register-sensor", {"macAddress": MAC, "secret": "0" * 16}, MAC, "200"),
        ],
    )
    def test_tells_of_every_call(self, path, body, about, result):
        post(path, body, **{"X-Internal-Secret": SECRET})
        entry = trail().get()

        assert (entry.action, entry.about, entry.result) == (f"POST {path}", about, result)

    def test_tells_of_questions_and_of_wrong_methods(self):
        ask()
        Client().put("/gwinfo", headers={"X-Internal-Secret": SECRET})

        assert [(entry.action, entry.result) for entry in trail()] == [
            ("GET /gwinfo", "200"),
            ("PUT /gwinfo", "405"),
        ]

    def test_holds_no_secret(self):
        key = "40:98:A7:78:58:1A:E1:38"
        headers = {"X-Internal-Secret": SECRET}
        post("/whitelist", {"macAddress": MAC, "secret": key}, **headers)
        post("/whitelist", {"macAddress": MAC, "secret": key, key: 1}, **headers)
        post("/register-sensor", {"macAddress": MAC, "secret": key}, **headers)
        ask("a secret with a typing error")
        kept = str(list(trail().values()))

        assert trail().count() == 4
        assert not [text for text in (key, SECRET, "typing error") if text in kept]

    @pytest.mark.parametrize("about", ["x" * 5000, "\0", "é\n"])
    def test_a_hostile_question_is_noted_without_a_fault(self, about):
        reply = Client().get("/gwinfo", {"gateway": about}, headers={"X-Internal-Secret": SECRET})

        assert (reply.status_code, trail().get().about) == (400, "")

    def test_is_kept_as_long_as_the_setting_says(self, settings, clock):
        ask()
        settings.AUDIT_RETENTION_DAYS = 7
        clock.move_to(NOW + timedelta(days=7))
        purge_audit_trail()
        assert trail().count() == 1
        clock.shift(timedelta(seconds=1))
        purge_audit_trail()
        assert trail().count() == 0


@pytest.mark.storage
def test_the_trail_forgets_who_left_and_keeps_what_happened():
    common = {"kind": AuditEntry.Kind.CONSOLE, "address": "", "result": "done", "at": NOW}
    audit.note(actor="alice@example.com", action="plan: Added.", about="Pro", **common)
    audit.note(
        actor="x", action="Added “alice@example.com”.", about="Pro of alice@example.com", **common
    )
    audit.forget_person("alice@example.com")

    assert list(trail().values_list("actor", "action", "about")) == [
        ("(left)", "plan: Added.", "Pro"),
        ("x", "Added “(left)”.", "Pro of (left)"),
    ]


class TestSignInForSupport:
    """`/register` with the internal secret is a call like the others."""

    def register(self, secret=SECRET, **origin):
        return post(
            "/register", {"email": "Alice@Example.com"}, **{"X-Internal-Secret": secret}, **origin
        )

    def test_leaves_an_entry_without_the_code(self):
        code = self.register().json()["data"]["token"]
        entry = trail().get()

        assert (entry.action, entry.about) == ("POST /register", "alice@example.com")
        assert entry.result == "200"
        assert code not in str(list(trail().values()))

    def test_wrong_secrets_are_noted_and_slowed_down(self):
        statuses = [self.register("wrong").status_code for _ in range(21)]

        assert statuses == [403] * 20 + [429]
        assert set(trail().values_list("kind", "result")) == {("refused", "403 ER_FORBIDDEN")}
        assert self.register().status_code == 429
        assert ask() == 429

    def test_is_good_only_from_the_networks_that_are_set(self, settings):
        settings.INTERNAL_NETWORKS = [ip_network(HERE)]

        assert self.register().status_code == 200
        assert self.register(address=ELSEWHERE).status_code == 403

    def test_people_without_a_secret_are_not_noted(self):
        assert post("/register", {"email": "alice@example.com"}).status_code == 200
        assert not trail().exists()
