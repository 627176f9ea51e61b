"""Plans, codes and subscriptions in the console."""

import csv
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from subscriptions.limits import limits_for
from subscriptions.models import Code, Plan, Subscription
from subscriptions.services import claim_code, give_plan, make_default, register_code

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _clock():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def console():
    client = Client()
    operator = User.objects.create_superuser("operator@example.com", "x")
    client.force_login(operator)
    return client


@pytest.fixture
def pro():
    return Plan.objects.create(name="Pro", max_claims=25)


def page(model, name="changelist", *args):
    return reverse(f"admin:subscriptions_{model}_{name}", args=args)


@pytest.fixture
def act(console):
    def run(model, action, *rows, **more):
        chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
        return console.post(page(model), chosen | more, follow="confirm" not in more)

    return run


def told(reply):
    return [str(message) for message in reply.context["messages"]]


def trail():
    return list(AuditEntry.objects.order_by("pk").values_list("action", "about"))


class TestPlans:
    def test_the_default_plan_is_edited_and_holds_at_once(self, console, alice):
        plan = Plan.objects.get(is_default=True)
        fields = {name: value for name, value in plan.allowed().items() if value is not False}
        reply = console.post(page("plan", "change", plan.pk), fields | {"max_claims": 3})

        assert reply.status_code == 302
        assert limits_for([alice.pk], NOW)[alice.pk].max_claims == 3
        assert trail() == [("plan: Changed Sensors.", "RuuviNet")]

    def test_another_plan_becomes_the_default(self, act, pro, alice):
        reply = act("plan", "make_default", pro)

        assert told(reply) == ["Pro holds for everybody who has no other plan."]
        assert limits_for([alice.pk], NOW)[alice.pk].name == "Pro"

    def test_the_default_plan_cannot_be_deleted(self, console, pro):
        make_default(pro)
        assert console.post(page("plan", "delete", pro.pk), {"post": "yes"}).status_code == 403
        assert b"delete_selected" not in console.get(page("plan")).content

    def test_another_plan_can(self, console, pro):
        console.post(page("plan", "delete", pro.pk), {"post": "yes"})

        assert not Plan.objects.filter(name="Pro").exists()
        assert trail() == [("plan: Deleted plan.", "Pro")]

    @pytest.mark.parametrize(("days", "ends_at"), [("30", NOW + 30 * DAY), ("", None)])
    def test_a_plan_is_given_to_a_person(self, days, ends_at, act, pro, alice):
        more = {"confirm": "1", "user": "Alice@example.com", "valid_days": days}
        act("plan", "give", pro, **more)
        subscription = Subscription.objects.get()

        assert (subscription.user, subscription.name, subscription.ends_at) == (
            alice,
            "Pro",
            ends_at,
        )
        assert trail() == [("plan: Given.", "Pro of alice@example.com")]

    @pytest.mark.parametrize(
        ("email", "days"),
        [("nobody@example.com", "1"), ("x", "1"), ("", "1"), ("alice@example.com", "0")],
    )
    def test_a_mistake_asks_again(self, email, days, act, pro, alice):
        reply = act("plan", "give", pro, confirm="1", user=email, valid_days=days)

        assert reply.context["form"].errors
        assert not Subscription.objects.exists()

    def test_it_takes_one_plan_at_a_time(self, act, pro):
        plans = list(Plan.objects.all())

        assert told(act("plan", "give", *plans)) == ["Choose one plan."]


class TestBatch:
    @pytest.fixture
    def batch(self, act, pro):
        return act("plan", "make_codes", pro, confirm="1", count="3", valid_days="90")

    def test_is_downloaded_as_csv(self, batch):
        header, *rows = csv.reader(batch.content.decode().splitlines())

        assert batch["Content-Type"] == "text/csv"
        assert 'filename="codes-20260401-120000.csv"' in batch["Content-Disposition"]
        assert header == ["number", "code", "plan", "days"]
        assert [(n, plan, days) for n, _, plan, days in rows] == [
            (str(code.pk), "Pro", "90") for code in Code.objects.order_by("pk")
        ]

    def test_each_code_can_be_claimed(self, batch, alice):
        for _, text, *_ in list(csv.reader(batch.content.decode().splitlines()))[1:]:
            assert claim_code(user=alice, text=text, at=NOW).max_claims == 25

    def test_is_exported_once(self, batch, console):
        texts = [row[1] for row in list(csv.reader(batch.content.decode().splitlines()))[1:]]
        seen = console.get(page("code")).content.decode()
        seen += console.get(page("code", "change", Code.objects.first().pk)).content.decode()

        assert not [text for text in texts if text in seen or text in str(Code.objects.values())]

    def test_is_in_the_trail_without_the_codes(self, batch):
        assert trail() == [("plan: Made 3 codes.", "Pro")]

    @pytest.mark.parametrize(("count", "days"), [("0", "1"), ("1001", "1"), ("x", "1"), ("1", "0")])
    def test_a_mistake_asks_again(self, count, days, act, pro):
        reply = act("plan", "make_codes", pro, confirm="1", count=count, valid_days=days)

        assert reply.context["form"].errors
        assert not Code.objects.exists()


