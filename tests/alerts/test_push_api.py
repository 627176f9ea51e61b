"""`/push-*` as the apps call them."""

import pytest

from alerts.models import PushToken
from alerts.services import MAX_PUSH_TOKENS

pytestmark = pytest.mark.django_db
NOW = 1_775_044_800  # 2026-04-01T12:00:00Z
ANDROID = {"token": "t1", "type": "Android", "params": {"language": "fi"}}
IOS = {
    "token": "t2",
    "type": "ios",
    "name": "My phone",
    "params": {"soundFile": "ruuvi_speak.caf", "language": "sv"},
}


@pytest.fixture(autouse=True)
def now(time_machine, start):
    time_machine.move_to(start, tick=False)


@pytest.fixture
def app(signed_in, alice):
    return signed_in(alice)


def test_a_phone_registers_and_learns_its_number(app, alice):
    data = app.post("/push-register", ANDROID).json()["data"]
    token = PushToken.objects.get()
    assert (token.user, token.token, token.platform) == (alice, "t1", "android")
    assert data == {"tokenId": token.pk, "id": token.pk, "lastAccessed": NOW, "name": "Android"}


def test_what_an_iphone_says_is_kept(app):
    app.post("/push-register", IOS)
    token = PushToken.objects.get()
    assert (token.platform, token.name, token.language, token.sound_file) == (
        "ios",
        "My phone",
        "sv",
        "ruuvi_speak.caf",
    )


@pytest.mark.parametrize(
    "params",
    [
        "",
        "fi",
        "{}",
        {},
        [],
        None,
        7,
        {"language": "finnish", "soundFile": "../x"},
        {"language": 7},
    ],
    ids=str,
)
def test_params_of_any_shape_are_accepted(app, params):
    assert app.post("/push-register", ANDROID | {"params": params}).status_code == 200
    assert (PushToken.objects.get().language, PushToken.objects.get().sound_file) == ("", "default")


@pytest.mark.parametrize(
    ("given", "kept"), [("iOS", "ios"), ("ANDROID", "android"), ("Web", "web")]
)
def test_the_kind_of_phone_is_compared_in_any_case(app, given, kept):
    app.post("/push-register", ANDROID | {"type": given})
    assert PushToken.objects.get().platform == kept


@pytest.mark.parametrize("missing", ["token", "type"])
def test_token_and_type_are_needed(app, missing):
    reply = app.post("/push-register", {k: v for k, v in ANDROID.items() if k != missing})
    assert (reply.status_code, reply.json()["code"]) == (400, "ER_MISSING_ARGUMENT")


@pytest.mark.parametrize(
    "wrong", [{"token": "x" * 4097}, {"token": ["x"]}, {"type": "x" * 17}, {"name": "x" * 256}]
)
def test_values_of_the_wrong_kind_are_refused(app, wrong):
    reply = app.post("/push-register", ANDROID | wrong)
    assert (reply.status_code, reply.json()["code"]) == (400, "ER_INVALID_FORMAT")


def test_registering_again_keeps_the_number_and_updates_the_rest(app, time_machine):
    first = app.post("/push-register", ANDROID).json()["data"]
    time_machine.shift(60)
    again = app.post("/push-register", ANDROID | {"name": "New", "params": {}}).json()["data"]
    assert again == first | {"lastAccessed": NOW + 60, "name": "New"}


def test_a_phone_that_changes_hands_belongs_to_the_last(app, signed_in, bob):
    app.post("/push-register", ANDROID)
    signed_in(bob).post("/push-register", ANDROID)
    assert PushToken.objects.get().user == bob


def test_registering_brings_a_retired_phone_back(app, start):
    app.post("/push-register", ANDROID)
    PushToken.objects.update(retired_at=start, retired_reason="gone")
    app.post("/push-register", ANDROID)
    assert PushToken.objects.get().retired_at is None


def test_those_not_heard_of_for_longest_make_room(app, alice, start):
    PushToken.objects.bulk_create(
        PushToken(user=alice, token=f"x{n}", platform="ios", last_accessed_at=start.replace(hour=1))
        for n in range(MAX_PUSH_TOKENS)
    )
    app.post("/push-register", ANDROID)
    assert PushToken.objects.count() == MAX_PUSH_TOKENS
    assert PushToken.objects.filter(token="t1").exists()


def test_phones_are_listed_with_exactly_what_the_apps_read(app, bob, signed_in):
    number = app.post("/push-register", ANDROID).json()["data"]["id"]
    signed_in(bob).post("/push-register", IOS)
    assert app.get("/push-list").json() == {
        "result": "success",
        "data": {"tokens": [{"id": number, "lastAccessed": NOW, "name": "Android"}]},
    }


@pytest.mark.parametrize("path", ["/push-register", "/push-list"])
def test_nobody_gets_in_without_a_token(client, path):
    assert client.get(path).status_code == client.post(path).status_code == 401


# --- unregister ----------------------------------------------------------------------------
@pytest.mark.parametrize("by", ["token", "number", "number as text"])
def test_a_phone_unregisters_without_signing_in(app, client, by):
    number = app.post("/push-register", ANDROID).json()["data"]["id"]
    body = {"token": {"token": "t1"}, "number": {"id": number}}.get(by, {"id": str(number)})
    reply = client.post("/push-unregister", body, content_type="application/json")
    assert (reply.status_code, reply.json()) == (200, {"result": "success"})
    assert not PushToken.objects.exists()


def test_a_token_that_no_longer_counts_does_not_keep_a_phone_from_leaving(app):
    app.post("/push-register", ANDROID)
    app.credentials(HTTP_AUTHORIZATION="Bearer of/nothing")
    assert app.post("/push-unregister", {"token": "t1"}).status_code == 200


@pytest.mark.parametrize("body", [{}, {"token": None}, {"other": 1}])
def test_one_of_token_and_number_is_needed(client, body):
    reply = client.post("/push-unregister", body, content_type="application/json")
    assert (reply.status_code, reply.json()["code"]) == (400, "ER_MISSING_ARGUMENT")


@pytest.mark.parametrize("body", [{"token": "unknown"}, {"id": 1}])
def test_an_unknown_phone_is_not_found_and_has_no_code(client, db, body):
    reply = client.post("/push-unregister", body, content_type="application/json")
    assert reply.status_code == 404
    assert reply.json().keys() == {"result", "error"}


@pytest.mark.parametrize("wrong", [{"id": "x"}, {"id": -1}, {"id": 2**80}, {"token": {}}])
def test_a_number_that_is_none_is_refused(client, db, wrong):
    reply = client.post("/push-unregister", wrong, content_type="application/json")
    assert (reply.status_code, reply.json()["code"]) == (400, "ER_INVALID_FORMAT")


def test_whoever_guesses_numbers_has_to_wait(app, client):
    number = app.post("/push-register", ANDROID).json()["data"]["id"]
    guesses = [leave(client, {"id": number + n}).status_code for n in range(1, 22)]
    assert guesses == [404] * 20 + [429]
    assert leave(client, {"id": number}).status_code == 429
    assert leave(client, {"id": number}, REMOTE_ADDR="192.0.2.1").status_code == 200


def leave(client, body, **origin):
    return client.post("/push-unregister", body, content_type="application/json", **origin)
