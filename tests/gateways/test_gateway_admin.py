"""The gateways page of the console, as an operator uses it."""

import re
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from gateways.models import Gateway
from gateways.services import blacklist, note_rejection, whitelist
from ruuvinet.lib.mac import Mac
from tests.gateways.conftest import ADDRESS, GATEWAY, KEY, OTHER_GATEWAY, Sender, body_of

pytestmark = pytest.mark.django_db

LIST = reverse("admin:gateways_gateway_changelist")
ADD = reverse("admin:gateways_gateway_add")
LOGIN = reverse("admin:login")
FALLBACK = "FF:FF:FF:FF:FF:FF:FF:FF"
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _quick_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def operator():
    return User.objects.create_superuser("operator@example.com", PASSWORD)


@pytest.fixture
def console(operator):
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def act(console):
    """Run an action of the list on these gateways; `more` is what its page asks for."""

    def run(action, *macs, **more):
        chosen = {"action": action, "_selected_action": [str(mac) for mac in macs]}
        return console.post(LIST, chosen | more, follow=True)

    return run


@pytest.fixture
def waiting():
    """A gateway that has knocked."""
    now = timezone.now()
    note_rejection(mac=GATEWAY, reason=Gateway.Rejection.UNKNOWN, address=ADDRESS, at=now)
    return GATEWAY


@pytest.fixture
def whitelisted():
    return whitelist(mac=GATEWAY, secret=KEY, at=timezone.now()).mac


def is_accepted(mac, *, key=KEY):
    body = body_of({}, gw_mac=str(mac))
    return Sender(mac, key).send(body, now=int(timezone.now().timestamp())).status == 200


def shown(reply):
    """The MACs in the list, top down."""
    return [str(gateway.mac) for gateway in reply.context["cl"].result_list]


class TestDoor:
    @pytest.mark.parametrize("url", [LIST, ADD, reverse("admin:index")])
    def test_stranger_is_sent_to_the_sign_in(self, url):
        reply = Client().get(url)

        assert (reply.status_code, reply["Location"]) == (302, f"{LOGIN}?next={url}")

    def test_person_without_the_right_is_sent_to_the_sign_in(self, alice):
        client = Client()
        client.force_login(alice)

        assert client.get(LIST).status_code == 302

    def test_console_refuses_a_post_without_its_token(self, operator):
        client = Client(enforce_csrf_checks=True)
        client.force_login(operator)

        assert client.post(ADD, {"mac": str(GATEWAY), "secret": KEY}).status_code == 403
        assert not Gateway.objects.exists()


class TestSignIn:
    def sign_in(self, password, *, username="operator@example.com", address=ADDRESS):
        form = {"username": username, "password": password, "next": LIST}
        return Client().post(LOGIN, form, REMOTE_ADDR=address)

    @pytest.mark.usefixtures("operator")
    @pytest.mark.parametrize("username", ["operator@example.com", "Operator@Example.COM"])
    def test_right_password_opens_the_console(self, username):
        reply = self.sign_in(PASSWORD, username=username)

        assert (reply.status_code, reply["Location"]) == (302, LIST)

    @pytest.mark.usefixtures("operator")
    @pytest.mark.storage
    def test_ten_failures_lock_the_right_password_out(self):
        for _ in range(10):
            self.sign_in("guess")

        assert self.sign_in(PASSWORD).status_code == 429

    @pytest.mark.usefixtures("operator")
    def test_nine_failures_do_not(self):
        assert [self.sign_in("guess").status_code for _ in range(9)] == [200] * 9
        assert self.sign_in(PASSWORD).status_code == 302

    @pytest.mark.usefixtures("operator")
    def test_guesses_in_other_spellings_of_the_address_count(self):
        for number in range(10):
            guess = "operator@example.com"
            self.sign_in("guess", username=guess[:number] + guess[number:].upper())

        assert self.sign_in(PASSWORD).status_code == 429
        assert self.sign_in(PASSWORD, username="OPERATOR@example.com").status_code == 429

    @pytest.mark.storage
    @pytest.mark.parametrize(
        "username", ["", " ", "x" * 300, "\0", "🔑" * 200, "a@b" + "@" * 5000], ids=len
    )
    def test_odd_name_is_never_a_fault(self, username):
        assert self.sign_in("guess", username=username).status_code == 200

    @pytest.mark.usefixtures("operator")
    def test_guessed_passwords_are_not_kept(self):
        self.sign_in("nearly the right one")

        kept = repr(list(AccessAttempt.objects.values()))
        assert "operator@example.com" in kept
        assert "nearly" not in kept

    @pytest.mark.usefixtures("operator")
    def test_guesses_from_elsewhere_do_not_lock_the_operator_out(self):
        for _ in range(11):
            self.sign_in("guess", address="198.51.100.9")

        assert self.sign_in(PASSWORD).status_code == 302

    @pytest.mark.usefixtures("operator")
    def test_lock_opens_after_a_quarter_of_an_hour(self, time_machine):
        start = timezone.now()
        time_machine.move_to(start, tick=False)
        for _ in range(10):
            self.sign_in("guess")

        time_machine.move_to(start + timedelta(minutes=14, seconds=59), tick=False)
        assert self.sign_in(PASSWORD).status_code == 429
        time_machine.move_to(start + timedelta(minutes=31), tick=False)
        assert self.sign_in(PASSWORD).status_code == 302


