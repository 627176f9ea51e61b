"""Lists of gateways to whitelist: what is shown beforehand is what is done, and nothing else."""

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from gateways.lists import MAX_LINES, Fate, confirm, preview
from gateways.models import Gateway
from gateways.services import blacklist, note_rejection, whitelist
from ruuvinet.lib.mac import Mac

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
KEY, OTHER_KEY = "40:98:A7:78:58:1A:E1:38", "40:98:A7:78:58:1A:E1:39"
MACS = [f"C8:25:2D:8E:9C:0{n}" for n in range(6)]
PAGE = "admin:gateways_gateway_import_csv"


def fates(text):
    return [(line.number, line.fate) for line in preview(text)]


def test_a_header_and_empty_lines_are_no_gateways():
    text = f"MAC,key,name\n\n{MACS[0]},{KEY},Barn\n , \n{MACS[1]},{KEY}\n"
    assert fates(text) == [(3, Fate.WHITELIST), (5, Fate.WHITELIST)]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"C8:25,{KEY}", "looks like"),
        (MACS[0], "expected"),
        (f"{MACS[0]},{KEY},Barn,more", "expected"),
        (f"{MACS[0]},", "1 to 255"),
        (f"{MACS[0]},FF:FF:FF:FF:FF:FF:FF:FF", "fallback key"),
        (f"{MACS[0]},{KEY},{'x' * 65}", "at most 64"),
    ],
)
def test_a_bad_line_is_told_and_left_out(line, says):
    (found,) = preview(line)
    assert found.fate == Fate.FAULT
    assert says in found.says
    confirm(line, timezone.now())
    assert not Gateway.objects.exists()


def test_of_a_gateway_that_is_listed_twice_the_first_line_counts():
    text = f"{MACS[0]},{KEY}\n{MACS[0]},{OTHER_KEY}\n"
    assert fates(text) == [(1, Fate.WHITELIST), (2, Fate.FAULT)]
    confirm(text, timezone.now())
    assert Gateway.objects.get().secret == KEY


def test_what_is_there_already_decides_what_happens():
    now = timezone.now()
    macs = [Mac.parse(mac) for mac in MACS]
    note_rejection(mac=macs[0], reason=Gateway.Rejection.UNKNOWN, address="", at=now)
    blacklist(mac=macs[1], at=now)
    for mac in macs[2:5]:
        whitelist(mac=mac, secret=KEY, at=now)
    keys = [KEY, KEY, KEY, OTHER_KEY, KEY, KEY]
    names = ["", "", "", "", "Barn", ""]
    text = "\n".join(",".join(line) for line in zip(MACS, keys, names, strict=True))
    assert [fate for _, fate in fates(text)] == [
        Fate.WHITELIST, Fate.WHITELIST, Fate.NOTHING, Fate.FAULT, Fate.NAME, Fate.WHITELIST,
    ]  # fmt: skip
    confirm(text, now)
    assert Gateway.objects.whitelisted().count() == 6
    assert {gateway.secret for gateway in Gateway.objects.all()} == {KEY}
    assert Gateway.objects.get(mac=macs[4]).name == "Barn"


def test_more_lines_than_one_transaction_should_hold_are_refused():
    with pytest.raises(ValueError, match="more than 1000"):
        preview(f"{MACS[0]},{KEY}\n" * (MAX_LINES + 1))


def test_queries_do_not_grow_with_lines(django_assert_max_num_queries):
    text = "".join(f"{Mac(0xC8252D000000 + n)},{KEY},name {n}\n" for n in range(200))
    with django_assert_max_num_queries(30):  # SQLite takes a part of them with each
        confirm(text, timezone.now())
    assert Gateway.objects.whitelisted().count() == 200


def test_nothing_is_done_before_it_was_shown(admin_client):
    text = f"{MACS[0]},{KEY},Barn\nnonsense\n"
    shown = admin_client.post(reverse(PAGE), {"confirm": "yes", "pasted": text})
    assert not Gateway.objects.exists()
    assert KEY not in shown.content.decode()
    done = admin_client.post(
        reverse(PAGE), {"confirm": "yes", "sealed": shown.context["sealed"]}, follow=True
    )
    assert [str(message) for message in done.context["messages"]] == [
        "1 gateways are whitelisted.",
        "1 lines were left out.",
    ]
    assert Gateway.objects.whitelisted().get().name == "Barn"
    entry = AuditEntry.objects.get(about=MACS[0])
    assert KEY not in entry.action


@pytest.mark.parametrize("sealed", ["", "nonsense", "gAAAAAB"])
def test_what_was_not_shown_is_not_done(admin_client, sealed):
    admin_client.post(reverse(PAGE), {"confirm": "yes", "sealed": sealed})
    assert not Gateway.objects.exists()


@pytest.mark.parametrize("pasted", ["", "\x00", '"', "nonsense", "\ufeff"])
def test_a_list_of_nothing_says_so(admin_client, pasted):
    reply = admin_client.post(reverse(PAGE), {"confirm": "yes", "pasted": pasted})
    assert reply.status_code == 200
    assert reply.context["form"].errors


def test_whoever_may_not_change_gateways_gets_no_list_done(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("viewer@example.com", is_staff=True))
    assert client.get(reverse(PAGE)).status_code == 403
