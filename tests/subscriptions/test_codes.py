"""Codes: made, claimed once, and kept as hashes."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import User
from subscriptions.codes import LETTERS, hash_code, make_code, normal_code
from subscriptions.limits import limits_for
from subscriptions.models import Code, Plan, Subscription
from subscriptions.selectors import history_of
from subscriptions.services import (
    CodeNotFound,
    CodeUsed,
    claim_code,
    extend,
    give_plan,
    make_codes,
    register_code,
)
from tests.threads import at_once

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 4, 1, 12, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def sell(text, *, valid_days=365, name="Pro", **allowance):
    return register_code(
        text=text, allowance={"name": name, **allowance}, valid_days=valid_days, at=NOW
    )


class TestSpelling:
    @pytest.mark.parametrize("text", ["abcd-efgh", "ABCDEFGH", " ab-CD-ef-gh\n", "abcd efgh"])
    def test_case_hyphens_and_blanks_do_not_count(self, text):
        assert normal_code(text) == "ABCDEFGH"
        assert hash_code(text) == hash_code("ABCD-EFGH")

    @pytest.mark.parametrize(
        "text", ["", "a", "abc", "-", "----", "x" * 65, "x" * 1000, "ключ", "a\0bcd"]
    )
    def test_what_is_no_code_is_refused(self, text):
        with pytest.raises(ValueError, match="A code has 4 to 64"):
            normal_code(text)

    def test_a_made_code_reads_well(self):
        made = [make_code() for _ in range(200)]

        assert all(re.fullmatch(rf"[{LETTERS}]{{4}}-[{LETTERS}]{{4}}", code) for code in made)
        assert len(set(made)) == 200
        assert not set("0O1IL2Z5S8BUV") & set(LETTERS)


@pytest.mark.storage
class TestClaim:
    def test_a_code_starts_its_plan_at_once(self, alice):
        sell("ABCD-EFGH", valid_days=10, max_claims=3, push_alert_allowed=False)
        claim_code(user=alice, text="abcdefgh", at=NOW)
        limits = limits_for([alice.pk], NOW)[alice.pk]

        assert (limits.name, limits.max_claims, limits.push_alert_allowed) == ("Pro", 3, False)
        assert limits.ends_at == NOW + 10 * DAY

    def test_validity_begins_with_the_claim_not_with_the_sale(self, alice):
        sell("ABCD-EFGH", valid_days=1)
        later = NOW + 400 * DAY

        assert claim_code(user=alice, text="ABCDEFGH", at=later).ends_at == later + DAY

    def test_who_claimed_it_and_when_is_noted(self, alice):
        code = sell("ABCD-EFGH")
        claim_code(user=alice, text="ABCDEFGH", at=NOW)
        code.refresh_from_db()

        assert (code.claimed_by, code.claimed_at) == (alice, NOW)

    def test_a_claimed_code_cannot_be_claimed_again(self, alice, bob):
        sell("ABCD-EFGH")
        claim_code(user=alice, text="ABCDEFGH", at=NOW)
        for user in (alice, bob):
            with pytest.raises(CodeUsed, match="Code already claimed"):
                claim_code(user=user, text="ABCDEFGH", at=NOW)
        assert Subscription.objects.count() == 1

    def test_an_unknown_code_is_not_found(self, alice):
        with pytest.raises(CodeNotFound, match="Code not found"):
            claim_code(user=alice, text="ABCDEFGH", at=NOW)

    def test_a_second_code_ends_what_the_first_one_began(self, alice):
        sell("AAAA-AAAA", name="First")
        sell("BBBB-BBBB", name="Second", valid_days=1)
        first = claim_code(user=alice, text="AAAAAAAA", at=NOW)
        claim_code(user=alice, text="BBBBBBBB", at=NOW + DAY)
        first.refresh_from_db()

        assert first.ends_at == NOW + DAY
        assert limits_for([alice.pk], NOW + DAY)[alice.pk].name == "Second"
        assert limits_for([alice.pk], NOW + 2 * DAY)[alice.pk].name == "RuuviNet"

    def test_two_codes_in_the_same_moment_leave_the_second(self, alice):
        sell("AAAA-AAAA", name="First")
        sell("BBBB-BBBB", name="Second")
        for text in ("AAAAAAAA", "BBBBBBBB"):
            claim_code(user=alice, text=text, at=NOW)

        assert limits_for([alice.pk], NOW)[alice.pk].name == "Second"
        assert [counts for _, counts in history_of(alice, NOW)] == [True, False]

    def test_the_text_of_a_code_is_nowhere_kept(self):
        sell("ABCD-EFGH")
        (kept,) = Code.objects.values()

        assert not [value for value in kept.values() if "ABCDEFGH" in str(value).replace("-", "")]


@pytest.mark.storage
class TestHistory:
    def names(self, user, at):
        return [(one.name, counts) for one, counts in history_of(user, at)]

    def test_the_active_one_comes_first_then_the_newest(self, alice):
        for number, text in enumerate(["AAAA-AAAA", "BBBB-BBBB", "CCCC-CCCC"]):
            sell(text, name=text[0], valid_days=30)
            claim_code(user=alice, text=text, at=NOW + number * DAY)

        assert self.names(alice, NOW + 3 * DAY) == [("C", True), ("B", False), ("A", False)]

    def test_after_the_end_the_default_plan_is_the_active_one(self, alice):
        sell("AAAA-AAAA", name="A", valid_days=30)
        claim_code(user=alice, text="AAAA-AAAA", at=NOW)
        (default, counts), _ = history_of(alice, NOW + 30 * DAY)

        assert self.names(alice, NOW + 30 * DAY) == [("RuuviNet", True), ("A", False)]
        assert (default.starts_at, default.ends_at, counts) == (NOW + 30 * DAY, None, True)

    def test_somebody_new_has_the_default_plan_since_the_account_was_made(self, alice):
        ((default, counts),) = history_of(alice, NOW)

        assert (default.name, default.starts_at, counts) == ("RuuviNet", alice.created_at, True)
        assert not Subscription.objects.exists()

    def test_of_two_that_run_only_one_counts(self, alice):
        for start in (0, 1):
            Subscription.objects.create(user=alice, name=str(start), starts_at=NOW + start * DAY)

        assert self.names(alice, NOW + 2 * DAY) == [("1", True), ("0", False)]

    def test_what_has_not_begun_is_not_told(self, alice):
        Subscription.objects.create(user=alice, name="later", starts_at=NOW + DAY)

        assert self.names(alice, NOW) == [("RuuviNet", True)]

    def test_it_costs_two_queries_however_long(self, alice, django_assert_num_queries):
        for day in range(5):
            give_plan(user=alice, plan=Plan(name="P"), valid_days=1, at=NOW + day * DAY)
        with django_assert_num_queries(2):
            history_of(alice, NOW + 50 * DAY)


@pytest.mark.storage
class TestGiving:
    def test_a_plan_is_given_for_days_or_for_good(self, alice):
        plan = Plan.objects.create(name="Staff", max_claims=9)
        assert give_plan(user=alice, plan=plan, valid_days=3, at=NOW).ends_at == NOW + 3 * DAY
        assert give_plan(user=alice, plan=plan, valid_days=None, at=NOW).ends_at is None
        assert limits_for([alice.pk], NOW + 999 * DAY)[alice.pk].max_claims == 9

    def test_a_plan_that_changes_takes_nothing_from_those_who_have_it(self, alice):
        plan = Plan.objects.create(name="Staff", max_claims=9)
        give_plan(user=alice, plan=plan, valid_days=None, at=NOW)
        Plan.objects.filter(pk=plan.pk).update(max_claims=1)

        assert limits_for([alice.pk], NOW)[alice.pk].max_claims == 9

    @pytest.mark.parametrize(("end", "extended"), [(2, 12), (-2, 10)])
    def test_extending_counts_from_the_end_or_from_now(self, end, extended, alice):
        one = Subscription.objects.create(
            user=alice, name="P", starts_at=NOW - 9 * DAY, ends_at=NOW + end * DAY
        )
        assert extend(subscriptions=[one], days=10, at=NOW) == 1
        one.refresh_from_db()
        assert one.ends_at == NOW + extended * DAY

    def test_what_has_no_end_is_not_extended(self, alice):
        one = Subscription.objects.create(user=alice, name="P", starts_at=NOW)
        assert extend(subscriptions=[one], days=10, at=NOW) == 0

    def test_a_batch_of_codes_gives_the_plan(self, alice):
        plan = Plan.objects.create(name="Staff", max_claims=9)
        made = make_codes(plan=plan, valid_days=5, count=3, creator_id="op", at=NOW)
        claim_code(user=alice, text=made[1][1], at=NOW)

        assert len({text for _, text in made}) == 3
        assert Code.objects.get(claimed_by=alice).pk == made[1][0]
        assert limits_for([alice.pk], NOW)[alice.pk].max_claims == 9


@pytest.mark.django_db(transaction=True)
@pytest.mark.storage
def test_of_200_threads_claiming_100_codes_each_code_is_won_once():
    plan = Plan.objects.create(name="Race")
    codes = [
        text for _, text in make_codes(plan=plan, valid_days=1, count=100, creator_id="", at=NOW)
    ]
    users = [User.objects.create(email=f"u{number}@example.com") for number in range(200)]

    def claim(user, text):
        try:
            claim_code(user=user, text=text, at=NOW)
        except CodeUsed:
            return None
        return text

    won = at_once(
        *(lambda n=n, user=user: claim(user, codes[n % 100]) for n, user in enumerate(users))
    )

    assert Counter(text for text in won if text) == Counter(codes)
    assert Subscription.objects.count() == 100
    assert Code.objects.unclaimed().count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.storage
def test_of_two_codes_claimed_at_once_one_stays_active(alice):
    texts = ["AAAA-AAAA", "BBBB-BBBB"]
    for text in texts:
        sell(text)
    at_once(*(lambda text=text: claim_code(user=alice, text=text, at=NOW) for text in texts))

    assert Subscription.objects.active(NOW).count() == 1
