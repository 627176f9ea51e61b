"""Shares: given, invited, taken back and left."""

import pytest

from accounts.models import OutgoingMail, User
from alerts.models import AlertRule
from sensors.models import Access, Latest, PendingShare
from sensors.services import claim_sensor
from sensors.sharing import accept_pending_shares, release_sensor, share_sensor
from tests.sensors.conftest import NOW, PORCH, at, refused

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
NEW = "new@example.com"


@pytest.fixture
def share(signed_in):
    def share(owner, email, **changed):
        return signed_in(owner).post("/share", {"sensor": str(PORCH), "user": email, **changed})

    return share


@pytest.fixture
def unshare(signed_in):
    def unshare(user, /, **changed):
        return signed_in(user).post("/unshare", {"sensor": str(PORCH), **changed})

    return unshare


def mails() -> list[tuple[str, str]]:
    return list(OutgoingMail.objects.order_by("pk").values_list("template", "address"))


class TestShare:
    def test_somebody_who_signed_up_can_read_at_once(self, porch, alice, bob, share):
        Access.objects.update(picture="door.jpg")

        reply = share(alice, "Bob@Example.com")

        assert reply.json()["data"] == {"sensor": str(PORCH), "invited": False}
        access = Access.objects.get(user=bob)
        assert (access.name, access.picture, access.edited_at) == ("Porch", "door.jpg", at(NOW))
        assert mails() == [("ShareNotification", "bob@example.com")]

    def test_somebody_else_is_invited(self, porch, alice, share):
        reply = share(alice, "New@Example.com")

        assert reply.json()["data"] == {"sensor": str(PORCH), "invited": True}
        assert PendingShare.objects.get().email == NEW
        assert mails() == [("AccountInvite", NEW)]

    def test_who_was_invited_and_then_shared_to_is_not_listed_twice(
        self, porch, alice, share, signed_in
    ):
        share(alice, NEW)
        User.objects.create_user(NEW)  # in the console, where nothing is accepted
        assert share(alice, NEW).json()["data"]["invited"] is False
        (sensor,) = signed_in(alice).get("/sensors").json()["data"]["sensors"]
        assert (sensor["sharedTo"], sensor["sharedToPending"]) == ([NEW], [])

    def test_inviting_again_is_fine_and_floods_nobody(self, porch, alice, share):
        assert [share(alice, NEW).status_code for _ in range(2)] == [200, 200]
        assert len(mails()) == 1

        PendingShare.objects.update(invited_at=at(NOW - 3600))
        share(alice, NEW)
        assert len(mails()) == 2
        assert PendingShare.objects.count() == 1

    def test_twice_is_once_too_often(self, shared_porch, alice, bob, share):
        reply = share(alice, bob.email)
        assert refused(reply, 409, "ER_SENSOR_ALREADY_SHARED", "Sensor already shared to user.")

    def test_only_the_owner_shares(self, shared_porch, bob, charlie, share):
        for user in (bob, charlie):
            assert refused(share(user, NEW), 403, "ER_FORBIDDEN", "Unable to share sensor.")
        assert not PendingShare.objects.exists()

    def test_not_with_oneself(self, porch, alice, share):
        assert refused(share(alice, "ALICE@example.com"), 403, "ER_FORBIDDEN")

    def test_not_before_there_is_data(self, porch, alice, bob, share):
        Latest.objects.all().delete()
        assert refused(share(alice, bob.email), 400, "ER_NO_DATA_TO_SHARE")

    def test_a_plan_bounds_all_shares_with_invitations(self, porch, alice, bob, share, plan):
        plan(alice, max_shares=1)
        share(alice, NEW)
        assert refused(share(alice, bob.email), 400, "ER_SHARE_COUNT_REACHED")
        assert share(alice, NEW).status_code == 200  # the same one again

    def test_a_plan_bounds_those_of_one_sensor(self, shared_porch, alice, share, plan):
        plan(alice, max_shares_per_sensor=1)
        assert refused(share(alice, NEW), 400, "ER_SENSOR_SHARE_COUNT_REACHED")

    def test_the_sharees_plan_does_not_count(self, porch, alice, bob, share, plan):
        plan(bob, max_shares=0, max_shares_per_sensor=0, max_claims=0)
        assert share(alice, bob.email).status_code == 200


