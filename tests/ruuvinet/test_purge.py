"""`manage.py purge`, with and without a dry run."""

import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts import tasks as accounts_tasks
from accounts.models import AccessToken, AuditEntry, OneTimeCode, OutgoingMail
from alerts import tasks as alerts_tasks
from alerts.models import AlertEvent, ListeningSpan
from gateways import tasks as gateways_tasks
from gateways.models import Gateway, GatewayReset
from ruuvinet.management.commands.purge import PURGES

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
MODELS = {
    "sign-in codes": OneTimeCode,
    "unused sessions": AccessToken,
    "mails": OutgoingMail,
    "audit trail": AuditEntry,
    "alert events": AlertEvent,
    "times without ingest": ListeningSpan,
    "told by and served to gateways": GatewayReset,
}


@pytest.fixture(autouse=True)
def _old_and_new(alice):
    """Of each kind one that is to go and one that is to stay."""
    now = timezone.now()
    gateway = Gateway.objects.create(mac=1)
    for at in (now - timedelta(days=400), now):
        later = at + timedelta(minutes=5)
        OneTimeCode.objects.create(
            purpose="sign_in", digest=str(at), email="a@example.com", expires_at=later
        )
        AccessToken.objects.create(secret_hash=str(at), created_at=at, last_used_at=at, user=alice)
        OutgoingMail.objects.create(
            template="SignIn", address="a@example.com", created_at=at, next_attempt_at=at
        )
        AuditEntry.objects.create(at=at, kind="call", actor="internal", action="x", result="ok")
        AlertEvent.objects.create(
            user=alice,
            sensor=1,
            sensor_name="Fridge",
            type="temperature",
            trigger="over",
            value=9.5,
            threshold=8,
            opened_at=at,
            resolved_at=at,
        )
        ListeningSpan.objects.create(since=0, until=int(at.timestamp()))
        GatewayReset.objects.create(gateway=gateway, seen_at=at)


def purge(*options):
    out = StringIO()
    call_command("purge", *options, stdout=out)
    return {name: int(n) for n, name in re.findall(r"^ *(\d+)  (.+)$", out.getvalue(), re.M)}


def left():
    return {name: model.objects.count() for name, model in MODELS.items()}


def test_a_dry_run_counts_and_deletes_nothing():
    assert purge("--dry-run") == dict.fromkeys(MODELS, 1)
    assert left() == dict.fromkeys(MODELS, 2)


def test_what_was_kept_long_enough_goes():
    assert purge() == dict.fromkeys(MODELS, 1)
    assert left() == dict.fromkeys(MODELS, 1)
    assert purge("--dry-run") == dict.fromkeys(MODELS, 0)


def test_the_timetable_forgets_the_same():
    expected = purge("--dry-run")
    accounts_tasks.sweep()
    accounts_tasks.purge_tokens()
    accounts_tasks.purge_audit_trail()
    alerts_tasks.sweep()
    alerts_tasks.purge_events()
    gateways_tasks.purge_history()
    assert {name: 2 - number for name, number in left().items()} == expected
    assert {purge.name for purge in PURGES} == set(MODELS)
