"""Which refused posts are remembered of each gateway, and how its page tells of them."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from gateways import advice, history
from gateways.models import Gateway, GatewayRejection
from gateways.selectors import fleet
from gateways.services import MAX_STRANGERS, blacklist, note_rejection, whitelist
from ruuvinet.lib.mac import Mac
from tests.gateways.conftest import ADDRESS, GATEWAY, NOW, at
from tests.threads import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
KEY = "40:98:A7:78:58:1A:E1:38"
UNKNOWN, SIGNATURE = Gateway.Rejection.UNKNOWN, Gateway.Rejection.SIGNATURE
UNSIGNED = Gateway.Rejection.UNSIGNED


def refuse(minute, reason=SIGNATURE, address=ADDRESS, mac=GATEWAY):
    note_rejection(mac=mac, reason=reason, address=address, at=at(NOW + 60 * minute))


@pytest.fixture
def gateway():
    return whitelist(mac=GATEWAY, secret=KEY, at=at(NOW - 86400))


def kept():
    rows = GatewayRejection.objects.order_by("-last_at")
    return [(row.reason, row.address, row.times) for row in rows]


@pytest.mark.usefixtures("gateway")
def test_the_same_from_the_same_address_is_counted():
    for minute in range(3):
        refuse(minute)

    row = GatewayRejection.objects.get()
    assert (row.first_at, row.last_at, row.times) == (at(NOW), at(NOW + 120), 3)


@pytest.mark.usefixtures("gateway")
def test_reasons_and_addresses_are_told_apart():
    for minute, (reason, address) in enumerate(
        [(SIGNATURE, ADDRESS), (UNSIGNED, ADDRESS), (SIGNATURE, ""), (SIGNATURE, "")]
    ):
        refuse(minute, reason, address)

    assert kept() == [
        ("signature", None, 2), ("unsigned", ADDRESS, 1), ("signature", ADDRESS, 1)
    ]  # fmt: skip


@pytest.mark.usefixtures("gateway")
def test_within_a_minute_one_is_counted():
    refuse(0)
    refuse(0.9)

    assert kept() == [("signature", ADDRESS, 1)]


@pytest.mark.usefixtures("gateway")
def test_whoever_invents_addresses_leaves_the_newest_few():
    for minute in range(2 * GatewayRejection.RECENT):
        refuse(minute, address=f"2001:db8::{minute:x}")

    assert len(kept()) == GatewayRejection.RECENT
    assert kept()[0][1] == "2001:db8::13"


def test_whoever_invents_gateways_leaves_as_many_as_are_remembered(monkeypatch):
    monkeypatch.setattr("gateways.services.MAX_STRANGERS", 5)
    assert MAX_STRANGERS * GatewayRejection.RECENT <= 10_000
    for minute in range(12):
        refuse(minute, UNKNOWN, mac=Mac(GATEWAY + minute))

    remembered = Gateway.objects.strangers().values_list("mac", flat=True)
    assert set(GatewayRejection.objects.values_list("gateway", flat=True)) == set(remembered)
    assert len(kept()) == 5


@pytest.mark.django_db(transaction=True)
def test_processes_that_refuse_at_once_count_one():
    at_once(*[lambda: refuse(0, UNKNOWN)] * 4)
    at_once(*[lambda: refuse(1, UNKNOWN)] * 4)

    row = GatewayRejection.objects.get()
    assert row.last_at == at(NOW + 60)


@pytest.mark.usefixtures("gateway")
def test_blacklisting_forgets_them():
    refuse(0)
    blacklist(mac=GATEWAY, at=at(NOW + 60))

    assert kept() == []


@pytest.mark.usefixtures("gateway")
def test_old_ones_are_forgotten(settings):
    refuse(0)
    later = timedelta(days=settings.GATEWAY_HISTORY_DAYS)
    assert history.purge(at(NOW) + later) == 0
    assert history.purge(at(NOW + 1) + later) == 1
    assert kept() == []


def test_what_was_refused_before_it_was_let_in_is_settled():
    refuse(0, UNKNOWN)
    gateway = whitelist(mac=GATEWAY, secret=KEY, at=at(NOW + 1))

    assert fleet(at(NOW + 60)).refused == 0
    (told,) = advice.recently_refused(gateway, at(NOW + 60))
    assert (told.reason, told.do) == ("not whitelisted", "")
    refuse(1)
    assert fleet(at(NOW + 61)).refused == 1


def test_what_to_do_stands_with_the_first_of_each_reason(gateway):
    for minute in range(4):
        refuse(minute, [SIGNATURE, UNSIGNED][minute % 2], f"192.0.2.{minute}")

    told = advice.recently_refused(gateway, at(NOW + 240))
    expected = [advice.remedy(UNSIGNED), advice.remedy(SIGNATURE), "", ""]
    assert [each.do for each in told] == expected


def test_the_page_tells_who_was_refused_how_often_and_what_to_do(admin_client):
    now = timezone.now()
    whitelist(mac=GATEWAY, secret=KEY, at=now - timedelta(days=1))
    for minutes, address in ((200, "192.0.2.99"), (125, ADDRESS), (121, ADDRESS)):
        note_rejection(
            mac=GATEWAY, reason=SIGNATURE, address=address, at=now - timedelta(minutes=minutes)
        )
    page = " ".join(admin_client.get(f"/admin/gateways/gateway/{GATEWAY}/change/").text.split())
    assert f"2 hours ago, from {ADDRESS}; in 2 minutes since" in page
    assert "3 hours ago, from 192.0.2.99<" in page
    assert page.count(advice.remedy(SIGNATURE)) == 1


@pytest.mark.django_db(transaction=True)
def test_an_upgrade_knows_the_newest_one_already():
    before = MigrationExecutor(connection)
    before.migrate([("gateways", "0010_names")])
    try:
        old = before.loader.project_state([("gateways", "0010_names")]).apps
        for mac, given in {
            1: {"rejected_at": at(NOW), "rejection": "unsigned", "rejected_address": ADDRESS},
            2: {},
        }.items():
            old.get_model("gateways", "Gateway").objects.create(mac=mac, **given)
    finally:
        newest = MigrationExecutor(connection)
        newest.migrate(newest.loader.graph.leaf_nodes())
    row = GatewayRejection.objects.get()
    assert (row.gateway_id, row.reason, row.address) == (1, "unsigned", ADDRESS)
    assert row.first_at == row.last_at == at(NOW)
