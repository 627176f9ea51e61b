"""Blocked networks and the audit trail in the console."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from gateways.models import Gateway, NetworkRule
from gateways.networks import block, is_blocked

pytestmark = pytest.mark.django_db
LIST, ADD = (reverse(f"admin:gateways_networkrule_{n}") for n in ("changelist", "add"))
AUDIT = reverse("admin:accounts_auditentry_changelist")


@pytest.fixture
def console():
    client = Client(REMOTE_ADDR="192.0.2.1")
    operator = User.objects.create_superuser("operator@example.com", "x")
    client.force_login(operator)
    return client


def trail():
    return list(
        AuditEntry.objects.order_by("pk").values_list("actor", "address", "action", "about")
    )


def test_a_network_is_blocked_at_once_with_a_reason(console):
    console.post(ADD, {"network": "10.1.2.3/8", "reason": "floods"})

    assert is_blocked("10.0.0.1")
    assert NetworkRule.objects.get().reason == "floods"
    assert trail() == [("operator@example.com", "192.0.2.1", "network rule: Added.", "10.0.0.0/8")]


def test_another_spelling_of_the_same_network_is_refused(console):
    block("10.0.0.0/8")
    reply = console.post(ADD, {"network": "10.9.9.9/8"})

    assert reply.context["adminform"].errors
    assert NetworkRule.objects.count() == 1


def test_nonsense_is_refused_with_the_reason(console):
    reply = console.post(ADD, {"network": "nonsense"})

    assert "no address and no network" in str(reply.context["adminform"].errors)


def test_deleting_a_rule_opens_the_network_at_once(console):
    rule = block("10.0.0.0/8")
    assert is_blocked("10.0.0.1")
    console.post(reverse("admin:gateways_networkrule_delete", args=[rule.pk]), {"post": "yes"})
    assert not is_blocked("10.0.0.1")


def test_deleting_several_opens_them_at_once(console):
    rules = [block("10.0.0.0/8"), block("11.0.0.0/8")]
    assert is_blocked("10.0.0.1")
    chosen = {"action": "delete_selected", "_selected_action": [r.pk for r in rules], "post": "y"}
    console.post(LIST, chosen)
    assert not is_blocked("10.0.0.1")
    assert [action for _, _, action, _ in trail()] == ["network rule: Deleted network rule."] * 2


def test_a_rule_can_become_one_that_lets_pass(console):
    rule = block("10.0.0.0/8")
    change = reverse("admin:gateways_networkrule_change", args=[rule.pk])
    console.post(change, {"network": "10.0.0.0/8", "is_allowed": "on"})
    assert not is_blocked("10.0.0.1")


def test_expiry_is_shown(console):
    block("10.0.0.0/8")
    form = {"network": "11.0.0.0/8", "expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}
    console.post(ADD, form)
    shown = console.get(LIST).content.decode()

    assert "expired" in shown
    assert "refused" in shown
    assert not is_blocked("11.0.0.1")


def test_whitelisting_in_the_console_is_in_the_trail_without_the_key(console):
    console.post(
        reverse("admin:gateways_gateway_add"),
        {"mac": "C8:25:2D:8E:9C:2C", "secret": "40:98:A7:78:58:1A:E1:38"},
    )
    chosen = {"action": "blacklist", "_selected_action": ["C8:25:2D:8E:9C:2C"]}
    console.post(reverse("admin:gateways_gateway_changelist"), chosen)

    assert [action for _, _, action, _ in trail()] == ["gateway: Added.", "gateway: Blacklisted."]
    assert "40:98" not in str(AuditEntry.objects.values())
    assert Gateway.objects.get().blacklisted_at


def test_a_changed_person_is_in_the_trail_without_the_password(console, bob):
    change = reverse("admin:auth_user_password_change", args=[bob.pk])
    console.post(change, {"password1": "a long new one 77", "password2": "a long new one 77"})

    assert [(action, about) for _, _, action, about in trail()] == [
        ("user: Changed password.", "bob@example.com")
    ]


def test_the_trail_is_shown_and_cannot_be_changed(console):
    console.post(ADD, {"network": "10.0.0.0/8"})
    entry = AuditEntry.objects.get()

    assert b"network rule: Added." in console.get(AUDIT).content
    change = reverse("admin:accounts_auditentry_change", args=[entry.pk])
    assert console.post(change, {"actor": "nobody"}).status_code == 403
    assert console.get(reverse("admin:accounts_auditentry_add")).status_code == 403