class TestList:
    @pytest.mark.usefixtures("whitelisted")
    def test_page_shows_a_gateway(self, console):
        reply = console.get(LIST)

        assert reply.status_code == 200
        assert shown(reply) == [str(GATEWAY)]
        assert str(GATEWAY) in reply.content.decode()

    @pytest.mark.parametrize("count", [1, 10, 100])
    @pytest.mark.storage
    def test_queries_do_not_grow_with_the_gateways(self, count, console, django_assert_num_queries):
        Gateway.objects.bulk_create(
            Gateway(mac=Mac(GATEWAY + number), secret=KEY, whitelisted_at=timezone.now())
            for number in range(count)
        )

        with django_assert_num_queries(6):
            assert len(shown(console.get(LIST))) == count

    @pytest.mark.parametrize(
        ("state", "label"),
        [
            ("waiting", "waiting"),
            ("whitelisted", "whitelisted"),
            ("silent", "silent"),
            ("blacklisted", "blacklisted"),
        ],
    )
    def test_filter_shows_gateways_of_one_state(self, state, label, console):
        now = timezone.now()
        quarter = timedelta(minutes=15)
        macs = [Mac(GATEWAY + number) for number in range(6)]
        expected = {
            "waiting": {macs[0]},
            "whitelisted": {macs[1], macs[2]},
            "silent": {macs[3], macs[4]},
            "blacklisted": {macs[5]},
        }
        note_rejection(mac=macs[0], reason=Gateway.Rejection.UNKNOWN, address="", at=now)
        whitelist(mac=macs[1], secret=KEY, at=now)
        whitelist(mac=macs[2], secret=KEY, at=now - 2 * quarter)
        Gateway.objects.filter(mac=macs[2]).update(last_seen_at=now - quarter / 2)
        whitelist(mac=macs[3], secret=KEY, at=now - 2 * quarter)
        whitelist(mac=macs[4], secret=KEY, at=now)
        Gateway.objects.filter(mac=macs[4]).update(last_seen_at=now - 2 * quarter)
        blacklist(mac=macs[5], at=now)

        reply = console.get(LIST, {"state": state})
        assert set(shown(reply)) == {str(mac) for mac in expected[state]}
        for gateway in reply.context["cl"].result_list:
            assert gateway.state().label == label
        page = " ".join(reply.content.decode().split())
        assert re.search(rf"field-state[^>]*>(<|[^>]*>)*? ?{label} ?<", page.replace("> <", "><"))

    def test_gateway_page_shows_the_rejection(self, console, waiting):
        page = console.get(reverse("admin:gateways_gateway_change", args=[waiting]))

        assert page.status_code == 200
        assert "not whitelisted" in page.content.decode()
        assert ADDRESS in page.content.decode()

    def test_gateway_page_shows_how_far_off_the_clock_is(self, console, whitelisted):
        Gateway.objects.update(clock_offset_s=7261, last_seen_at=timezone.now())
        page = console.get(reverse("admin:gateways_gateway_change", args=[whitelisted]))

        assert "off by 2:01:01" in page.content.decode()

    @pytest.mark.parametrize("offset_s", [2**62, -(2**62), 1775069475 * 1000])
    @pytest.mark.storage
    def test_clock_of_any_year_is_shown(self, offset_s, console, whitelisted):
        Gateway.objects.update(clock_offset_s=offset_s, last_seen_at=timezone.now())

        for url in (LIST, reverse("admin:gateways_gateway_change", args=[whitelisted])):
            assert console.get(url).status_code == 200


