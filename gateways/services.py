"""Verbs on gateways: whitelist, blacklist, and what ingest notes about them."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from secrets import token_urlsafe

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from gateways import directory, storage
from gateways.models import Credential, Gateway, GatewayRejection, validate_secret
from gateways.shaping import Post
from gateways.storage import Seen
from ruuvinet.lib.api import DomainError, InvalidFormat
from ruuvinet.lib.mac import Mac

MAX_STRANGERS = 1000
MAX_SECRET_LENGTH = 255
NOTE_INTERVAL = timedelta(minutes=1)
MAX_CLOCK_OFFSET_S = 2**62  # a gateway may claim any year; the column holds eight bytes


class GatewayAlreadyWhitelisted(DomainError):
    status = 409
    code = "ER_GATEWAY_ALREADY_WHITELISTED"


class GatewayNotFound(DomainError):
    status = 409
    code = "ER_GATEWAY_NOT_FOUND"


def whitelist(*, mac: Mac, secret: str, at: datetime, must_be_seen: bool = False) -> Gateway:
    """Accept posts of `mac` that are signed with `secret` from now on. As `whitelist_all`."""
    (gateway,) = whitelist_all(secrets={mac: secret}, at=at, must_be_seen=must_be_seen)
    return gateway


def whitelist_all(
    *, secrets: Mapping[Mac, str], at: datetime, must_be_seen: bool = False
) -> list[Gateway]:
    """Accept posts of these gateways, signed with the secret of each, from now on: all or none.

    In the order of `secrets`; one that need not sign may have an empty one. Raises
    GatewayAlreadyWhitelisted, GatewayNotFound when one that `must_be_seen` never knocked, and
    InvalidFormat for the public fallback key and for none where one is needed.
    """
    for mac, secret in secrets.items():
        if secret:
            _ensure_secret_of(mac, secret)
    with transaction.atomic():
        gateways = _locked(secrets)
        _ensure_new(gateways, must_be_seen=must_be_seen)
        for gateway in gateways:
            if not secrets[gateway.mac] and gateway.must_sign():
                _ensure_secret_of(gateway.mac, "")
        _accept(gateways, secrets, at)
    found = {gateway.mac: gateway for gateway in gateways}
    return [found[mac] for mac in secrets]


@transaction.atomic
def whitelist_new(*, secrets: Mapping[Mac, str], at: datetime) -> set[Mac]:
    """Accept posts of those that are not whitelisted yet; may be repeated.

    Returns those that are whitelisted with another secret, which they keep.
    """
    gateways = _locked(secrets)
    _accept([gateway for gateway in gateways if not gateway.whitelisted_at], secrets, at)
    return {gateway.mac for gateway in gateways if gateway.secret != secrets[gateway.mac]}


def ensure_secret(secret: str) -> None:
    """Raises ValueError for what cannot be a gateway's key."""
    if not 1 <= len(secret) <= MAX_SECRET_LENGTH or "\0" in secret:
        raise ValueError(_("a secret has 1 to %d characters") % MAX_SECRET_LENGTH)
    try:
        validate_secret(secret)
    except ValidationError as error:
        raise ValueError(error.messages[0]) from error


def _ensure_secret_of(mac: Mac, secret: str) -> None:
    try:
        ensure_secret(secret)
    except ValueError as error:
        raise InvalidFormat(f"{mac}: {error}") from error


def _accept(gateways: list[Gateway], secrets: Mapping[Mac, str], at: datetime) -> None:
    for gateway in gateways:
        gateway.secret = secrets[gateway.mac]
        gateway.whitelisted_at = at
        gateway.blacklisted_at = gateway.connected_at = None
    storage.whitelist({gateway.mac: gateway.secret for gateway in gateways}, at)
    for gateway in gateways:
        directory.changed(gateway.mac)


def _locked(macs: Iterable[Mac]) -> list[Gateway]:
    """The rows of `macs`, made if missing, locked in the order of the addresses."""
    macs = sorted(macs)
    Gateway.objects.bulk_create([Gateway(mac=mac) for mac in macs], ignore_conflicts=True)
    return list(Gateway.objects.select_for_update().filter(mac__in=macs).order_by("mac"))


def _ensure_new(gateways: Collection[Gateway], *, must_be_seen: bool) -> None:
    whitelisted = [str(gateway) for gateway in gateways if gateway.whitelisted_at]
    if whitelisted:
        message = "Gateway already whitelisted"
        raise GatewayAlreadyWhitelisted(message + _which(whitelisted, gateways))
    unseen = [str(gateway) for gateway in gateways if not gateway.first_seen_at]
    if must_be_seen and unseen:
        message = "Request was valid, but gateway has not been seen yet."
        raise GatewayNotFound(message + _which(unseen, gateways))


