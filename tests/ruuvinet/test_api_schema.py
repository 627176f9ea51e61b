"""The API document, and the application held to it."""

import os
import time
from collections import Counter

import hypothesis
import pytest
import schemathesis
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from hypothesis import strategies as st
from playwright.sync_api import sync_playwright
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts import services, sign_in
from accounts.services import issue_token
from ruuvinet.api_schema import ENDPOINTS, OTHERS
from ruuvinet.asgi import application
from ruuvinet.lib.mac import Mac
from sensors.partitions import ensure_partitions
from sensors.services import Reception, claim_sensor, store

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
MACS = [Mac.parse("EF:54:4A:E7:1D:9E"), Mac.parse("EF:54:4A:E7:1D:9F")]
DF5 = bytes.fromhex("0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6")
EXAMPLES = 60
OPERATIONS = [
    (method.upper(), path)
    for path, methods in SchemaGenerator().get_schema(public=True)["paths"].items()
    for method in methods
]
# Random values alone would seldom get beyond the first judgement.
KNOWN = {
    "sensor": str(MACS[0]),
    "email": "alice@example.com",
    "user": "bob@example.com",
    "secret": "DE:AD:BE:EF:00:11:22:33",
    "mode": "mixed",
    "sort": "asc",
    "since": "0",
    "until": "2000000000",
    "type": "image/png",
    "value": "1",
}
BY_HAND = {"/apple-app-site-association", "/.well-known/apple-app-site-association", *OTHERS}


@pytest.fixture
def document(client, db):
    return client.get("/api/schema").json()


def test_the_document_is_valid_openapi_3_1(document):
    assert document["openapi"] == "3.1.0"
    validate_schema(document)


def test_every_endpoint_is_described(document):
    served = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
        if path not in BY_HAND
    }
    assert served <= ENDPOINTS.keys()


def test_the_document_is_made_once(client, db):
    first = client.get("/api/schema")
    assert client.get("/api/schema")["Expires"] == first["Expires"]


@pytest.mark.slow
def test_the_documentation_is_served_without_any_other_host(live_server, monkeypatch):
    monkeypatch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    elsewhere, faults = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.on(
            "request",
            lambda r: (
                None if r.url.startswith((live_server.url, "data:")) else elsewhere.append(r.url)
            ),
        )
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.goto(f"{live_server.url}/api/docs")
        page.wait_for_selector("text=/sensors-dense")
        page.wait_for_selector("text=/record")
        browser.close()
    assert (elsewhere, faults) == ([], [])


@pytest.fixture
def alice(transactional_db, django_user_model):
    """She has a sensor that measured something; another one is nobody's."""
    alice = django_user_model.objects.create_user("alice@example.com")
    now = int(time.time())
    ensure_partitions(now)
    claim_sensor(user=alice, mac=MACS[0], name="Porch")
    store([Reception(int(mac), now, 1, -70, DF5) for mac in MACS])
    return alice


@pytest.fixture
def endless(monkeypatch):
    """Otherwise nearly all would be answered 429."""
    for name in ("CALLS_BY_EMAIL", "CALLS_BY_ADDRESS", "WRONG_BY_ADDRESS", "WRONG_IN_TOTAL"):
        monkeypatch.setattr(getattr(sign_in, name), "limit", 10**9)
    monkeypatch.setattr(services.DELETION_MAILS, "limit", 10**9)


def cases(operation):
    """What the schema allows, and what it does not."""
    modes = [GenerationMode.POSITIVE]
    if operation.body or operation.query or operation.path_parameters:
        modes.append(GenerationMode.NEGATIVE)
    return st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of schemathesis and what it brings
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_whatever_is_sent_is_answered_as_described(method, path, alice, endless, settings):
    """Through the application that production serves, the fast lane of gateways included."""
    schema = schemathesis.openapi.from_asgi("/api/schema", application)
    operation = schema[path][method]
    secrets = {
        "X-Internal-Secret": settings.INTERNAL_SECRET,
        "X-Shop-Secret": settings.SHOP_SECRET,
    }
    statuses = Counter()

    @hypothesis.settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=cases(operation), sensible=st.booleans())
    def attack(case, sensible):
        for given in (case.body, case.query):
            if sensible and isinstance(given, dict):
                given.update({name: KNOWN[name] for name in given.keys() & KNOWN.keys()})
        known = {**(case.headers or {}), "Authorization": issue_token(alice, timezone.now())}
        case.headers = {**known, **(secrets if path != "/register" else {})}
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        statuses[response.status_code] += 1

    attack()
    assert statuses
