from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError

from subscriptions.limits import Limits, limits_for
from subscriptions.models import ALLOWANCE_FIELDS, Plan, Subscription
from subscriptions.services import make_default

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
NOW = datetime(2026, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def subscribe(user, *, starts_at, ends_at, push=False, **allowance):
    return Subscription.objects.create(
        user=user,
        name="Free",
        starts_at=starts_at,
        ends_at=ends_at,
        push_alert_allowed=push,
        **allowance,
    )


def test_without_a_subscription_the_default_plan_counts(alice):
    assert limits_for([alice.pk], NOW) == {alice.pk: Limits()}


def test_the_default_plan_can_be_changed(alice):
    Plan.objects.filter(is_default=True).update(name="Basic", max_claims=25, max_history_days=90)

    assert limits_for([alice.pk], NOW)[alice.pk] == Limits(
        name="Basic", max_claims=25, max_history_days=90
    )


def test_another_plan_can_become_the_default(alice):
    make_default(Plan.objects.create(name="Other", max_claims=7))

    assert limits_for([alice.pk], NOW)[alice.pk].max_claims == 7
    assert Plan.objects.filter(is_default=True).count() == 1


def test_without_any_plan_nearly_everything_is_allowed(alice):
    Plan.objects.all().delete()

    assert limits_for([alice.pk], NOW) == {alice.pk: Limits()}


def test_an_active_subscription_counts_in_all_it_allows(alice):
    values = {
        "max_claims": 3,
        "max_shares": 4,
        "max_shares_per_sensor": 5,
        "max_history_days": 6,
        "max_resolution_minutes": 7,
        "email_alert_allowed": False,
        "telegram_alert_allowed": True,
        "offline_alert_allowed": False,
        "delayed_alert_allowed": False,
        "pdf_export_allowed": False,
    }
    subscribe(alice, starts_at=NOW, ends_at=NOW + DAY, **values)

    assert limits_for([alice.pk], NOW)[alice.pk] == Limits(
        name="Free", ends_at=NOW + DAY, push_alert_allowed=False, **values
    )


def test_limits_know_all_that_a_plan_may_allow():
    assert {field.name for field in fields(Limits)} - {"is_active", "ends_at"} == set(
        ALLOWANCE_FIELDS
    )
    assert {f.name: f.default for f in Plan._meta.fields if f.name in ALLOWANCE_FIELDS[1:]} == {
        field.name: field.default for field in fields(Limits) if field.name in ALLOWANCE_FIELDS[1:]
    }


@pytest.mark.parametrize(("starts", "ends"), [(-2, 0), (1, 2), (1, None)])
def test_one_that_is_over_or_has_not_begun_does_not_count(alice, starts, ends):
    ends_at = None if ends is None else NOW + ends * DAY
    subscribe(alice, starts_at=NOW + starts * DAY, ends_at=ends_at)
    assert limits_for([alice.pk], NOW)[alice.pk].push_alert_allowed


def test_one_without_end_counts(alice):
    subscribe(alice, starts_at=NOW - 1000 * DAY, ends_at=None)
    assert not limits_for([alice.pk], NOW)[alice.pk].push_alert_allowed


@pytest.mark.parametrize("later_ends", [1, 3, None])
def test_of_several_the_one_that_started_last_counts(alice, later_ends):
    ends_at = None if later_ends is None else NOW + later_ends * DAY
    subscribe(alice, starts_at=NOW - DAY, ends_at=ends_at, push=True)
    subscribe(alice, starts_at=NOW - 2 * DAY, ends_at=NOW + 2 * DAY, push=False)
    assert limits_for([alice.pk], NOW)[alice.pk].push_alert_allowed


def test_each_has_limits_of_their_own(alice, bob):
    subscribe(alice, starts_at=NOW, ends_at=NOW + DAY, max_claims=1)
    subscribe(bob, starts_at=NOW, ends_at=NOW + DAY, max_claims=2)
    limits = limits_for([alice.pk, bob.pk], NOW)
    assert [limits[user.pk].max_claims for user in (alice, bob)] == [1, 2]


def test_many_people_cost_one_query(alice, bob, charlie, django_assert_num_queries):
    subscribe(alice, starts_at=NOW, ends_at=NOW + DAY)
    with django_assert_num_queries(1):
        limits = limits_for([alice.pk, bob.pk, charlie.pk], NOW)
    assert len(limits) == 3


def test_nobody_is_nobody():
    assert limits_for([], NOW) == {}


def test_a_subscription_that_ends_before_it_starts_is_refused(alice):
    with pytest.raises(IntegrityError):
        subscribe(alice, starts_at=NOW, ends_at=NOW - DAY)


def test_two_default_plans_are_refused():
    with pytest.raises(IntegrityError):
        Plan.objects.create(name="Second", is_default=True)
