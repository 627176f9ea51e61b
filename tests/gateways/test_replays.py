"""A captured body that is sent again changes nothing and is counted."""

import pytest

from gateways import directory
from gateways.directory import find
from gateways.record import Request, accept, open_body
from gateways.signature import sign
from gateways.writer import commit
from sensors.partitions import ensure_partitions
from sensors.storage import SparseSlots
from tests.gateways.conftest import ADDRESS, GATEWAY, KEY, NOW, TAG, at, body_of, golden, tag

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


def body(sent_at, nonce=1):
    return body_of({TAG: tag(timestamp=sent_at)}, timestamp=sent_at, nonce=nonce)


def test_one_that_is_sent_again_changes_nothing_and_is_counted(gateway, stored):
    gateway.send(golden("raw"))
    before = stored()
    for later in (1, 60, 3600):
        assert gateway.send(golden("raw"), now=NOW + later).status == 200

    assert stored() == before
    assert gateway.row().replays == 3


def test_one_from_before_the_newest_is_counted(gateway):
    for sent_at in (NOW - 60, NOW, NOW - 60):
        gateway.send(body(sent_at))

    assert gateway.row().replays == 1


def test_posts_in_their_order_are_not_counted(gateway):
    for number in range(5):
        gateway.send(body(NOW + number, nonce=number), now=NOW + number)
    gateway.send(body(NOW + 4, nonce=99), now=NOW + 5)  # the check of the web page

    assert gateway.row().replays == 0


def test_a_restart_with_a_smaller_nonce_is_no_replay(gateway):
    gateway.send(body(NOW, nonce=4_000_000_000))
    gateway.send(body(NOW + 60, nonce=5), now=NOW + 60)

    assert gateway.row().replays == 0


@pytest.mark.parametrize("wrong", [NOW + 10**6, NOW - 10**6, None, "x", 10**30])
def test_bodies_without_a_right_clock_are_not_judged(wrong, gateway):
    for _ in range(2):
        gateway.send(body_of({}, timestamp=wrong))
    gateway.send(body(NOW))

    assert gateway.row().replays == 0


@pytest.mark.parametrize("nonce", [None, "12", -1, "x", 2**70, [1]])
def test_odd_nonces_are_no_fault(nonce, gateway):
    for _ in range(2):
        assert gateway.send(body(NOW, nonce=nonce)).status == 200


def test_replays_in_one_commit_are_counted(gateway):
    posts = []
    for sent_at in (NOW - 9, NOW - 9, NOW - 5, NOW - 9):
        sent = body(sent_at)
        headers = {"ruuvi-hmac-sha256": sign(sent, KEY)}
        request = Request(sent, headers, at(NOW), ADDRESS)
        posts.append(accept(open_body(sent), request, find(GATEWAY)).post)
    commit(posts, SparseSlots())

    row = gateway.row()
    assert (row.replays, row.newest_body_s) == (2, NOW - 5)


def test_one_from_another_address_does_not_keep_the_gateway_alive(gateway):
    gateway.send(golden("raw"))
    before = gateway.row()
    gateway.send(golden("raw"), now=NOW + 3600, address="203.0.113.9")
    after = gateway.row()

    assert (after.last_seen_at, after.last_address) == (before.last_seen_at, ADDRESS)
    assert after.replays == 1


def test_one_from_another_address_in_the_same_commit_does_not_either(gateway):
    posts = []
    for number, address in enumerate((ADDRESS, "203.0.113.9")):
        request = Request(golden("raw"), {"ruuvi-hmac-sha256": sign(golden("raw"), KEY)},
                          at(NOW + number), address)  # fmt: skip
        posts.append(accept(open_body(request.body), request, find(GATEWAY)).post)
    commit(posts, SparseSlots())

    row = gateway.row()
    assert (row.last_seen_at, row.last_address, row.replays) == (at(NOW), ADDRESS, 1)


@pytest.mark.parametrize("days", [2, 30, 3000])
def test_one_that_is_sent_again_days_later_stores_no_false_reading(days, gateway, stored):
    gateway.send(golden("raw"))
    now = NOW + days * 86400
    ensure_partitions(now)
    gateway.send(body(now, nonce=7), now=now)
    before = stored()
    directory.forget_all()  # as it does by itself within seconds
    for later in (60, 120):
        assert gateway.send(golden("raw"), now=now + later).status == 200

    assert stored() == before
    row = gateway.row()
    assert (row.replays, row.clock_offset_s, row.last_seen_at) == (2, None, at(now))


def test_a_clock_that_was_never_right_may_be_as_wrong_as_it_likes(gateway, stored):
    for number in range(3):
        sent_at = NOW - 10**7 + 60 * number
        gateway.send(body(sent_at, nonce=number), now=NOW + 60 * number)

    assert len(stored()[0]) == 3
    assert (gateway.row().replays, gateway.row().clock_offset_s) == (0, -(10**7))


def test_what_is_too_old_is_dropped_and_counted(gateway, stored):
    old = NOW - 40 * 86400
    assert gateway.post({TAG: tag(timestamp=old)}).status == 200

    assert stored() == ([], [], [])
    assert gateway.row().late_readings == 1
