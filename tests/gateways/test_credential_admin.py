"""Credentials, groups and policies in the console."""

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from gateways.credentials import make_credential
from gateways.models import Credential, Gateway, GatewayGroup
from gateways.services import note_rejection, whitelist
from ruuvinet.lib.mac import Mac
from tests.gateways.conftest import GATEWAY, KEY, Sender, body_of
from tests.gateways.test_gateway_admin import console, operator

__all__ = ["console", "operator"]
pytestmark = pytest.mark.django_db

LIST = reverse("admin:gateways_credential_changelist")
ADD = reverse("admin:gateways_credential_add")
GATEWAYS = reverse("admin:gateways_gateway_changelist")


@pytest.fixture
def row():
    return whitelist(mac=GATEWAY, secret=KEY, at=timezone.now())


@pytest.fixture
def add(console, row):
    def send(**fields):
        given = {"kind": "bearer", "purpose": "posts", "gateway": str(row.mac), "name": ""}
        return console.post(ADD, given | fields)

    return send


def status_with(token, mac=GATEWAY):
    sender = Sender(mac, KEY)
    body = body_of({}, gw_mac=str(mac))
    now = int(timezone.now().timestamp())
    return sender.send(
        body, now=now, signature="", headers={"authorization": f"Bearer {token}"}
    ).status


@pytest.mark.storage
def test_what_the_console_makes_is_shown_once(add, console, row):
    Gateway.objects.update(policy="either")
    reply = add()
    token = reply.context["secret"]

    assert reply.status_code == 200
    assert token in reply.content.decode()
    assert "no-store" in reply["Cache-Control"]
    assert status_with(token) == 200
    page = reverse("admin:gateways_credential_change", args=[Credential.objects.get().pk])
    for url in (LIST, page):
        assert token not in console.get(url).content.decode()


def test_a_fleet_token_belongs_to_a_group(add):
    group = GatewayGroup.objects.create(name="fleet")
    add(gateway="", group=group.pk)

    assert Credential.objects.get().group == group


@pytest.mark.parametrize(
    "fields",
    [
        {"gateway": ""},
        {"group": "1"},
        {"kind": "basic"},
        {"kind": "basic", "name": "a:b"},
        {"kind": "basic", "name": "u", "secret": "x" * 51},
        {"kind": "basic", "name": "u" * 51},
        {"kind": "header"},
        {"kind": "header", "name": "X_Key"},
        {"kind": "header", "name": "Authorization"},
        {"kind": "header", "name": "X-Client-Cert"},
        {"kind": "header", "name": "a b"},
        {"kind": "query"},
        {"kind": "bearer", "name": "u"},
        {"secret": " x"},
        {"secret": "x "},
        {"secret": "x\n"},
        {"secret": "x" * 256},
        {"kind": "fingerprint"},
        {"kind": "fingerprint", "secret": "ab:cd"},
        {"kind": "subject"},
        {"kind": "digest"},
    ],
)
def test_what_a_gateway_could_not_present_is_refused(fields, add):
    GatewayGroup.objects.create(pk=1, name="fleet")
    reply = add(**fields)

    assert reply.status_code == 200
    assert reply.context["adminform"].errors or reply.context["errors"]
    assert not Credential.objects.exists()


def test_revoking_is_an_action_and_in_the_trail(console, row):
    Gateway.objects.update(policy="either")
    made = make_credential(kind="bearer", gateway=row, at=timezone.now())
    assert status_with(made.shown_once) == 200
    console.post(LIST, {"action": "revoke", "_selected_action": [made.pk]})

    assert status_with(made.shown_once) == 401
    assert AuditEntry.objects.filter(action__contains="Revoked").exists()


def test_deleting_one_refuses_it_at_once(console, row):
    Gateway.objects.update(policy="either")
    made = make_credential(kind="bearer", gateway=row, at=timezone.now())
    assert status_with(made.shown_once) == 200
    console.post(reverse("admin:gateways_credential_delete", args=[made.pk]), {"post": "yes"})

    assert status_with(made.shown_once) == 401


