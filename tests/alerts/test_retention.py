"""How long what was told is remembered."""

from datetime import timedelta

import pytest

from alerts import services
from alerts.models import AlertEvent, Delivery
from alerts.services import purge_events

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
DAY = timedelta(days=1)


@pytest.fixture
def event(alice, start):
    def event(ended_after=None) -> AlertEvent:
        event = AlertEvent.objects.create(
            user=alice, sensor=1, sensor_name="Fridge", type="temperature", trigger="over",
            value=9.5, threshold=8, opened_at=start,
            resolved_at=None if ended_after is None else start + ended_after,
        )  # fmt: skip
        for channel in ("push", "email"):
            Delivery.objects.create(
                event=event, channel=channel, address="a", created_at=start, next_attempt_at=start
            )
        return event

    return event


def test_what_ended_long_ago_is_forgotten_with_whom_it_was_told(event, start, settings):
    settings.ALERT_RETENTION_DAYS = 7
    old, young = event(DAY), event(3 * DAY)
    assert purge_events(start + 9 * DAY) == 1
    assert list(AlertEvent.objects.all()) == [young]
    assert set(Delivery.objects.values_list("event", flat=True)) == {young.pk}
    assert old.pk != young.pk


def test_what_is_open_stays_however_old_it_is(event, start):
    event()
    assert purge_events(start + 10_000 * DAY) == 0


def test_statements_do_not_grow_with_events(event, start, django_assert_num_queries):
    for _ in range(50):
        event(DAY)
    with django_assert_num_queries(8):
        assert purge_events(start + 1000 * DAY) == 50


def test_a_long_history_goes_in_parts(event, start, monkeypatch):
    monkeypatch.setattr(services, "PURGED_AT_ONCE", 2)
    for _ in range(5):
        event(DAY)
    assert purge_events(start + 1000 * DAY) == 5
    assert not Delivery.objects.exists()