def _which(named: list[str], asked: Collection[Gateway]) -> str:
    """Names them, unless only one was asked for: callers know the message as it is."""
    return "" if len(asked) == 1 else f": {', '.join(named[:20])}"


@transaction.atomic
def blacklist(*, mac: Mac, at: datetime) -> Gateway:
    """Refuse posts of `mac` and forget its secret and its rejections. May be repeated."""
    gateway, _ = Gateway.objects.update_or_create(
        mac=mac,
        defaults={
            "secret": "",
            "offered_secret": "",
            "previous_secret": "",
            "key_state": "",
            "whitelisted_at": None,
            "blacklisted_at": at,
            "rejected_at": None,
            "rejected_address": None,
            "rejection": "",
        },
    )
    GatewayRejection.objects.filter(gateway=mac).delete()
    directory.changed(mac)
    return gateway


def note_accepted(posts: Iterable[Post]) -> None:
    """Note accepted posts on their gateways' rows. Runs in the caller's transaction."""
    seen: dict[Mac, Seen] = {}
    for post in sorted(posts, key=lambda post: (post.mac, post.at)):
        before = seen.get(post.mac)
        batch, offset = post.batch, post.batch.clock_offset_s
        if offset is not None:
            offset = max(-MAX_CLOCK_OFFSET_S, min(offset, MAX_CLOCK_OFFSET_S))
        now = Seen(
            int(post.mac),
            post.at,
            post.address or None,
            offset,
            batch.bad_tags,
            batch.late_readings,
            batch.sent_at_s,
            batch.nonce,
            0,
        )
        seen[post.mac] = now.after(before) if before else now
    storage.write(list(seen.values()))


@transaction.atomic
def note_rejection(*, mac: Mac, reason: Gateway.Rejection, address: str, at: datetime) -> None:
    """Note a refused post, at most once a minute for each gateway.

    Of gateways about which nobody has decided at most MAX_STRANGERS are kept, and of the rejections
    of each gateway the newest: GatewayRejection.
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
    if noted:
        _remember(mac, reason, address, at)
    elif not Gateway.objects.filter(mac=mac).exists():
        Gateway.objects.bulk_create([stranger], ignore_conflicts=True)
        _remember(mac, reason, address, at)
        _forget_strangers()


def _remember(mac: Mac, reason: Gateway.Rejection, address: str, at: datetime) -> None:
    """Among the recent ones. The caller has just written the gateway's row: nobody else does this."""
    recent = GatewayRejection.objects.filter(gateway=mac)
    same = recent.filter(reason=reason, address=address or None)
    if same.update(last_at=at, times=F("times") + 1):
        return
    GatewayRejection.objects.create(
        gateway_id=mac, reason=reason, address=address or None, first_at=at, last_at=at
    )
    newest = recent.order_by("-last_at", "-pk").values_list("pk", flat=True)
    recent.filter(pk__in=list(newest[GatewayRejection.RECENT :])).delete()


def _forget_strangers() -> None:
    excess = Gateway.objects.strangers().order_by("-rejected_at").values("mac")[MAX_STRANGERS:]
    Gateway.objects.strangers().filter(mac__in=list(excess.values_list("mac", flat=True))).delete()


def note_credential_used(*, credential_id: int, address: str, at: datetime) -> None:
    """Note that a credential was good, at most once a minute."""
    stale = Q(last_used_at=None) | Q(last_used_at__lte=at - NOTE_INTERVAL)
    Credential.objects.filter(stale, pk=credential_id).update(
        last_used_at=at, last_used_address=address or None
    )


def note_key(*, mac: Mac, state: str, at: datetime) -> None:
    """Note which key a gateway signs with since one was offered."""
    offered = Gateway.objects.filter(mac=mac).exclude(offered_secret="")
    offered.exclude(key_state=state).update(key_state=state, key_changed_at=at)
    directory.forget(mac)


def offer_key(*, mac: Mac, at: datetime) -> None:
    """Give the gateway a new key with its next answers. Its own and the one before stay good."""
    with transaction.atomic():
        gateway = Gateway.objects.select_for_update().get(mac=mac)
        gateway.previous_secret = gateway.offered_secret
        gateway.offered_secret = token_urlsafe(32)  # 43 characters; a gateway takes up to 63
        gateway.key_state, gateway.key_changed_at = Gateway.KeyState.OFFERED, at
        gateway.save(
            update_fields=["previous_secret", "offered_secret", "key_state", "key_changed_at"]
        )
        directory.changed(mac)