def test_group_policy_and_period_of_a_gateway_can_be_changed(console, row):
    group = GatewayGroup.objects.create(name="fleet")
    page = reverse("admin:gateways_gateway_change", args=[row.pk])
    console.post(page, {"group": group.pk, "policy": "both", "period_s": "120"})
    changed = Gateway.objects.get()

    assert (changed.group, changed.policy, changed.period_s) == (group, "both", 120)
    assert changed.secret == KEY


@pytest.mark.parametrize("period", ["0", "3601", "-1", "x"])
def test_a_period_that_gateways_ignore_is_refused(period, console, row):
    page = reverse("admin:gateways_gateway_change", args=[row.pk])

    assert console.post(page, {"period_s": period}).status_code == 200
    assert Gateway.objects.get().period_s is None


def test_a_new_key_is_offered_by_an_action_and_not_shown(console, row):
    console.post(GATEWAYS, {"action": "offer_key", "_selected_action": [str(row.mac)]})
    offered = Gateway.objects.get()
    page = console.get(reverse("admin:gateways_gateway_change", args=[row.pk])).content.decode()

    assert offered.key_state == "offered"
    assert offered.offered_secret
    assert offered.offered_secret not in page
    assert "offered" in page


def test_credentials_are_listed_in_few_queries(console, row, django_assert_max_num_queries):
    group = GatewayGroup.objects.create(name="fleet")
    for number in range(10):
        owner = {"gateway": row} if number % 2 else {"group": group}
        make_credential(kind="bearer", **owner, at=timezone.now())

    with django_assert_max_num_queries(8):
        page = console.get(LIST, {"state": "active"})
    assert len(page.context["cl"].result_list) == 10


class TestWithoutAKey:
    """Where a credential or a certificate is enough."""

    WAITING = Mac.parse("C8:25:2D:00:00:05")

    @pytest.fixture(autouse=True)
    def _knocked(self):
        now = timezone.now()
        note_rejection(mac=self.WAITING, reason="unknown", address="192.0.2.7", at=now)

    def whitelist(self, console, key=""):
        chosen = {"action": "whitelist", "_selected_action": [str(self.WAITING)]}
        console.post(GATEWAYS, chosen | {"confirm": "1", str(self.WAITING): key})
        return Gateway.objects.get(mac=self.WAITING).whitelisted_at is not None

    @pytest.mark.parametrize(
        ("policy", "taken"),
        [("either", True), ("certificate", True), ("both", False), ("signature", False),
         ("", False)],
    )  # fmt: skip
    @pytest.mark.parametrize("of", ["gateway", "group", "setting"])
    def test_one_that_need_not_sign_is_whitelisted_without(
        self, policy, taken, of, console, settings
    ):
        if of == "gateway":
            Gateway.objects.update(policy=policy)
        elif of == "group":
            Gateway.objects.update(group=GatewayGroup.objects.create(name="x", policy=policy))
        else:
            settings.GATEWAY_POLICY = policy or "signature"

        assert self.whitelist(console) is taken

    def test_it_delivers_with_its_credential_and_with_no_signature(self, console):
        Gateway.objects.update(policy="either")
        self.whitelist(console)
        gateway = Gateway.objects.get()
        made = make_credential(kind="bearer", gateway=gateway, at=timezone.now())

        assert status_with(made.shown_once, self.WAITING) == 200
        body = body_of({}, gw_mac=str(self.WAITING))
        now = int(timezone.now().timestamp())
        assert Sender(self.WAITING, "").send(body, now=now).status == 403

    @pytest.mark.parametrize(("policy", "added"), [("either", True), ("both", False)])
    def test_one_may_be_added_without(self, policy, added, console):
        page = reverse("admin:gateways_gateway_add")
        console.post(page, {"mac": str(GATEWAY), "secret": "", "policy": policy})

        assert Gateway.objects.filter(mac=GATEWAY, policy=policy).exists() is added

    def test_it_cannot_be_made_to_sign(self, console):
        Gateway.objects.update(policy="either")
        self.whitelist(console)
        page = reverse("admin:gateways_gateway_change", args=[self.WAITING])
        reply = console.post(page, {"policy": "both", "overrides": ""})

        assert "whitelisted without a key" in reply.content.decode()
        assert Gateway.objects.get().policy == "either"