class TestCodes:
    def add(self, console, pro, text=""):
        form = {"plan": pro.pk, "valid_days": 30, "text": text}
        return console.post(page("code", "add"), form, follow=True)

    def test_a_code_by_hand_is_shown_once(self, console, pro, alice):
        reply = self.add(console, pro, "SUMMER-2026")

        assert told(reply)[0] == "The code is SUMMER-2026. It cannot be shown again."
        assert claim_code(user=alice, text="summer2026", at=NOW).name == "Pro"
        assert "SUMMER" not in str(AuditEntry.objects.values())

    def test_without_a_text_one_is_made(self, console, pro, alice):
        text = told(self.add(console, pro))[0].split()[3].strip(".")

        assert claim_code(user=alice, text=text, at=NOW).name == "Pro"

    @pytest.mark.parametrize("text", ["abc", "x" * 65, "summer2026"])
    def test_a_bad_or_used_text_is_refused(self, text, console, pro):
        register_code(text="SUMMER-2026", allowance={"name": "x"}, valid_days=1, at=NOW)
        reply = self.add(console, pro, text)

        assert reply.context["adminform"].errors
        assert Code.objects.count() == 1

    def test_a_code_is_found_by_its_text_and_tells_who_claimed_it(self, console, alice):
        for text in ("SUMMER-2026", "WINTER-2026"):
            register_code(text=text, allowance={"name": "x"}, valid_days=1, at=NOW)
        claim_code(user=alice, text="SUMMER-2026", at=NOW)
        reply = console.get(page("code"), {"q": "summer 2026"})

        (found,) = reply.context["cl"].result_list
        assert (found.claimed_by, found.claimed_at) == (alice, NOW)

    def test_only_unclaimed_codes_can_be_deleted(self, act, console, alice):
        for text in ("SUMMER-2026", "WINTER-2026"):
            register_code(text=text, allowance={"name": "x"}, valid_days=1, at=NOW)
        claim_code(user=alice, text="SUMMER-2026", at=NOW)
        claimed = Code.objects.get(claimed_by=alice)

        assert console.post(page("code", "delete", claimed.pk), {"post": "1"}).status_code == 403
        assert told(act("code", "withdraw", *Code.objects.all())) == ["1 code is gone."]
        assert Code.objects.get() == claimed

    def test_a_code_cannot_be_changed(self, console):
        register_code(text="SUMMER-2026", allowance={"name": "x"}, valid_days=1, at=NOW)
        code = Code.objects.get()

        assert console.post(page("code", "change", code.pk), {"name": "y"}).status_code == 403

    def test_the_list_costs_few_queries(self, console, django_assert_max_num_queries):
        for number in range(20):
            register_code(text=f"CODE{number}", allowance={"name": "x"}, valid_days=1, at=NOW)
        with django_assert_max_num_queries(10):
            console.get(page("code"))


class TestSubscriptions:
    def test_adding_one_gives_a_plan(self, console, pro, alice):
        give_plan(user=alice, plan=pro, valid_days=None, at=NOW - DAY)
        form = {"user": alice.pk, "plan": pro.pk, "valid_days": 30}
        console.post(page("subscription", "add"), form)

        assert Subscription.objects.active(NOW).get().ends_at == NOW + 30 * DAY
        assert Subscription.objects.count() == 2

    def test_one_is_extended(self, act, pro, alice):
        given = give_plan(user=alice, plan=pro, valid_days=10, at=NOW)
        act("subscription", "extend", given, confirm="1", days="30")
        given.refresh_from_db()

        assert given.ends_at == NOW + 40 * DAY
        assert trail() == [("subscription: Extended by 30 days.", "Pro of alice@example.com")]

    @pytest.mark.parametrize("days", ["", "0", "-1", "x", "99999999"])
    def test_a_mistake_asks_again(self, days, act, pro, alice):
        given = give_plan(user=alice, plan=pro, valid_days=10, at=NOW)
        reply = act("subscription", "extend", given, confirm="1", days=days)

        assert reply.context["form"].errors

    def test_the_limits_of_one_can_be_changed(self, console, pro, alice):
        given = give_plan(user=alice, plan=pro, valid_days=10, at=NOW)
        fields = {name: value for name, value in given.allowed().items() if value is not False}
        times = {"starts_at_0": "2026-04-01", "starts_at_1": "12:00:00"}
        reply = console.post(
            page("subscription", "change", given.pk), fields | times | {"max_claims": 99}
        )

        assert reply.status_code == 302
        assert limits_for([alice.pk], NOW)[alice.pk].max_claims == 99


@pytest.mark.parametrize("model", ["plan", "code", "subscription"])
@pytest.mark.parametrize("name", ["changelist", "add"])
def test_a_stranger_is_sent_to_the_sign_in(model, name):
    assert Client().get(page(model, name)).status_code == 302


@pytest.mark.parametrize("action", ["make_default", "give", "make_codes"])
def test_who_may_only_look_can_do_nothing(action, pro):
    from django.contrib.auth.models import Permission

    viewer = User.objects.create_user("viewer@example.com", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_plan"))
    client = Client()
    client.force_login(viewer)
    chosen = {"action": action, "_selected_action": [pro.pk], "confirm": "1", "count": "1"}
    client.post(page("plan"), chosen | {"valid_days": "1", "user": "viewer@example.com"})

    assert not Code.objects.exists()
    assert not Subscription.objects.exists()
    assert not Plan.objects.get(name="Pro").is_default
