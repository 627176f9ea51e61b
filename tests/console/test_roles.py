"""Viewers change nothing and see no secret, on any page; what operators and administrators may."""

import json
import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEntry, OutgoingMail, User
from alerts.models import Delivery, PushToken, Webhook
from gateways.models import Credential, Gateway, GatewayGroup, NetworkRule, ServedConfiguration
from ruuvinet.lib.mac import Mac
from sensors.models import Sensor
from tests.console.pages import MODELS, URLS, filled, row_of
from tests.console.rows import GATEWAY, SENSOR, add_row, numbers

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

# What everybody who may sign in does for themselves.
OWN = {
    "second_factor",
    "operations_notice_tell_me",
    "login",
    "logout",
    "password_change",
    "password_change_done",
}
# Django's own pages that only show, and answer whatever is sent to them with the same page; those
# without a name lead on to another.
SHOWS = {"", "index", "app_list", "jsi18n", "view_on_site", "search"}
SECRET = "tell-nobody"
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|TRUNCATE|COPY|ALTER|CREATE|DROP)\b", re.IGNORECASE)


def role(name):
    console = Client()
    user = User.objects.create_user(f"{name.lower()}@example.com", is_staff=True)
    user.groups.add(Group.objects.get(name=name))
    console.force_login(user)
    console.user = user
    return console


@pytest.fixture
def viewer():
    return role("Viewer")


def changes(queries, allowed=()):
    """What was written, but for the session, which remembers what to tell."""
    written = [query["sql"] for query in queries if WRITES.match(query["sql"])]
    return [sql for sql in written if not any(name in sql for name in ("django_session", *allowed))]


def actions_of(name):
    page = admin.site._registry.get(MODELS.get(name.removesuffix("_changelist")))
    named = [a if isinstance(a, str) else a.__name__ for a in getattr(page, "actions", None) or ()]
    return [*named, "delete_selected"]


def read(reply):
    return b"".join(reply.streaming_content).decode() if reply.streaming else reply.text


@pytest.mark.parametrize("route", URLS)
def test_a_viewer_changes_nothing_and_reads_no_secret(viewer, route):
    add_row()
    hide_secrets()
    name = URLS[route]
    url, row = filled(route, name), row_of(name)
    with CaptureQueriesContext(connection) as queries:
        reply = viewer.get(url)
        assert reply.status_code < 500
        assert SECRET not in read(reply)
    # Who took a copy of the history is noted.
    noted = ("accounts_auditentry",) if name == "sensors_sensor_export" else ()
    assert name == "logout" or changes(queries, noted) == []
    if name in OWN:
        return
    bodies = [{"confirm": "yes", "post": "yes", "_save": "Save"}]
    bodies += [
        {"action": action, "_selected_action": [row.pk], "confirm": "yes", "post": "yes"}
        for action in actions_of(name)
        if row
    ]
    with CaptureQueriesContext(connection) as queries:
        codes = {viewer.post(url, body).status_code for body in bodies}
    assert changes(queries) == []
    if name not in SHOWS and not name.endswith("_history"):
        assert codes <= {403, 404, 405}


def hide_secrets():
    """Put SECRET wherever something is stored that nobody shall read."""
    configuration = json.dumps({"http_pass": SECRET, "remote_cfg_auth_bearer_token": SECRET})
    Gateway.objects.update(
        secret=SECRET, offered_secret=SECRET, previous_secret=SECRET, overrides=configuration
    )
    GatewayGroup.objects.update(template=configuration)
    ServedConfiguration.objects.update(document=configuration)
    Credential.objects.update(secret=SECRET)
    Webhook.objects.update(url=f"https://hook.example.com/{SECRET}", secret=SECRET)
    PushToken.objects.update(token=f"{SECRET}-and-its-end")
    Delivery.objects.update(channel="push", address=f"{SECRET}-and-its-end")
    User.objects.filter(email__startswith="person").update(password=f"md5$salt${SECRET}")
    later = timezone.now() + timedelta(hours=1)
    OutgoingMail.objects.update(variables=json.dumps({"token": SECRET}), expires_at=later)


def test_a_viewer_has_no_action(viewer):
    request = RequestFactory().get("/")
    request.user = viewer.user
    found = {label: page.get_actions(request) for label, page in admin.site._registry.items()}
    assert {label: actions for label, actions in found.items() if actions} == {}


