"""Remote configuration: what a gateway downloads, who may, and how it is edited."""

import json
from base64 import b64encode

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gateways.configuration import parse
from gateways.credentials import make_credential
from gateways.models import Credential, Gateway, GatewayGroup, ServedConfiguration
from gateways.services import whitelist
from tests.gateways.conftest import GATEWAY, KEY, OTHER_GATEWAY, OTHER_KEY
from tests.gateways.test_gateway_admin import console, operator

__all__ = ["console", "operator"]
pytestmark = pytest.mark.django_db

OWN = "/gw-config/C8252D8E9C2C.json"
FALLBACK = "/gw-config/gw_cfg.json"
BY_HEADER = "/gw-config.json"
PLAIN = {"remote_cfg_use": True, "use_http": True, "http_url": "https://ruuvi.example.com/record"}


@pytest.fixture
def group():
    return GatewayGroup.objects.create(name="fleet", template=json.dumps(PLAIN))


@pytest.fixture
def row(group):
    whitelist(mac=GATEWAY, secret=KEY, at=timezone.now())
    Gateway.objects.update(group=group)
    return Gateway.objects.get()


def fetch(path=OWN, **headers):
    return Client().get(path, headers=headers)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def configure(owner, **document):
    name = "template" if isinstance(owner, GatewayGroup) else "overrides"
    type(owner).objects.filter(pk=owner.pk).update(**{name: json.dumps(document)})


@pytest.mark.storage
class TestDownload:
    @pytest.mark.parametrize("path", [OWN, OWN.lower().replace(".json", ".json")])
    def test_the_template_of_the_group_is_served(self, path, row):
        reply = fetch(path)

        assert (reply.status_code, reply.json()) == (200, PLAIN)
        assert reply["Content-Type"] == "application/json"
        assert reply.content.startswith(b"{")

    def test_what_the_gateway_says_itself_wins(self, row):
        configure(row, http_period=30, http_url="http://10.0.0.5/record")

        assert fetch().json() == PLAIN | {"http_period": 30, "http_url": "http://10.0.0.5/record"}

    def test_head_is_answered(self, row):
        reply = Client().head(OWN)

        assert (reply.status_code, reply.content) == (200, b"")

    def test_remote_configuration_is_always_kept_on(self, row, group):
        configure(group, http_period=10)

        assert fetch().json()["remote_cfg_use"] is True

    @pytest.mark.parametrize("header", ["ruuvi_gw_mac", "Ruuvi-Gw-Mac"])
    @pytest.mark.parametrize("path", [BY_HEADER, FALLBACK])
    def test_the_header_selects_it(self, path, header, row):
        meta = {f"HTTP_{header.upper().replace('-', '_')}": str(GATEWAY)}

        assert Client().get(path, **meta).json() == PLAIN

    @pytest.mark.parametrize(
        "path", [OWN.replace("2C.json", "2D.json"), "/gw-config/x.json", FALLBACK, BY_HEADER,
                 "/gw-config/C8252D8E9C2C00.json", "/gw-config/%00.json"],
    )  # fmt: skip
    def test_there_is_none_for_others(self, path, row):
        assert fetch(path).status_code == 404

    def test_a_gateway_without_its_own_gets_the_fallback(self, group):
        GatewayGroup.objects.update(is_fallback=True)

        assert fetch().status_code == 404  # so it asks for the next
        assert fetch(FALLBACK, **{"ruuvi-gw-mac": str(OTHER_GATEWAY)}).json() == PLAIN

    def test_a_document_that_is_not_valid_is_never_served(self, row):
        configure(row, http_period=0)

        assert fetch().status_code == 404

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_other_methods_are_not_allowed(self, method, row):
        assert Client(enforce_csrf_checks=True).generic(method, OWN).status_code in {403, 405}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", [BY_HEADER, FALLBACK])
def test_the_header_selects_it_through_both_doors_and_by_any_host_name(path, row, door, settings):
    settings.ALLOWED_HOSTS = ["ruuvi.example.com"]
    named = {"Host": "10.0.0.9", "ruuvi_gw_mac": str(GATEWAY)}

    assert door().get(path, headers=named).json() == PLAIN


