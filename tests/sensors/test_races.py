"""Many at once: a sensor has one owner, and nobody gets more than the plan allows."""

from functools import partial

import pytest

from accounts.models import User
from ruuvinet.lib.api import DomainError
from ruuvinet.lib.mac import Mac
from ruuvinet.sensor_services import contest_sensor, unclaim_sensor
from sensors.models import Access, PendingShare, Sensor
from sensors.services import Changes, claim_sensor, register_sensor, update_sensor
from sensors.sharing import share_sensor
from tests.sensors.conftest import NOW, PORCH, at
from tests.threads import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.storage]
SECRET = "DE:AD:BE:EF:00:11:22:33"


def tried(job):
    """Do it; the code of the refusal, if there is one."""

    def run():
        try:
            job()
        except DomainError as error:
            return error.code
        return "done"

    return run


@pytest.fixture
def people(db):
    return [User.objects.create_user(f"p{number}@example.com") for number in range(8)]


def test_claims_at_once_never_exceed_the_plan(alice, plan):
    plan(alice, max_claims=5)
    claims = [partial(claim_sensor, user=alice, mac=Mac(n), at=at(NOW)) for n in range(1, 13)]

    outcomes = at_once(*map(tried, claims))

    assert sorted(outcomes) == ["ER_CLAIM_COUNT_REACHED"] * 7 + ["done"] * 5
    assert Sensor.objects.filter(owner=alice).count() == Access.objects.count() == 5


def test_contests_count_as_claims(alice, bob, plan):
    plan(alice, max_claims=3)
    for mac in range(1, 9):
        register_sensor(mac=Mac(mac), secret=SECRET)
        claim_sensor(user=bob, mac=Mac(mac), at=at(NOW))
    contests = [
        partial(contest_sensor, user=alice, mac=Mac(n), secret=SECRET, name="", at=at(NOW))
        for n in range(1, 9)
    ]

    assert at_once(*map(tried, contests)).count("done") == 3
    assert Sensor.objects.filter(owner=alice).count() == 3


def test_of_many_contests_the_last_one_owns_alone(people):
    register_sensor(mac=PORCH, secret=SECRET)
    contests = [
        partial(contest_sensor, user=user, mac=PORCH, secret=SECRET, name="", at=at(NOW))
        for user in people
    ]

    assert at_once(*map(tried, contests)) == ["done"] * 8
    assert Access.objects.get().user == Sensor.objects.get().owner


def test_of_many_claims_one_wins(people):
    claims = [partial(claim_sensor, user=user, mac=PORCH, at=at(NOW)) for user in people]

    outcomes = at_once(*map(tried, claims))

    assert sorted(outcomes) == ["ER_SENSOR_ALREADY_CLAIMED"] * 7 + ["done"]
    assert Access.objects.get().user == Sensor.objects.get().owner


@pytest.mark.parametrize(
    ("allowance", "code"),
    [
        ({"max_shares": 3}, "ER_SHARE_COUNT_REACHED"),
        ({"max_shares_per_sensor": 3}, "ER_SENSOR_SHARE_COUNT_REACHED"),
    ],
)
def test_shares_at_once_never_exceed_the_plan(porch, alice, people, plan, allowance, code):
    plan(alice, **allowance)
    known = [user.email for user in people[:4]]
    unknown = [f"new{number}@example.com" for number in range(4)]
    shares = [
        partial(share_sensor, user=alice, mac=PORCH, email=email, at=at(NOW))
        for email in known + unknown
    ]

    assert sorted(at_once(*map(tried, shares))) == [code] * 5 + ["done"] * 3
    shared = Access.objects.exclude(user=alice).count()
    assert shared + PendingShare.objects.count() == 3


def test_the_same_share_at_once_is_one(porch, alice, bob):
    share = partial(share_sensor, user=alice, mac=PORCH, email=bob.email, at=at(NOW))
    outcomes = at_once(*[tried(share)] * 6)
    assert sorted(outcomes) == ["ER_SENSOR_ALREADY_SHARED"] * 5 + ["done"]


def test_the_same_invitation_at_once_is_one(porch, alice):
    invite = partial(share_sensor, user=alice, mac=PORCH, email="new@example.com", at=at(NOW))
    assert at_once(*[tried(invite)] * 6) == ["done"] * 6
    assert PendingShare.objects.count() == 1


def test_a_share_does_not_outlive_the_claim(porch, alice, people):
    shares = [
        partial(share_sensor, user=alice, mac=PORCH, email=user.email, at=at(NOW))
        for user in people
    ]
    release = partial(unclaim_sensor, user=alice, mac=PORCH, delete_data=False, at=at(NOW))

    at_once(*map(tried, [*shares, release]))

    assert Sensor.objects.get().owner is None
    assert not Access.objects.exists()


def test_the_newest_of_many_edits_stays(porch, alice):
    edits = [
        partial(
            update_sensor,
            user=alice,
            mac=PORCH,
            changes=Changes(name=str(second)),
            timestamp=NOW - second,
            now=at(NOW),
        )
        for second in range(8)
    ]
    at_once(*map(tried, edits))
    assert Access.objects.values_list("name", "edited_at").get() == ("0", at(NOW))
