from datetime import UTC, datetime, timedelta

import pytest

from subscriptions.limits import Limits, limits_for
from subscriptions.models import Subscription

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
NOW = datetime(2026, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def subscribe(user, *, starts_at, ends_at, push=False):
    return Subscription.objects.create(
        user=user, name="Free", starts_at=starts_at, ends_at=ends_at, push_alert_allowed=push
    )


def test_without_a_subscription_everything_is_allowed(alice):
    assert limits_for([alice.pk], NOW) == {alice.pk: Limits(push_alert_allowed=True)}


def test_an_active_subscription_counts(alice):
    subscribe(alice, starts_at=NOW, ends_at=NOW + DAY)
    assert not limits_for([alice.pk], NOW)[alice.pk].push_alert_allowed


@pytest.mark.parametrize(("starts", "ends"), [(-2, 0), (1, 2)])
def test_one_that_is_over_or_has_not_begun_does_not_count(alice, starts, ends):
    subscribe(alice, starts_at=NOW + starts * DAY, ends_at=NOW + ends * DAY)
    assert limits_for([alice.pk], NOW)[alice.pk].push_alert_allowed


def test_of_several_the_one_that_ends_last_counts(alice):
    subscribe(alice, starts_at=NOW, ends_at=NOW + 2 * DAY, push=True)
    subscribe(alice, starts_at=NOW, ends_at=NOW + DAY, push=False)
    assert limits_for([alice.pk], NOW)[alice.pk].push_alert_allowed


def test_many_people_cost_one_query(alice, bob, charlie, django_assert_num_queries):
    with django_assert_num_queries(1):
        limits = limits_for([alice.pk, bob.pk, charlie.pk], NOW)
    assert len(limits) == 3


def test_a_subscription_that_ends_before_it_starts_is_refused(alice):
    from django.db import IntegrityError

    with pytest.raises(IntegrityError):
        subscribe(alice, starts_at=NOW, ends_at=NOW - DAY)
