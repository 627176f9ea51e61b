"""`POST /whitelist` for a list of gateways: all or nothing."""

import json

import pytest
from django.test import Client
from django.utils import timezone

from gateways.models import Gateway
from gateways.services import GatewayAlreadyWhitelisted, note_rejection, whitelist_all
from ruuvinet.lib.mac import Mac
from tests.gateways.conftest import ADDRESS, GATEWAY, KEY, Sender, body_of
from tests.threads import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def whitelist(settings):
    settings.INTERNAL_SECRET = "between us"

    def send(body):
        return Client().generic(
            "POST", "/whitelist", json.dumps(body), headers={"X-Internal-Secret": "between us"}
        )

    return send


def entries(count, *, first=0):
    return [
        {"macAddress": str(Mac(first + number)), "secret": f"key {number}"}
        for number in range(count)
    ]


def is_refused(reply, status, code, text):
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert text in reply.json()["error"]
    assert "key 0" not in reply.content.decode()
    return True


@pytest.mark.storage
def test_each_is_whitelisted_with_its_own_secret_and_named_in_the_answer(whitelist):
    now = timezone.now()
    note_rejection(mac=GATEWAY, reason=Gateway.Rejection.UNKNOWN, address=ADDRESS, at=now)
    asked = [*entries(2), {"macAddress": str(GATEWAY).lower(), "secret": KEY}]
    reply = whitelist(asked)

    macs, rejected = [one["macAddress"] for one in asked], [None, None, int(now.timestamp())]
    assert (reply.status_code, reply.json()) == (
        200,
        {
            "result": "success",
            "gateways": [
                {"gateway": m, "blockedAt": r} for m, r in zip(macs, rejected, strict=True)
            ],
            "data": {
                "gateways": [
                    {"macAddress": m, "blockedAt": r} for m, r in zip(macs, rejected, strict=True)
                ]
            },
        },
    )
    assert [g.secret for g in Gateway.objects.whitelisted().order_by("mac")] == [
        "key 0",
        "key 1",
        KEY,
    ]


def test_their_posts_are_accepted_from_now_on(whitelist):
    body, now = body_of({}), int(timezone.now().timestamp())
    assert Sender(GATEWAY, KEY).send(body, now=now).status == 403
    whitelist([{"macAddress": str(GATEWAY), "secret": KEY}])
    assert Sender(GATEWAY, KEY).send(body, now=now).status == 200


def test_what_a_gateway_did_before_is_kept(whitelist):
    note_rejection(
        mac=GATEWAY, reason=Gateway.Rejection.UNKNOWN, address=ADDRESS, at=timezone.now()
    )
    before = Gateway.objects.get()
    whitelist([{"macAddress": str(GATEWAY), "secret": KEY}])
    after = Gateway.objects.get()

    assert (after.first_seen_at, after.rejected_at) == (before.first_seen_at, before.rejected_at)


@pytest.mark.storage
def test_one_that_is_whitelisted_already_stops_all_and_is_named(whitelist):
    whitelist(entries(1, first=2))
    reply = whitelist(entries(5))

    assert is_refused(reply, 409, "ER_GATEWAY_ALREADY_WHITELISTED", "00:00:00:00:00:02")
    assert Gateway.objects.get().secret == "key 0"


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({}, "Entry 2: macAddress, secret"),
        ({"macAddress": "x", "secret": "1"}, "Entry 2: macAddress"),
        ({"macAddress": "00:00:00:00:00:09"}, "Entry 2: secret"),
        ({"macAddress": "00:00:00:00:00:09", "secret": "1", "more": 1}, "Entry 2"),
        ({"ipAddress": "10.0.0.1"}, "Entry 2"),
        ({"macAddress": "00-00-00-00-00-01", "secret": "1"}, "00:00:00:00:00:01 is listed twice"),
        ({"macAddress": "00:00:00:00:00:09", "secret": "FF:FF:FF:FF:FF:FF:FF:FF"}, "fallback key"),
        ("00:00:00:00:00:09", "Entry 2"),
        (None, "Entry 2"),
        ([], "Entry 2"),
    ],
    ids=repr,
)
def test_one_bad_entry_stops_all_and_is_named(bad, text, whitelist):
    reply = whitelist([*entries(2), bad])

    assert is_refused(reply, 400, "ER_INVALID_FORMAT", text)
    assert not Gateway.objects.exists()


def test_an_empty_list_is_refused(whitelist):
    assert is_refused(whitelist([]), 400, "ER_INVALID_FORMAT", "1 to 10000")


@pytest.mark.storage
def test_ten_thousand_are_taken_in_few_queries(whitelist, django_assert_max_num_queries):
    # SQLite is given at most 999 values in a statement: about forty new rows.
    with django_assert_max_num_queries(300):
        reply = whitelist(entries(10_000))

    assert (reply.status_code, len(reply.json()["gateways"])) == (200, 10_000)
    assert Gateway.objects.whitelisted().count() == 10_000


def test_more_are_refused_before_any_work(whitelist):
    assert is_refused(whitelist([{}] * 10_001), 400, "ER_INVALID_FORMAT", "1 to 10000")


def test_a_body_beyond_a_megabyte_is_refused(whitelist):
    many = [{"macAddress": str(Mac(n)), "secret": "x" * 200} for n in range(10_000)]

    assert whitelist(many).status_code == 413


class TestSeenOnly:
    @pytest.fixture(autouse=True)
    def _seen_only(self, settings):
        settings.WHITELIST_SEEN_ONLY = True

    def test_an_unseen_gateway_is_refused_as_the_predecessor_did(self, whitelist):
        reply = whitelist(entries(1)[0])

        assert is_refused(reply, 409, "ER_GATEWAY_NOT_FOUND", "has not been seen yet.")
        assert not Gateway.objects.exists()

    def test_one_that_knocked_is_taken(self, whitelist):
        note_rejection(
            mac=GATEWAY, reason=Gateway.Rejection.UNKNOWN, address=ADDRESS, at=timezone.now()
        )
        assert whitelist({"macAddress": str(GATEWAY), "secret": KEY}).status_code == 200


def test_unknown_keys_can_be_ignored_by_a_setting(whitelist, settings):
    settings.INTERNAL_REFUSE_UNKNOWN_KEYS = False

    assert whitelist({"macAddress": str(GATEWAY), "secret": KEY, "name": "x"}).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.storage
def test_of_two_crossing_lists_at_once_one_wins_whole():
    macs = [Mac(number) for number in range(50)]

    def claim(ordered, secret):
        try:
            whitelist_all(secrets=dict.fromkeys(ordered, secret), at=timezone.now())
        except GatewayAlreadyWhitelisted:
            return None
        return secret

    won = [
        secret
        for secret in at_once(lambda: claim(macs, "one"), lambda: claim(macs[::-1], "two"))
        if secret
    ]

    assert len(won) == 1
    assert {gateway.secret for gateway in Gateway.objects.all()} == set(won)
