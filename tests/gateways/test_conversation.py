"""What a gateway is told in answers: its period, its key, and what was wrong; both doors."""

from datetime import timedelta

import pytest
from django.utils import timezone

from gateways import directory
from gateways.models import Gateway, GatewayGroup
from gateways.services import blacklist, offer_key, whitelist
from gateways.signature import sign
from tests.gateways.conftest import GATEWAY, KEY, OTHER_KEY, body_of
from tests.ruuvinet.program import eventually

pytestmark = pytest.mark.django_db(transaction=True)

RATE, NEW_KEY = "X-Ruuvi-Gateway-Rate", "Ruuvi-HMAC-KEY"


@pytest.fixture(autouse=True)
def _row():
    whitelist(mac=GATEWAY, secret=KEY, at=timezone.now())


def change(**values):
    Gateway.objects.update(**values)
    directory.forget_all()


@pytest.fixture
def post(door):
    def send(key=KEY):
        body = body_of({})
        headers = {"Ruuvi-HMAC-SHA256": sign(body, key)}
        return door().post("/record", body, content_type="application/json", headers=headers)

    return send


@pytest.mark.storage
@pytest.mark.parametrize(
    ("own_s", "group_s", "told"),
    [(None, None, "60"), (None, 120, "120"), (10, 120, "10"), (3600, None, "3600")],
)
def test_the_period_is_the_gateways_or_the_groups_or_the_default(own_s, group_s, told, post):
    group = GatewayGroup.objects.create(name="fleet", period_s=group_s)
    change(group=group, period_s=own_s)

    assert post()[RATE] == told


@pytest.mark.parametrize(
    ("ago_s", "own_s", "told"),
    [(1, None, "120"), (4, None, "120"), (6, None, "60"), (1, 2000, "3600"), (-60, None, "60")],
)
def test_a_gateway_that_posts_too_fast_is_accepted_and_told_to_wait(ago_s, own_s, told, post):
    change(last_seen_at=timezone.now() - timedelta(seconds=ago_s), period_s=own_s)
    reply = post()

    assert (reply.status_code, reply[RATE]) == (200, told)


def test_none_is_too_fast_without_the_setting(post, settings):
    settings.GATEWAY_FASTEST_S = 0
    change(last_seen_at=timezone.now())

    assert post()[RATE] == "60"


class TestNewKey:
    def offered(self):
        offer_key(mac=GATEWAY, at=timezone.now())
        return Gateway.objects.get().offered_secret

    def is_noted(self, state):
        return eventually(Gateway.objects.filter(key_state=state).exists)

    def test_no_key_is_sent_unless_one_is_offered(self, post):
        assert NEW_KEY not in post()

    @pytest.mark.storage
    def test_it_is_sent_until_it_is_taken(self, post):
        key = self.offered()

        assert 1 <= len(key) <= 63
        assert [post()[NEW_KEY], post()[NEW_KEY]] == [key, key]
        assert self.is_noted("offered")
        assert NEW_KEY not in post(key)
        assert self.is_noted("taken")

    def test_after_a_restart_the_own_key_is_good_and_the_new_one_is_sent_again(self, post):
        key = self.offered()
        post(key)
        assert self.is_noted("taken")
        directory.forget_all()
        reply = post(KEY)

        assert (reply.status_code, reply[NEW_KEY]) == (200, key)
        assert self.is_noted("default")
        directory.forget_all()
        post(key)
        assert self.is_noted("taken")

    def test_the_key_before_goes_on_working(self, post):
        before, key = self.offered(), self.offered()

        assert before != key
        assert [post(one).status_code for one in (before, key, KEY)] == [200] * 3
        assert post(before)[NEW_KEY] == key

    def test_one_that_is_two_rotations_old_is_refused(self, post):
        oldest, *_ = self.offered(), self.offered(), self.offered()

        assert post(oldest).status_code == 403

    def test_who_cannot_sign_is_not_told_the_key(self, post):
        self.offered()
        reply = post(OTHER_KEY)

        assert reply.status_code == 403
        assert NEW_KEY not in reply

    def test_blacklisting_forgets_it(self, post):
        key = self.offered()
        blacklist(mac=GATEWAY, at=timezone.now())
        whitelist(mac=GATEWAY, secret=OTHER_KEY, at=timezone.now())

        assert post(key).status_code == 403
        assert NEW_KEY not in post(OTHER_KEY)

    def test_it_lies_encrypted(self):
        key = self.offered()
        (stored,) = Gateway.objects.extra(select={"raw": "offered_secret"}).values_list("raw")

        assert key not in stored[0]
