"""Verbs on gateways: whitelist, blacklist, and what ingest notes about them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce

from gateways import directory, storage
from gateways.models import Gateway, validate_secret
from gateways.shaping import Post
from gateways.storage import Seen
from ruuvinet.lib.api import DomainError, InvalidFormat
from ruuvinet.lib.mac import Mac

MAX_STRANGERS = 1000
NOTE_INTERVAL = timedelta(minutes=1)
MAX_CLOCK_OFFSET_S = 2**62  # a gateway may claim any year; the column holds eight bytes


class GatewayAlreadyWhitelisted(DomainError):
    status = 409
    code = "ER_GATEWAY_ALREADY_WHITELISTED"


@transaction.atomic
def whitelist(*, mac: Mac, secret: str, at: datetime) -> Gateway:
    """Accept posts of `mac` that are signed with `secret` from now on.

    Raises GatewayAlreadyWhitelisted, and InvalidFormat for the public fallback key.
    """
    try:
        validate_secret(secret)
    except ValidationError as error:
        raise InvalidFormat(error.messages[0]) from error
    Gateway.objects.bulk_create([Gateway(mac=mac)], ignore_conflicts=True)
    gateway = Gateway.objects.select_for_update().get(mac=mac)
    if gateway.whitelisted_at:
        raise GatewayAlreadyWhitelisted("Gateway already whitelisted")
    gateway.secret = secret
    gateway.whitelisted_at = at
    gateway.blacklisted_at = gateway.connected_at = None
    gateway.save(update_fields=["secret", "whitelisted_at", "blacklisted_at", "connected_at"])
    _forget(mac)
    return gateway


@transaction.atomic
def blacklist(*, mac: Mac, at: datetime) -> Gateway:
    """Refuse posts of `mac` and forget its secret and its rejections. May be repeated."""
    gateway, _ = Gateway.objects.update_or_create(
        mac=mac,
        defaults={
            "secret": "",
            "whitelisted_at": None,
            "blacklisted_at": at,
            "rejected_at": None,
            "rejected_address": None,
            "rejection": "",
        },
    )
    _forget(mac)
    return gateway


def _forget(mac: Mac) -> None:
    """Now, and again when the change can be seen: another thread may look it up in between."""
    directory.forget(mac)
    transaction.on_commit(partial(directory.forget, mac))


def note_accepted(posts: Iterable[Post]) -> None:
    """Note accepted posts on their gateways' rows. Runs in the caller's transaction."""
    seen: dict[Mac, Seen] = {}
    for post in sorted(posts, key=lambda post: (post.mac, post.at)):
        before = seen.get(post.mac)
        offset = post.batch.clock_offset_s
        if offset is not None:
            offset = max(-MAX_CLOCK_OFFSET_S, min(offset, MAX_CLOCK_OFFSET_S))
        seen[post.mac] = Seen(
            post.mac,
            post.at,
            post.address or None,
            offset,
            post.batch.bad_tags + (before.bad_tags if before else 0),
            post.batch.late_readings + (before.late_readings if before else 0),
        )
    storage.write(list(seen.values()))


@transaction.atomic
def note_rejection(*, mac: Mac, reason: Gateway.Rejection, address: str, at: datetime) -> None:
    """Note a refused post, at most once a minute for each gateway.

    Of gateways about which nobody has decided at most MAX_STRANGERS are kept.
    """
    stranger = Gateway(
        mac=mac,
        first_seen_at=at,
        rejected_at=at,
        rejected_address=address or None,
        rejection=reason,
    )
    quiet = Q(rejected_at=None) | Q(rejected_at__lte=at - NOTE_INTERVAL)
    if reason != Gateway.Rejection.UNKNOWN:
        # Just whitelisted, and refused again: the key that was typed is wrong.
        quiet |= Q(rejection=Gateway.Rejection.UNKNOWN)
    noted = Gateway.objects.filter(quiet, mac=mac).update(
        first_seen_at=Coalesce(F("first_seen_at"), Value(at)),
        rejected_at=at,
        rejected_address=address or None,
        rejection=reason,
    )
    if noted or Gateway.objects.filter(mac=mac).exists():
        return
    Gateway.objects.bulk_create([stranger], ignore_conflicts=True)
    excess = Gateway.objects.strangers().order_by("-rejected_at").values("mac")[MAX_STRANGERS:]
    Gateway.objects.strangers().filter(mac__in=list(excess.values_list("mac", flat=True))).delete()
