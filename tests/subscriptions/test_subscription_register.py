"""The web shop: `POST /subscription-register`, row by row of its description."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from accounts.models import AuditEntry
from subscriptions import views
from subscriptions.limits import limits_for
from subscriptions.models import Code
from subscriptions.services import claim_code
from tests.threads import at_once

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
SECRET = "between the shop and us"
CODE = "ABCD-EFGH"
REQUIRED = {
    "validDays": "365",
    "maxClaims": 25,
    "maxHistoryDays": 90,
    "maxResolutionMinutes": 5,
    "claimCode": CODE,
}
STORED = {
    "validDays": 365,
    "subscriptionName": "Ultimate",
    "maxClaims": 25,
    "maxShares": 250,
    "maxSharesPerSensor": 10,
    "maxHistoryDays": 90,
    "maxResolutionMinutes": 5,
    "claimCode": CODE,
    "creatorId": "",
}


@pytest.fixture
def register(db, settings):
    settings.SHOP_SECRET = SECRET

    def send(body=None, *, secret=SECRET, at=NOW, **fields):
        body = REQUIRED | fields if body is None else body
        with time_machine.travel(at, tick=False):
            return Client(raise_request_exception=False).generic(
                "POST",
                "/subscription-register",
                body if isinstance(body, bytes) else json.dumps(body).encode(),
                headers={} if secret is None else {"X-Shop-Secret": secret},
            )

    return send


def is_error(reply, status, code, *names):
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert all(name in reply.json()["error"] for name in names)
    return True


@pytest.mark.storage
def test_200_subscription_was_registered(register):
    reply = register()

    assert (reply.status_code, reply.json()) == (200, {"result": "success", "data": STORED})


def test_header_x_shop_secret_is_asked_for_whatever_its_case(register, settings):
    settings.INTERNAL_SECRET = "internal"

    assert Client().post("/subscription-register", REQUIRED).status_code == 403
    assert register(secret="internal").status_code == 403
    assert register(secret=SECRET).status_code == 200


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x", "é"])
def test_403_missing_or_invalid_authentication_header(secret, register):
    assert is_error(register(secret=secret), 403, "ER_FORBIDDEN")
    assert not Code.objects.exists()


@pytest.mark.parametrize("missing", REQUIRED)
@pytest.mark.parametrize("empty", ["absent", None, ""])
def test_400_missing_required_fields_in_payload(missing, empty, register):
    body = REQUIRED | {missing: empty}
    if empty == "absent":
        del body[missing]

    assert is_error(register(body), 400, "ER_MISSING_ARGUMENT", missing)
    assert not Code.objects.exists()


def test_400_names_all_that_is_missing_or_wrong(register):
    assert is_error(register({}), 400, "ER_MISSING_ARGUMENT", *REQUIRED)
    reply = register(validDays=0, maxClaims="x")
    assert is_error(reply, 400, "ER_INVALID_FORMAT", "validDays", "maxClaims")


def test_409_subscription_code_already_used(register):
    register()

    assert is_error(register(maxClaims=1), 409, "ER_SUBSCRIPTION_CODE_EXISTS")
    assert Code.objects.get().max_claims == 25


def test_500_server_error(register, monkeypatch):
    def fail(**_):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(views.services, "register_code", fail)

    assert is_error(register(), 500, "ER_INTERNAL")
    assert AuditEntry.objects.get().result == "500"


class TestFields:
    @pytest.mark.parametrize("value", ["365", 365, "0365", 365.0])
    def test_valid_days_is_the_validity_and_may_be_text_or_number(self, value, register, alice):
        register(validDays=value)

        assert claim_code(user=alice, text=CODE, at=NOW).ends_at == NOW + timedelta(days=365)

    @pytest.mark.parametrize(
        ("name", "limit"),
        [
            ("maxClaims", "max_claims"),
            ("maxShares", "max_shares"),
            ("maxSharesPerSensor", "max_shares_per_sensor"),
            ("maxHistoryDays", "max_history_days"),
            ("maxResolutionMinutes", "max_resolution_minutes"),
        ],
    )
    @pytest.mark.parametrize("value", [7, "7"])
    def test_number_is_answered_and_becomes_the_limit(self, name, limit, value, register, alice):
        assert register(**{name: value}).json()["data"][name] == 7
        claim_code(user=alice, text=CODE, at=NOW)
        assert getattr(limits_for([alice.pk], NOW)[alice.pk], limit) == 7

    @pytest.mark.parametrize(
        ("given", "shares"),
        [
            ({}, 250),
            ({"maxSharesPerSensor": 3}, 75),
            ({"maxSharesPerSensor": 0}, 0),
            ({"maxShares": 40}, 40),
            ({"maxShares": 0}, 0),
            ({"maxShares": None}, 250),
            ({"maxShares": 40, "maxSharesPerSensor": 3}, 40),
        ],
    )
    def test_max_shares_defaults_to_claims_times_shares_per_sensor(self, given, shares, register):
        assert register(**given).json()["data"]["maxShares"] == shares

    @pytest.mark.parametrize("given", [{}, {"maxSharesPerSensor": None}])
    def test_max_shares_per_sensor_defaults_to_10(self, given, register):
        assert register(**given).json()["data"]["maxSharesPerSensor"] == 10

    @pytest.mark.parametrize("value", [None, ""])
    def test_subscription_name_defaults_to_ultimate(self, value, register):
        assert register(subscriptionName=value).json()["data"]["subscriptionName"] == "Ultimate"

    @pytest.mark.parametrize("name", ["Pro", "Päivä", "x" * 64])
    def test_subscription_name_is_told_to_the_person(self, name, register, alice):
        register(subscriptionName=name)
        assert claim_code(user=alice, text=CODE, at=NOW).name == name

    @pytest.mark.parametrize("code", ["abcd-efgh", "ABCDEFGH", "a b c d", "x" * 64])
    def test_claim_code_is_answered_as_written_and_claims_the_subscription(
        self, code, register, alice
    ):
        assert register(claimCode=code).json()["data"]["claimCode"] == code
        assert claim_code(user=alice, text=code.upper(), at=NOW).name == "Ultimate"

    def test_creator_id_is_kept(self, register):
        assert register(creatorId="shop-1").json()["data"]["creatorId"] == "shop-1"
        assert Code.objects.get().creator_id == "shop-1"

    def test_unknown_keys_are_ignored(self, register):
        assert register(orderNumber=7, nested={"a": [1]}).status_code == 200


NOT_WHOLE = ["x", "1.5", 1.5, -1, "-1", 10**12, "1e3", True, [1], {"a": 1}, "9" * 5000]


@pytest.mark.parametrize("value", NOT_WHOLE, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize(
    "name",
    [
        "validDays",
        "maxClaims",
        "maxShares",
        "maxSharesPerSensor",
        "maxHistoryDays",
        "maxResolutionMinutes",
    ],
)
def test_bad_number_is_refused_with_the_field(name, value, register):
    assert is_error(register(**{name: value}), 400, "ER_INVALID_FORMAT", name)
    assert not Code.objects.exists()


@pytest.mark.parametrize("name", ["validDays", "maxClaims", "maxResolutionMinutes"])
@pytest.mark.parametrize("zero", [0, "0"])
def test_zero_is_refused_where_it_would_sell_nothing(name, zero, register):
    assert is_error(register(**{name: zero}), 400, "ER_INVALID_FORMAT", name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("claimCode", "A"),
        ("claimCode", "A" * 1000),
        ("claimCode", "----"),
        ("claimCode", "ключ-ключ"),
        ("claimCode", "ab\0cd"),
        ("claimCode", "\ud800abcd"),
        ("claimCode", ["ABCD"]),
        ("claimCode", True),
        ("subscriptionName", "x" * 65),
        ("subscriptionName", "a\0b"),
        ("subscriptionName", {}),
        ("creatorId", "x" * 256),
        ("creatorId", ["a"]),
    ],
)
def test_bad_text_is_refused_with_the_field(name, value, register):
    assert is_error(register(**{name: value}), 400, "ER_INVALID_FORMAT", name)
    assert not Code.objects.exists()


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, [], [REQUIRED], "x", 7, None])
def test_what_is_no_object_is_refused(body, register):
    reply = register(json.dumps(body).encode() if not isinstance(body, bytes) else body)

    assert is_error(reply, 400, "ER_INVALID_FORMAT")


class TestRepeat:
    """The shop saw a timeout and does not know what became of its call."""

    @pytest.mark.storage
    @pytest.mark.parametrize("code", [CODE, CODE.lower(), CODE.replace("-", "")])
    def test_the_same_again_within_a_day_is_fine(self, code, register):
        register()
        reply = register(claimCode=code, at=NOW + timedelta(hours=23))

        assert (reply.status_code, Code.objects.count()) == (200, 1)
        assert reply.json()["data"] == STORED | {"claimCode": code}

    def test_defaults_written_out_are_the_same(self, register):
        register()

        assert (
            register(maxShares=250, subscriptionName="Ultimate", validDays=365).status_code == 200
        )

    def test_after_a_day_it_is_a_conflict(self, register):
        register()

        assert register(at=NOW + timedelta(hours=25)).status_code == 409

    @pytest.mark.parametrize("other", [{"creatorId": "else"}, {"validDays": 364}, {"maxShares": 1}])
    def test_from_another_creator_or_with_another_content_it_is_a_conflict(self, other, register):
        register()

        assert register(**other).status_code == 409

    def test_once_claimed_it_is_a_conflict(self, register, alice):
        register()
        claim_code(user=alice, text=CODE, at=NOW)

        assert register().status_code == 409

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.storage
    def test_twice_in_the_same_moment_makes_one_code(self, register):
        replies = at_once(*[lambda: register(at=datetime.now(UTC))] * 4)

        assert [reply.status_code for reply in replies] == [200] * 4
        assert Code.objects.count() == 1


def test_the_audit_trail_tells_of_the_call_and_not_of_the_code(register):
    register()
    register(secret="wrong")
    told = AuditEntry.objects.order_by("pk").values_list("actor", "kind", "action", "result")

    assert list(told) == [
        ("shop", "call", "POST /subscription-register", "200"),
        ("shop", "refused", "POST /subscription-register", "403 ER_FORBIDDEN"),
    ]
    assert "ABCD" not in str(list(AuditEntry.objects.values()))
