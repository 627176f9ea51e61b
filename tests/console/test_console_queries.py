"""Lists of the console that are long on a busy system: no query for each row."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry, User
from gateways.models import NetworkRule
from subscriptions.models import Plan
from subscriptions.services import claim_code, give_plan, make_codes

pytestmark = pytest.mark.django_db


@pytest.fixture
def many():
    """Plans, codes that people claimed, subscriptions, networks and entries of the trail."""

    def many(count):
        now = timezone.now()
        for _ in range(count):
            number = User.objects.count()
            user = User.objects.create_user(email=f"person-{number}@example.com")
            plan = Plan.objects.create(name=f"Plan {number}")
            ((_, text),) = make_codes(
                plan=plan, valid_days=365, count=1, creator_id="a batch", at=now
            )
            claim_code(user=user, text=text, at=now)
            give_plan(user=user, plan=plan, valid_days=365, at=now + timedelta(seconds=1))
            NetworkRule.objects.create(network=f"198.51.100.{number}/32", reason="guesses secrets")
            audit.note(
                kind=AuditEntry.Kind.CALL, actor="shop", address="192.0.2.1",
                action="POST /subscription-register", about=f"code {number}", result="200", at=now,
            )  # fmt: skip

    return many


@pytest.mark.parametrize(
    "page",
    [
        "subscriptions_plan",
        "subscriptions_code",
        "subscriptions_subscription",
        "gateways_networkrule",
        "accounts_auditentry",
    ],
)
def test_queries_do_not_grow_with_rows(admin_client, many, page, django_assert_num_queries):
    url = reverse(f"admin:{page}_changelist")
    many(5)
    admin_client.get(url)
    with django_assert_num_queries(9, exact=False) as few:
        admin_client.get(url)
    many(45)
    with django_assert_num_queries(len(few.captured_queries)):
        reply = admin_client.get(url)
    assert reply.context["cl"].result_count >= 50