class TestWhoMayRead:
    @pytest.mark.parametrize(
        "secret",
        [{"http_pass": "x"}, {"lan_auth_api_key_rw": "x"}, {"mqtt_pass": "x"},
         {"wifi_sta_config": {"ssid": "home", "password": "x"}}],
    )  # fmt: skip
    def test_one_with_secrets_is_never_served_without_authentication(self, secret, row):
        configure(row, **secret)
        reply = fetch()

        assert (reply.status_code, reply.json()["code"]) == (401, "ER_UNAUTHORIZED")
        assert not ServedConfiguration.objects.exists()

    @pytest.mark.parametrize("owner", ["gateway", "group"])
    @pytest.mark.parametrize("kind", ["basic", "bearer"])
    def test_its_credential_opens_it(self, kind, owner, row, group):
        configure(row, http_pass="x")
        name = "gw1" if kind == "basic" else ""
        made = make_credential(
            kind=kind, name=name, purpose="configuration", at=timezone.now(),
            **{owner: row if owner == "gateway" else group},
        )  # fmt: skip
        basic = b64encode(f"gw1:{made.shown_once}".encode()).decode()
        sent = bearer(made.shown_once) if kind == "bearer" else {"Authorization": f"Basic {basic}"}

        assert fetch(**sent).json()["http_pass"] == "x"
        assert Credential.objects.get().last_used_at
        assert fetch().status_code == 401
        assert fetch(**bearer("wrong")).status_code == 401

    def test_a_credential_for_posts_does_not_open_it(self, row):
        configure(row, http_pass="x")
        made = make_credential(kind="bearer", gateway=row, at=timezone.now())

        assert fetch(**bearer(made.shown_once)).status_code == 401

    def test_that_of_another_gateway_does_not_open_it(self, row):
        configure(row, http_pass="x")
        other = whitelist(mac=OTHER_GATEWAY, secret=OTHER_KEY, at=timezone.now())
        made = make_credential(
            kind="bearer", gateway=other, purpose="configuration", at=timezone.now()
        )

        assert fetch(**bearer(made.shown_once)).status_code == 401

    @pytest.mark.parametrize(
        "secret",
        [{"http_url": "https://a.example/record?token=x"}, {"http_url": "https://a:b@a.example/r"},
         {"http_stat_url": "https://a.example/status?token=x"},
         {"fw_update_url": "https://a.example/?key=x"}],
    )  # fmt: skip
    def test_a_url_may_hold_a_secret_too(self, secret, row):
        configure(row, **secret)

        assert fetch().status_code == 401

    @pytest.mark.parametrize(
        ("kind", "name"), [("header", "X-Api-Key"), ("query", "key"), ("api_key", "")]
    )
    def test_guessing_is_slowed_down_wherever_the_credential_stands(
        self, kind, name, row, time_machine
    ):
        time_machine.move_to("2026-04-01T18:51:05Z", tick=False)
        configure(row, http_pass="x")
        make_credential(kind=kind, name=name, secret="summer", gateway=row,
                        purpose="configuration", at=timezone.now())  # fmt: skip

        def present(secret):
            headers = {"header": {name: secret}, "api_key": {"Authorization": secret}}
            query = f"?{name}={secret}" if kind == "query" else ""
            return fetch(OWN + query, **headers.get(kind, {})).status_code

        assert [present(f"guess{number}") for number in range(11)] == [401] * 10 + [429]
        assert present("summer") == 429

    def test_the_gateway_of_that_address_is_not_slowed_down(self, row, time_machine):
        time_machine.move_to("2026-04-01T18:51:05Z", tick=False)
        configure(row, http_pass="x")
        make_credential(kind="bearer", secret="summer", gateway=row, purpose="configuration",
                        at=timezone.now())  # fmt: skip
        Gateway.objects.update(last_address="127.0.0.1")
        for number in range(12):
            fetch(**bearer(number))

        assert fetch(**bearer("summer")).status_code == 200

    def test_guessing_is_slowed_down(self, row, time_machine):
        time_machine.move_to("2026-04-01T18:51:05Z", tick=False)
        configure(row, http_pass="x")
        make_credential(kind="bearer", secret="summer", gateway=row, purpose="configuration",
                        at=timezone.now())  # fmt: skip
        statuses = [fetch(**bearer(number)).status_code for number in range(11)]

        assert statuses == [401] * 10 + [429]
        assert fetch(**bearer("summer")).status_code == 429


class TestFilledIn:
    def made(self, kind, owner, purpose="posts", name=""):
        return make_credential(
            kind=kind, name=name, purpose=purpose, is_readable=True, at=timezone.now(), **owner
        ).shown_once

    @pytest.mark.parametrize(
        ("auth", "kind", "key"),
        [("bearer", "bearer", "http_bearer_token"), ("token", "token", "http_api_key"),
         ("api_key", "api_key", "http_api_key"), ("basic", "basic", "http_pass")],
    )  # fmt: skip
    def test_the_newest_credential_is_filled_in(self, auth, kind, key, row, group):
        configure(row, http_auth=auth)
        name = "gw1" if kind == "basic" else ""
        token = self.made("bearer", {"group": group}, "configuration")
        secret = self.made(kind, {"gateway": row}, name=name)
        document = fetch(**bearer(token)).json()

        assert document[key] == secret
        assert document.get("http_user", "") == name
        assert fetch().status_code == 401

    def test_what_opens_the_configuration_is_sent_along(self, row, group):
        configure(row, remote_cfg_auth_type="bearer")
        token = self.made("bearer", {"group": group}, "configuration")

        assert fetch(**bearer(token)).json()["remote_cfg_auth_bearer_token"] == token

    def test_one_that_is_only_a_hash_is_not(self, row):
        configure(row, http_auth="bearer")
        make_credential(kind="bearer", gateway=row, at=timezone.now())

        assert "http_bearer_token" not in fetch().json()


