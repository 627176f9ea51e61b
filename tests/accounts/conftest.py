"""The clock and the mail that signing in needs."""

import json
from datetime import UTC, datetime

import pytest
import time_machine
from rest_framework.test import APIClient

from accounts.models import OutgoingMail


@pytest.fixture
def now():
    return datetime(2026, 4, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock(now):
    """A clock that stands still at `now` until it is moved."""
    with time_machine.travel(now, tick=False) as traveller:
        yield traveller


@pytest.fixture
def app():
    """An app in which nobody signed in; it posts JSON."""
    client = APIClient()
    client.default_format = "json"
    return client


@pytest.fixture
def mailed():
    """The variables of the newest mail to an address."""

    def mailed(address: str) -> dict[str, str]:
        mail = OutgoingMail.objects.filter(address=address).latest("pk")
        return json.loads(mail.variables)

    return mailed