class TestWhitelisting:
    def test_action_asks_for_the_secret(self, act, waiting):
        page = act("whitelist", waiting)

        assert page.status_code == 200
        assert f'type="password" name="{waiting}"' in page.content.decode()
        assert not is_accepted(waiting)

    @pytest.mark.storage
    def test_action_whitelists_with_the_secret(self, act, waiting):
        page = act("whitelist", waiting, confirm="1", **{str(waiting): KEY})

        assert f"{waiting} is whitelisted." in page.content.decode()
        assert is_accepted(waiting)

    def test_action_whitelists_several_each_with_its_own_secret(self, act, waiting):
        note_rejection(
            mac=OTHER_GATEWAY, reason=Gateway.Rejection.UNKNOWN, address="", at=timezone.now()
        )
        secrets = {str(waiting): "one", str(OTHER_GATEWAY): "two"}
        act("whitelist", waiting, OTHER_GATEWAY, confirm="1", **secrets)

        assert is_accepted(waiting, key="one")
        assert is_accepted(OTHER_GATEWAY, key="two")

    @pytest.mark.parametrize("secret", ["", "x" * 256, "a\0b", FALLBACK, FALLBACK.lower()])
    def test_action_refuses_a_bad_secret(self, secret, act, waiting):
        page = act("whitelist", waiting, confirm="1", **{str(waiting): secret})

        assert page.status_code == 200
        assert page.context["form"].errors[str(waiting)]
        assert Gateway.objects.get().whitelisted_at is None

    def test_action_explains_the_fallback_key(self, act, waiting):
        page = act("whitelist", waiting, confirm="1", **{str(waiting): FALLBACK})

        assert "This is the fallback key that every gateway uses" in page.content.decode()

    def test_action_on_a_whitelisted_gateway_keeps_its_secret(self, act, whitelisted):
        page = act("whitelist", whitelisted, confirm="1", **{str(whitelisted): "another"})

        assert "whitelisted already" in page.content.decode()
        assert is_accepted(whitelisted)

    @pytest.mark.storage
    def test_form_adds_a_gateway(self, console):
        page = console.post(ADD, {"mac": str(GATEWAY).lower(), "secret": KEY}, follow=True)

        assert page.status_code == 200
        assert is_accepted(GATEWAY)

    def test_form_takes_the_secret_literally(self, console):
        console.post(ADD, {"mac": str(GATEWAY), "secret": " key "})

        assert is_accepted(GATEWAY, key=" key ")

    def test_form_takes_over_a_gateway_that_has_knocked(self, console, waiting):
        console.post(ADD, {"mac": str(waiting), "secret": KEY})

        assert is_accepted(waiting)
        assert Gateway.objects.get().first_seen_at

    def test_form_takes_a_blacklisted_gateway_back(self, console, waiting):
        blacklist(mac=waiting, at=timezone.now())
        console.post(ADD, {"mac": str(waiting), "secret": KEY})

        assert is_accepted(waiting)

    def test_form_refuses_a_whitelisted_gateway(self, console, whitelisted):
        page = console.post(ADD, {"mac": str(whitelisted), "secret": "another"})

        assert "This gateway is whitelisted already." in page.content.decode()
        assert is_accepted(whitelisted)

    @pytest.mark.parametrize(
        ("mac", "secret", "why"),
        [
            (str(GATEWAY), FALLBACK, "fallback key"),
            (str(GATEWAY), "", "its key is needed"),
            (str(GATEWAY), "x" * 256, "at most 255 characters"),
            (str(GATEWAY), "a\0b", "Null characters are not allowed"),
            ("", KEY, "This field is required"),
            ("C8:25", KEY, "a MAC address looks like"),
            (f"{GATEWAY}:00", KEY, "a MAC address looks like"),
            (f"{GATEWAY}\0", KEY, "Null characters are not allowed"),
        ],
    )
    def test_form_says_what_is_wrong(self, mac, secret, why, console):
        page = console.post(ADD, {"mac": mac, "secret": secret})

        assert page.status_code == 200
        assert why in page.content.decode()
        assert not Gateway.objects.exists()

    def test_secret_is_on_no_page(self, console, act, waiting):
        secret = "A1:B2:C3:D4:E5:F6:07:18"
        pages = [
            act("whitelist", waiting, OTHER_GATEWAY, confirm="1", **{str(waiting): secret}),
            act("whitelist", waiting, confirm="1", **{str(waiting): secret}),
            console.post(ADD, {"mac": str(waiting), "secret": secret}),
            console.post(ADD, {"mac": "wrong", "secret": secret}),
            console.get(LIST),
            console.get(reverse("admin:gateways_gateway_change", args=[waiting])),
            console.get(reverse("admin:gateways_gateway_history", args=[waiting])),
            console.get(reverse("admin:gateways_gateway_delete", args=[waiting])),
            console.get(reverse("admin:index")),
            act("blacklist", waiting),
        ]

        assert [page.status_code for page in pages] == [200] * len(pages)
        assert all(secret not in page.content.decode() for page in pages)
        log = LogEntry.objects.values_list("change_message", "object_repr")
        assert log
        assert secret not in repr(list(log))

    def test_decisions_are_in_the_log(self, act, waiting, operator):
        act("whitelist", waiting, confirm="1", **{str(waiting): KEY})
        act("blacklist", waiting)

        log = LogEntry.objects.order_by("pk").values_list("user", "object_id", "change_message")
        assert list(log) == [
            (operator.pk, str(waiting), "Whitelisted."),
            (operator.pk, str(waiting), "Blacklisted."),
        ]


class TestBlacklisting:
    @pytest.mark.storage
    def test_action_refuses_the_posts_from_now_on(self, act, whitelisted):
        assert is_accepted(whitelisted)
        page = act("blacklist", whitelisted)

        assert page.status_code == 200
        assert not is_accepted(whitelisted)
        assert Gateway.objects.get().state() == Gateway.State.BLACKLISTED

    def test_action_may_be_repeated(self, act, waiting):
        act("blacklist", waiting)

        assert act("blacklist", waiting).status_code == 200
        assert Gateway.objects.get().state() == Gateway.State.BLACKLISTED
