"""Verbs on gateways: whitelist, blacklist, and what ingest notes about them."""

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce

from gateways.models import Gateway, validate_secret
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
    return gateway


def note_accepted(
    *,
    mac: Mac,
    address: str,
    at: datetime,
    clock_offset_s: int | None,
    bad_tags: int,
    late_readings: int,
) -> None:
    """Note an accepted post on the gateway's row."""
    if clock_offset_s is not None:
        clock_offset_s = max(-MAX_CLOCK_OFFSET_S, min(clock_offset_s, MAX_CLOCK_OFFSET_S))
    Gateway.objects.filter(mac=mac).update(
        first_seen_at=Coalesce(F("first_seen_at"), Value(at)),
        connected_at=Coalesce(F("connected_at"), Value(at)),
        last_seen_at=at,
        last_address=address or None,
        clock_offset_s=clock_offset_s,
        bad_tags=F("bad_tags") + bad_tags,
        late_readings=F("late_readings") + late_readings,
    )


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
