"""What a post must present, through both doors: each mode of the gateway's page and each policy."""

from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from ipaddress import ip_network
from urllib.parse import quote

import pytest
from django.utils import timezone

from gateways import directory, services
from gateways.credentials import make_credential, revoke
from gateways.models import Credential, Gateway, GatewayGroup, Policy
from gateways.services import whitelist
from gateways.signature import sign
from ruuvinet.lib.mac import Mac
from tests.gateways.conftest import DF5, GATEWAY, KEY, OTHER_GATEWAY, OTHER_KEY, TAG, body_of
from tests.ruuvinet.program import eventually

pytestmark = pytest.mark.django_db(transaction=True)

Kind = Credential.Kind
PROXY, CALLER = "10.0.0.1", "192.0.2.7"
SUBJECT = "CN=C8:25:2D:8E:9C:2C,O=RuuviNet"
DER = b"stands for the bytes of a certificate"
FINGERPRINT = sha256(DER).hexdigest()
PEM = f"-----BEGIN CERTIFICATE-----\n{b64encode(DER).decode()}\n-----END CERTIFICATE-----\n"


def basic(user, password):
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def verified(**headers):
    return {"X-Client-Verify": "SUCCESS", **headers}


# Kind, name, secret, and the headers and the query with which a gateway presents it.
MODES = {
    "basic": (Kind.BASIC, "user1", "pass1", {"Authorization": "Basic dXNlcjE6cGFzczE="}, ""),
    "bearer": (Kind.BEARER, "", "token123", {"Authorization": "Bearer token123"}, ""),
    "bearer with spaces": (Kind.BEARER, "", "a b  c", {"Authorization": "Bearer a b  c"}, ""),
    "token": (Kind.TOKEN, "", "token124", {"Authorization": "Token token124"}, ""),
    "api key": (Kind.API_KEY, "", "token125", {"Authorization": "token125"}, ""),
    "api key with spaces": (Kind.API_KEY, "", "my own key", {"Authorization": "my own key"}, ""),
    "api key like a scheme": (Kind.API_KEY, "", "Bearer x", {"Authorization": "Bearer x"}, ""),
    "header": (Kind.HEADER, "X-Api-Key", "s p", {"x-api-key": "s p"}, ""),
    "query": (Kind.QUERY, "token", "a b", {}, "?x=1&token=a%20b"),
    "path": (Kind.PATH, "", "t0ken-._~", {}, "/t0ken-._~"),
    "path with a slash": (Kind.PATH, "", "t0ken", {}, "/t0ken/"),
    "query with a plus": (Kind.QUERY, "key", "a+b/c=", {}, "?key=a+b/c="),
    "fingerprint": (
        Kind.FINGERPRINT, "", FINGERPRINT.upper(), verified(**{"X-Client-Cert": quote(PEM)}), "",
    ),
    "subject": (Kind.SUBJECT, "", SUBJECT, verified(**{"X-Client-Subject": SUBJECT}), ""),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _proxy(settings):
    settings.TRUSTED_PROXIES = [ip_network(PROXY)]


@pytest.fixture
def group():
    return GatewayGroup.objects.create(name="fleet")


@pytest.fixture
def row():
    return whitelist(mac=GATEWAY, secret=KEY, at=timezone.now())


def demand(policy, mac=GATEWAY):
    Gateway.objects.filter(mac=mac).update(policy=policy)
    directory.forget_all()


@pytest.fixture
def post(door):
    """Post as a gateway does that stands behind the proxy; `key` None signs nothing."""
    client = door(enforce_csrf_checks=True)

    def send(headers=None, query="", *, key=KEY, mac=GATEWAY, peer=PROXY, caller=CALLER):
        body = body_of({TAG: {"rssi": -70, "data": DF5}}, gw_mac=str(mac))
        signed = {} if key is None else {"Ruuvi-HMAC-SHA256": sign(body, key)}
        return client.post(
            f"/record{query}",
            body,
            content_type="application/json",
            headers={"X-Forwarded-For": caller} | signed | (headers or {}),
            REMOTE_ADDR=peer,
        )

    return send


@pytest.mark.storage
@pytest.mark.parametrize("mode", MODES)
class TestModes:
    def test_the_right_credential_is_enough(self, mode, row, post):
        kind, name, secret, headers, query = MODES[mode]
        demand(Policy.EITHER)
        make_credential(kind=kind, name=name, secret=secret, gateway=row, at=timezone.now())

        assert post(headers, query, key=None).status_code == 200

    def test_it_is_good_beside_the_signature(self, mode, row, post):
        kind, name, secret, headers, query = MODES[mode]
        demand(Policy.BOTH)
        make_credential(kind=kind, name=name, secret=secret, gateway=row, at=timezone.now())

        assert post(headers, query).status_code == 200
        assert post(headers, query, key=OTHER_KEY).status_code == 403
        assert post().status_code == 401

    def test_that_of_another_gateway_is_refused(self, mode, row, post):
        kind, name, secret, headers, query = MODES[mode]
        other = whitelist(mac=OTHER_GATEWAY, secret=OTHER_KEY, at=timezone.now())
        demand(Policy.EITHER)
        make_credential(kind=kind, name=name, secret=secret, gateway=other, at=timezone.now())

        assert post(headers, query, key=None).status_code == 401


WRONG = {
    "nothing": ({}, ""),
    "empty": ({"Authorization": ""}, ""),
    "another scheme": ({"Authorization": "Token right"}, ""),
    "no scheme": ({"Authorization": "right"}, ""),
    "a wrong token": ({"Authorization": "Bearer wrong"}, ""),
    "a longer one": ({"Authorization": "Bearer right "[:-1] + "x"}, ""),
    "Digest": ({"Authorization": 'Digest username="x"'}, ""),
    "broken Base64": ({"Authorization": "Basic %%%"}, ""),
    "not ASCII": ({"Authorization": "Bearer \xff\xfe"}, ""),
    "too many parameters": ({}, "?" + "a=1&" * 500),
    "another path": ({}, "/wrong"),
    "a longer path": ({}, "/right/x"),
    "broken escapes": ({}, "?token=%ff%zz"),
    "another certificate": (verified(**{"X-Client-Cert": quote(PEM[:30])}), ""),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_or_missing_credential_is_401_and_never_digest(wrong, row, post):
    demand(Policy.EITHER)
    for kind, name in [
        (Kind.BEARER, ""),
        (Kind.PATH, ""),
        (Kind.QUERY, "token"),
        (Kind.BASIC, "user"),
    ]:
        make_credential(kind=kind, name=name, secret="right", gateway=row, at=timezone.now())
    reply = post(*WRONG[wrong], key=None)

    assert (reply.status_code, reply.json()["code"]) == (401, "ER_UNAUTHORIZED")
    assert reply["WWW-Authenticate"] == "Bearer"
    assert reply["X-Ruuvi-Gateway-Rate"] == "60"


@pytest.mark.parametrize(
    ("policy", "signed", "unsigned"),
    [("", 200, 403), (Policy.SIGNATURE, 200, 403), (Policy.EITHER, 200, 401),
     (Policy.BOTH, 401, 403), (Policy.CERTIFICATE, 403, 403)],
)  # fmt: skip
def test_the_policy_says_what_a_signature_alone_is_worth(policy, signed, unsigned, row, post):
    demand(policy)

    assert (post().status_code, post(key=None).status_code) == (signed, unsigned)


@pytest.mark.parametrize("policy", Policy)
def test_the_setting_is_the_default(policy, row, post, settings):
    settings.GATEWAY_POLICY = policy

    is_enough = policy in {Policy.SIGNATURE, Policy.EITHER}
    assert (post().status_code == 200) == is_enough


def test_the_group_comes_before_the_setting_and_the_gateway_before_the_group(row, group, post):
    group.policy = Policy.BOTH
    group.save()
    Gateway.objects.update(group=group)
    assert post().status_code == 401
    demand(Policy.SIGNATURE)
    assert post().status_code == 200


def test_a_credential_alone_is_no_certificate(row, post):
    demand(Policy.CERTIFICATE)
    make_credential(kind=Kind.BEARER, secret="right", gateway=row, at=timezone.now())

    assert post({"Authorization": "Bearer right"}).status_code == 403


@pytest.mark.parametrize("mode", ["fingerprint", "subject"])
class TestCertificates:
    @pytest.fixture(autouse=True)
    def _bound(self, mode, row):
        kind, name, secret, _, _ = MODES[mode]
        make_credential(kind=kind, name=name, secret=secret, gateway=row, at=timezone.now())
        demand(Policy.CERTIFICATE)

    def test_a_trusted_proxy_is_believed(self, mode, post):
        assert post(MODES[mode][3], key=None).status_code == 200

    def test_a_stranger_is_not(self, mode, post):
        assert post(MODES[mode][3], peer="198.51.100.1").status_code == 403

    @pytest.mark.parametrize("result", ["NONE", "FAILED:certificate has expired", ""])
    def test_one_that_the_proxy_did_not_accept_is_refused(self, result, mode, post):
        assert post(MODES[mode][3] | {"X-Client-Verify": result}).status_code == 403


class TestLife:
    def made(self, **described):
        described.setdefault("kind", Kind.BEARER)
        return make_credential(**described, at=timezone.now())

    @pytest.fixture(autouse=True)
    def _demanding(self, row):
        demand(Policy.EITHER)

    def send(self, post, credential, **more):
        headers = {"Authorization": f"Bearer {credential.shown_once}"}
        return post(headers, key=None, **more).status_code

    @pytest.mark.storage
    def test_a_made_one_has_256_bits_and_lies_as_a_hash(self, row, post):
        made = self.made(gateway=row)
        stored = Credential.objects.get()

        assert len(made.shown_once) == 43
        assert (stored.secret, bytes(stored.digest)) == (
            "",
            sha256(made.shown_once.encode()).digest(),
        )
        assert self.send(post, made) == 200

    def test_a_chosen_one_lies_encrypted(self, row):
        self.made(gateway=row, secret="summer")
        (stored,) = Credential.objects.extra(select={"raw": "secret"}).values("raw", "digest")

        assert stored["digest"] is None
        assert "summer" not in stored["raw"]
        assert Credential.objects.get().secret == "summer"

    def test_one_that_configuration_fills_in_can_be_read_again(self, row, post):
        made = self.made(gateway=row, is_readable=True)

        assert Credential.objects.get().secret == made.shown_once
        assert self.send(post, made) == 200

    def test_several_are_good_at_once_until_one_is_revoked(self, row, post):
        old, new = self.made(gateway=row), self.made(gateway=row)
        assert [self.send(post, one) for one in (old, new)] == [200, 200]
        revoke(old, timezone.now())
        assert [self.send(post, one) for one in (old, new)] == [401, 200]

    def test_an_expired_one_is_refused(self, row, post):
        soon = timezone.now() + timedelta(minutes=1)
        past = timezone.now() - timedelta(seconds=1)

        assert self.send(post, self.made(gateway=row, expires_at=soon)) == 200
        assert self.send(post, self.made(gateway=row, expires_at=past)) == 401

    def test_a_fleet_token_is_good_for_each_gateway_of_the_group(self, group, post):
        whitelist(mac=OTHER_GATEWAY, secret=OTHER_KEY, at=timezone.now())
        demand(Policy.EITHER, OTHER_GATEWAY)
        token = self.made(group=group)
        Gateway.objects.filter(mac=GATEWAY).update(group=group)
        directory.forget_all()

        assert self.send(post, token) == 200
        assert self.send(post, token, mac=OTHER_GATEWAY) == 401

    def test_one_for_configuration_is_not_good_for_posts(self, row, post):
        assert self.send(post, self.made(gateway=row, purpose="configuration")) == 401

    def test_a_blacklisted_gateway_is_refused_with_it(self, row, post):
        made = self.made(gateway=row)
        services.blacklist(mac=GATEWAY, at=timezone.now())

        assert self.send(post, made) == 403

    def test_its_last_use_is_noted_at_most_once_a_minute(self, row, post):
        made = self.made(gateway=row)
        self.send(post, made)
        used = Credential.objects.exclude(last_used_at=None)
        assert eventually(used.exists)
        first = used.get()
        assert first.last_used_address == CALLER
        directory.forget_all()
        self.send(post, made)
        assert used.get().last_used_at == first.last_used_at

    def test_one_that_no_key_can_read_any_more_lets_nobody_in(self, row, post):
        self.made(gateway=row, secret="x")
        Credential.objects.extra(where=["1=1"]).update(secret="y")
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("UPDATE gateways_credential SET secret = 'gAAAA broken'")
        directory.forget_all()

        for guess in ("", "x", "y"):
            assert post({"Authorization": f"Bearer {guess}"}, key=None).status_code == 401


class TestGuessing:
    """Ten wrong credentials a minute from one address."""

    @pytest.fixture(autouse=True)
    def _demanding(self, row, time_machine):
        time_machine.move_to("2026-04-01T18:51:05Z", tick=False)
        demand(Policy.EITHER)
        make_credential(kind=Kind.BEARER, secret="summer", gateway=row, at=timezone.now())

    def guess(self, post, times, **more):
        return [
            post({"Authorization": f"Bearer {number}"}, key=None, **more).status_code
            for number in range(times)
        ]

    def test_the_eleventh_is_slowed_down(self, post):
        assert self.guess(post, 11) == [401] * 10 + [429]

    def test_a_lucky_guess_after_that_is_not_believed(self, post):
        self.guess(post, 10)

        assert post({"Authorization": "Bearer summer"}, key=None).status_code == 429

    def test_gateways_of_that_address_go_on(self, row, post):
        made = make_credential(kind=Kind.BEARER, gateway=row, at=timezone.now())
        assert post({"Authorization": "Bearer summer"}, key=None).status_code == 200
        directory.forget_all()
        self.guess(post, 12)

        assert post({"Authorization": "Bearer summer"}, key=None).status_code == 200
        assert post({"Authorization": f"Bearer {made.shown_once}"}, key=None).status_code == 200
        assert post().status_code == 200

    def test_a_signature_is_never_slowed_down(self, post):
        self.guess(post, 12)

        assert post().status_code == 200

    def test_other_addresses_are_not_slowed_down(self, post):
        self.guess(post, 12)

        assert self.guess(post, 1, caller="192.0.2.8") == [401]

    def test_it_is_over_after_the_minute(self, post, time_machine):
        self.guess(post, 12)
        time_machine.move_to("2026-04-01T18:52:00Z", tick=False)

        assert self.guess(post, 1) == [401]


@pytest.mark.parametrize(
    ("policy", "headers", "key", "word"),
    [
        (Policy.SIGNATURE, {}, OTHER_KEY, "signature"),
        (Policy.SIGNATURE, {}, None, "not signed"),
        (Policy.BOTH, {}, KEY, "credential"),
        (Policy.BOTH, {"Authorization": "Bearer x"}, KEY, "wrong"),
        (Policy.CERTIFICATE, {}, KEY, "certificate"),
    ],
)
def test_a_refused_gateway_is_told_why_and_the_console_knows(policy, headers, key, word, row, post):
    demand(policy)
    reply = post(headers, key=key)

    assert word in reply.json()["error"]
    assert eventually(Gateway.objects.exclude(rejection="").exists)
    assert Gateway.objects.get().get_rejection_display()


def test_the_stranger_is_told_that_it_is_not_whitelisted(post):
    assert "not whitelisted" in post(mac=Mac(5)).json()["error"]