@pytest.mark.storage
def test_every_served_version_is_recorded(row):
    fetch()
    fetch()
    configure(row, http_period=30)
    fetch()
    served = list(ServedConfiguration.objects.order_by("version").values_list("version", "times"))

    assert served == [(1, 2), (2, 1)]
    assert json.loads(ServedConfiguration.objects.get(version=2).document)["http_period"] == 30


@pytest.mark.parametrize(
    "text",
    ["[]", "{", "1", '{"x": 1}', '{"http_period": 0}', '{"http_period": "10"}',
     '{"http_period": true}', '{"use_http": 1}', '{"remote_cfg_use": false}',
     '{"http_url": "ftp://x"}', '{"http_url": "http://[x"}', '{"remote_cfg_url": "http://localhost/x"}',
     '{"http_auth": "digest"}', '{"http_auth": []}', '{"http_data_format": "raw"}',
     '{"scan_filter_list": ["x"]}', '{"wifi_sta_config": {"psk": "x"}}', '{"wifi_sta_config": 1}',
     '{"coordinates": "' + "x" * 64 + '"}', '{"http_user": "' + "x" * 51 + '"}', "[" * 100_000],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_what_no_gateway_understands_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        parse(text)


def test_the_minimal_file_of_the_contract_is_understood():
    assert parse(json.dumps(PLAIN | {
        "remote_cfg_url": "https://ruuvi.example.com/gw-config", "remote_cfg_auth_type": "bearer",
        "remote_cfg_auth_bearer_token": "cfg-secret", "remote_cfg_refresh_interval_minutes": 60,
        "use_http_ruuvi": False, "http_period": 60, "http_data_format": "ruuvi",
        "http_auth": "bearer", "http_bearer_token": "data-secret", "use_http_stat": True,
        "http_stat_url": "https://ruuvi.example.com/status", "http_stat_user": "gw1",
        "http_stat_pass": "stat-secret", "scan_filter_list": ["AA:BB:CC:DD:EE:FF"],
    }))  # fmt: skip


class TestConsole:
    def save(self, console, group, document):
        page = reverse("admin:gateways_gatewaygroup_change", args=[group.pk])
        reply = console.post(page, {"name": group.name, "template": json.dumps(document)})
        group.refresh_from_db()
        return reply

    def test_secrets_are_written_and_never_shown(self, console, group):
        page = reverse("admin:gateways_gatewaygroup_change", args=[group.pk])
        self.save(
            console,
            group,
            {"http_pass": "sesame-1", "wifi_sta_config": {"ssid": "a", "password": "sesame-2"}},
        )

        assert json.loads(group.template)["http_pass"] == "sesame-1"
        assert "sesame" not in console.get(page).content.decode()
        self.save(console, group, {"http_pass": "********", "http_period": 20})
        assert json.loads(group.template) == {"http_pass": "sesame-1", "http_period": 20}

    def test_it_lies_encrypted(self, console, group):
        self.save(console, group, {"http_pass": "sesame"})
        ((raw,),) = GatewayGroup.objects.extra(select={"raw": "template"}).values_list("raw")

        assert "sesame" not in raw

    @pytest.mark.parametrize("document", [{"x": 1}, {"http_pass": "********"}, {"http_period": 0}])
    def test_what_is_not_valid_is_not_saved(self, document, console, group):
        assert self.save(console, group, document).status_code == 200
        assert json.loads(group.template) == PLAIN

    def test_a_gateway_may_differ(self, console, row):
        page = reverse("admin:gateways_gateway_change", args=[row.pk])
        console.post(page, {"group": row.group_id, "overrides": '{"http_period": 15}'})

        assert fetch().json()["http_period"] == 15

    def test_served_versions_are_listed_without_their_secrets(self, console, row, group):
        configure(row, http_pass="sesame")
        token = make_credential(
            kind="bearer", group=group, purpose="configuration", at=timezone.now()
        )
        fetch(**bearer(token.shown_once))
        served = ServedConfiguration.objects.get()
        pages = [
            reverse("admin:gateways_servedconfiguration_changelist"),
            reverse("admin:gateways_servedconfiguration_change", args=[served.pk]),
        ]

        for page in pages:
            reply = console.get(page)
            assert reply.status_code == 200
            assert "sesame" not in reply.content.decode()
