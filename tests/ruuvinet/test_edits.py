"""Whose edit wins."""

from datetime import UTC, datetime, timedelta

import pytest

from ruuvinet.lib.edits import NewerExists, edit_time

NOW = datetime(2026, 4, 1, 12, 0, 0, 999, tzinfo=UTC)
NOW_S = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("timestamp", "expected_s"),
    [
        (None, NOW_S),
        (0, NOW_S),  # Android, for what it never edited
        (1, 1),
        (NOW_S - 5, NOW_S - 5),
        (NOW_S + 300, NOW_S + 300),
        (NOW_S + 301, NOW_S),
        (2**31 - 1, NOW_S),
    ],
)
def test_a_first_edit_is_always_taken(timestamp, expected_s):
    edited_at = edit_time(timestamp, stored=None, now=NOW)
    assert edited_at == datetime.fromtimestamp(expected_s, UTC)


def test_an_edit_of_the_same_second_is_taken():
    stored = NOW.replace(microsecond=900_000)
    assert edit_time(NOW_S, stored=stored, now=NOW) == NOW.replace(microsecond=0)


@pytest.mark.parametrize("timestamp", [0, NOW_S - 1])
def test_an_older_edit_is_refused(timestamp):
    with pytest.raises(NewerExists) as refusal:
        edit_time(timestamp, stored=NOW, now=NOW)
    assert (refusal.value.status, refusal.value.code) == (409, "ER_CONFLICT")
    assert refusal.value.sub_code == "ER_OLD_ENTRY"


def test_without_a_time_an_edit_that_was_made_ahead_wins():
    with pytest.raises(NewerExists):
        edit_time(None, stored=NOW + timedelta(seconds=200), now=NOW)
