"""The API document, and the application held to it."""

import os
import re
import time
from collections import Counter
from pathlib import Path

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
from alerts.views import WRONG_PHONES
from ruuvinet.api_schema import ENDPOINTS, OTHERS
from ruuvinet.asgi import Application
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
ROOT = Path(__file__).parents[2]
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


@pytest.mark.parametrize(
    ("path", "forms"),
    [("/whitelist", ["$ref", "items", "properties"]), ("/blacklist", ["$ref", "properties"])],
)
def test_all_forms_of_a_decision_are_described(document, path, forms):
    operation = document["paths"][path]["post"]
    (asked,) = operation["requestBody"]["content"].values()
    told = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert [next(f for f in forms if f in form) for form in asked["schema"]["anyOf"]] == forms
    assert len(told["anyOf"]) == len(forms)


def rows_of_endpoints():
    """Endpoints of docs/api.md: whom each line says to call it, and the tests that it names."""
    for line in (ROOT / "docs" / "api.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for endpoint in re.findall(r"`([A-Z]+ /[^`]*)`", cells[0]):
            if line.startswith("| `"):
                yield endpoint, cells[1:-1], re.findall(r"`([a-z_/]+\.py)`", cells[-1])


def test_the_documentation_has_a_row_for_each_endpoint(document):
    described = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert {endpoint for endpoint, _, _ in rows_of_endpoints()} == described


def test_the_tests_that_a_row_names_ask_that_endpoint():
    for endpoint, clients, tests in rows_of_endpoints():
        path = endpoint.partition(" ")[2].partition("/{")[0]
        assert tests, endpoint
        for test in tests:
            assert path in (ROOT / "tests" / test).read_text(), (endpoint, test)
        if len(clients) == 3:
            for client, test in zip(clients, ("web", "apps", "apps"), strict=True):
                asked = (ROOT / "tests" / "clients" / f"test_{test}.py").read_text()
                assert client != "x" or path in asked or path == "/pictures", (endpoint, test)


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
    monkeypatch.setattr(WRONG_PHONES, "limit", 10**9)


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
    # One of its own: schemathesis ends it with the test, and an application lives once.
    schema = schemathesis.openapi.from_asgi("/api/schema", Application())
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