class TestSignUp:
    def test_an_invitation_becomes_a_share(self, porch, alice):
        share_sensor(user=alice, mac=PORCH, email=NEW, at=at(NOW))
        new = User.objects.create_user(NEW)

        assert accept_pending_shares(user=new, at=at(NOW + 5)) == 1

        access = Access.objects.get(user=new)
        assert (access.name, access.edited_at) == ("Porch", at(NOW + 5))
        assert not PendingShare.objects.exists()

    def test_one_of_a_former_owner_does_not(self, porch, alice, bob):
        share_sensor(user=alice, mac=PORCH, email=NEW, at=at(NOW))
        release_sensor(porch, at(NOW))
        claim_sensor(user=bob, mac=PORCH, at=at(NOW))
        # As if it had outlived the release.
        PendingShare.objects.create(sensor=porch, shared_by=alice, email=NEW, invited_at=at(NOW))

        assert accept_pending_shares(user=User.objects.create_user(NEW), at=at(NOW)) == 0
        assert not PendingShare.objects.exists()

    def test_many_cost_as_much_as_one(self, alice, now, hear, django_assert_num_queries):
        for mac in range(1, 9):
            claim_sensor(user=alice, mac=mac, at=at(NOW))
            hear(NOW, mac=mac)
            share_sensor(user=alice, mac=mac, email=NEW, at=at(NOW))
        new = User.objects.create_user(NEW)
        with django_assert_num_queries(8):
            assert accept_pending_shares(user=new, at=at(NOW)) == 8


class TestUnshare:
    def test_the_owner_takes_it_back(self, shared_porch, alice, bob, unshare):
        AlertRule.objects.create(user=bob, sensor=shared_porch, type="temperature", max=1)
        OutgoingMail.objects.all().delete()

        assert unshare(alice, user="Bob@example.com").json() == {"result": "success", "data": {}}

        assert not Access.objects.filter(user=bob).exists()
        assert not AlertRule.objects.exists()
        assert mails() == [("UnshareNotification", "bob@example.com")]

    @pytest.mark.parametrize("named", [{}, {"user": ""}, {"user": "BOB@example.com"}])
    def test_a_sharee_leaves(self, shared_porch, bob, unshare, named):
        OutgoingMail.objects.all().delete()
        assert unshare(bob, **named).status_code == 200
        assert not Access.objects.filter(user=bob).exists()
        assert mails() == [("UnshareByShareeNotification", "alice@example.com")]

    def test_an_invitation_is_taken_back(self, porch, alice, share, unshare):
        share(alice, NEW)
        assert unshare(alice, user=NEW).status_code == 200
        assert not PendingShare.objects.exists()

    def test_an_invitation_that_outlived_the_sign_up_goes_with_the_share(
        self, porch, alice, bob, share, unshare
    ):
        PendingShare.objects.create(
            sensor=porch, shared_by=alice, email=bob.email, invited_at=at(NOW)
        )
        Access.objects.create(user=bob, sensor=porch)
        assert unshare(alice, user=bob.email).status_code == 200
        assert not Access.objects.filter(user=bob).exists()
        assert not PendingShare.objects.exists()

    def test_rules_for_a_public_sensor_stay(self, shared_porch, alice, bob, unshare):
        shared_porch.public = True
        shared_porch.save()
        AlertRule.objects.create(user=bob, sensor=shared_porch, type="temperature", max=1)
        unshare(alice, user=bob.email)
        assert AlertRule.objects.exists()

    def test_the_owner_must_say_whose(self, shared_porch, alice, unshare):
        text = "Invalid or no E-mail given."
        assert refused(unshare(alice), 400, "ER_INVALID_EMAIL_ADDRESS", text)

    def test_a_sharee_names_nobody_else(self, shared_porch, alice, bob, unshare):
        text = "You cannot unshare sensors you do not have access to."
        reply = unshare(bob, user=alice.email)
        assert refused(reply, 400, "ER_INVALID_EMAIL_ADDRESS", text)
        assert Access.objects.count() == 2

    def test_a_person_must_be_known(self, porch, alice, unshare):
        assert refused(unshare(alice, user=NEW), 404, "ER_USER_NOT_FOUND")

    @pytest.mark.parametrize("email", ["charlie@example.com", "alice@example.com"])
    def test_a_person_must_have_a_share(self, porch, alice, charlie, unshare, email):
        text = "No access to sensor or sensor not shared."
        assert refused(unshare(alice, user=email), 403, "ER_FORBIDDEN", text)
        assert Access.objects.filter(user=alice).exists()

    def test_a_stranger_has_none_to_leave(self, porch, charlie, unshare):
        assert refused(unshare(charlie), 403, "ER_FORBIDDEN")

    def test_a_sensor_must_be_known(self, alice, unshare):
        assert refused(unshare(alice), 404, "ER_SENSOR_NOT_FOUND")
