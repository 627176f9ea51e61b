"""The envelope, and the comparison of secrets."""

import json

import pytest
from django.http import Http404
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from rest_framework import exceptions

from ruuvinet.lib import api


@pytest.mark.parametrize(
    ("given_secret", "accepted", "matches"),
    [
        ("secret", "secret", True),
        ("secret", " secret ", True),
        ("new", "old,new", True),
        ("old", "old, new,", True),
        ("ключ", "ключ", True),
        ("secret", "secrets", False),
        ("secrets", "secret", False),
        ("Secret", "secret", False),
        (" secret", "secret", False),
        ("old,new", "old,new", False),
        ("", "secret", False),
        (None, "secret", False),
        ("\0", "secret", False),
        ("\ud800", "secret", False),
    ],
)
def test_secret_matches_one_of_the_accepted(given_secret, accepted, matches):
    assert api.secret_matches(given_secret, accepted) is matches


@given(st.none() | st.text(), st.text(alphabet=" ,\t"))
def test_unset_secret_matches_nothing(given_secret, accepted):
    assert not api.secret_matches(given_secret, accepted)


@given(st.text(min_size=1).filter(lambda text: text.strip() == text and "," not in text))
def test_every_secret_matches_itself_and_no_longer_one(secret):
    assert api.secret_matches(secret, secret)
    assert not api.secret_matches(secret + "x", secret)


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (api.InvalidFormat("odd"), 400, {"error": "odd", "code": "ER_INVALID_FORMAT"}),
        (api.InvalidMacAddress("no"), 400, {"error": "no", "code": "ER_INVALID_MAC_ADDRESS"}),
        (api.Forbidden("no"), 403, {"error": "no", "code": "ER_FORBIDDEN"}),
        (api.Unauthorized("who"), 401, {"error": "who", "code": "ER_UNAUTHORIZED"}),
        (api.DomainError("odd"), 400, {"error": "odd"}),
        (
            exceptions.ValidationError({"a": [{"b": ["is odd"]}]}),
            400,
            {"error": "b: is odd", "code": "ER_INVALID_FORMAT"},
        ),
        (
            exceptions.ValidationError("odd"),
            400,
            {"error": "odd", "code": "ER_INVALID_FORMAT"},
        ),
        (
            exceptions.Throttled(detail="slower"),
            429,
            {"error": "Too many requests.", "code": "ER_THROTTLED"},
        ),
        (Http404(), 404, {"error": "Not found."}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_leaves_as_the_envelope(error, status, body):
    reply = api.exception_handler(error, {})

    assert (reply.status_code, reply.data) == (status, {"result": "error", **body})


def test_fault_of_ours_is_left_to_django():
    assert api.exception_handler(RuntimeError(), {}) is None


@pytest.mark.parametrize(
    ("view", "status", "code"),
    [
        (lambda request: api.not_found(request, Http404()), 404, None),
        (lambda request: api.bad_request(request, ValueError()), 400, "ER_INVALID_FORMAT"),
        (api.server_error, 500, "ER_INTERNAL"),
    ],
)
def test_answers_outside_of_views_are_json_too(view, status, code):
    reply = view(RequestFactory().get("/"))

    assert (reply.status_code, reply["Content-Type"]) == (status, "application/json")
    body = json.loads(reply.content)
    assert (body["result"], body.get("code")) == ("error", code)