def test_a_viewer_may_see_every_list():
    viewer = User.objects.create_user("viewer@example.com", is_staff=True)
    viewer.groups.add(Group.objects.get(name="Viewer"))
    labels = [model._meta for model in admin.site._registry]
    missing = [f"{m.app_label}.view_{m.model_name}" for m in labels]
    assert [each for each in missing if not viewer.has_perm(each)] == []
    rights = {each.rpartition(".")[2] for each in viewer.get_all_permissions()}
    assert {each for each in rights if not each.startswith("view_")} == set()


def test_an_administrator_has_every_right():
    rights = Group.objects.get(name="Administrator").permissions
    assert set(rights.values_list("pk")) == set(Permission.objects.values_list("pk"))


def test_a_webhook_is_not_found_by_its_secret_path(viewer):
    add_row()
    hide_secrets()
    reply = viewer.get("/admin/alerts/webhook/", {"q": SECRET})
    assert reply.context["cl"].result_count == 0


@pytest.mark.parametrize(
    ("page", "field"),
    [("webhook", "url"), ("delivery", "address"), ("pushtoken", "token")],
)
def test_a_list_is_not_filtered_by_what_it_hides(viewer, page, field):
    assert viewer.get(f"/admin/alerts/{page}/", {f"{field}__startswith": "h"}).status_code == 400


# --- Operators -------------------------------------------------------------------------------
def test_an_operator_whitelists_and_blacklists():
    operator = role("Operator")
    add_row()
    mac = Mac(GATEWAY + next(numbers) - 1)
    chosen = {"_selected_action": [mac], "action": "whitelist", "confirm": "yes"}
    operator.post("/admin/gateways/gateway/", {**chosen, str(mac): "40:98:A7:78:58:1A:E1:38"})
    assert Gateway.objects.get(mac=mac).whitelisted_at
    operator.post("/admin/gateways/gateway/", {**chosen, "action": "blacklist"})
    assert Gateway.objects.get(mac=mac).blacklisted_at
    assert AuditEntry.objects.filter(actor="operator@example.com").count() == 2


def test_an_operator_names_gateways_and_edits_sensors():
    operator = role("Operator")
    add_row()
    number = next(numbers) - 1
    gateway, sensor = Mac(GATEWAY + number), Mac(SENSOR + number)
    operator.post(f"/admin/gateways/gateway/{gateway}/change/", {"name": "Barn", "overrides": ""})
    assert Gateway.objects.get(mac=gateway).name == "Barn"
    tables = ("accesses", "pending_shares", "choices")
    totals = {f"{t}-{n}_FORMS": 0 for t in tables for n in ("TOTAL", "INITIAL")}
    offsets = {f"offset_{n}": 1 for n in ("temperature_c", "humidity_pct", "pressure_pa")}
    operator.post(f"/admin/sensors/sensor/{sensor}/change/", {**totals, **offsets})
    assert Sensor.objects.get(mac=sensor).offset_temperature_c == 1


def test_an_operator_tries_deliveries_again_and_blocks_networks():
    operator = role("Operator")
    add_row()
    Delivery.objects.update(status="failed")
    chosen = {"action": "retry_now", "_selected_action": [Delivery.objects.get().pk]}
    operator.post("/admin/alerts/delivery/", chosen)
    assert Delivery.objects.get().status == "pending"
    operator.post("/admin/gateways/networkrule/add/", {"network": "203.0.113.0/24", "reason": "x"})
    assert NetworkRule.objects.filter(network="203.0.113.0/24").exists()


@pytest.mark.parametrize(
    "page",
    ["accounts/user", "auth/group", "gateways/credential", "gateways/gatewaygroup",
     "subscriptions/plan"],
)  # fmt: skip
def test_an_operator_changes_neither_rights_nor_credentials_nor_plans(page):
    operator = role("Operator")
    add_row()
    assert operator.get(f"/admin/{page}/").status_code == 200
    assert operator.get(f"/admin/{page}/add/").status_code == 403
    newest = row_of(page.replace("/", "_") + "_").pk
    for verb in ("change", "delete"):
        assert operator.post(f"/admin/{page}/{newest}/{verb}/", {"post": "yes"}).status_code == 403


def test_an_operator_cannot_touch_the_audit_trail():
    operator = role("Operator")
    add_row()
    entry = AuditEntry.objects.get()
    for verb in ("change", "delete"):
        reply = operator.post(f"/admin/accounts/auditentry/{entry.pk}/{verb}/", {"post": "yes"})
        assert reply.status_code == 403
