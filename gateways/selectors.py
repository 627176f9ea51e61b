"""How the gateways fare, in a query for all of them."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _

from gateways.models import SILENT_AFTER, Gateway

REFUSED_WITHIN = timedelta(hours=1)
REFUSED = "refused"
STATES = [
    (Gateway.State.WAITING.value, _("waiting")),
    (Gateway.State.WHITELISTED.value, _("reporting")),
    (Gateway.State.SILENT.value, _("silent")),
    (REFUSED, _("rejected in the last hour")),
    (Gateway.State.BLACKLISTED.value, _("blacklisted")),
]


def conditions(now: datetime) -> dict[str, Q]:
    """Which gateways are in each of STATES; REFUSED may come on top of another."""
    since = now - SILENT_AFTER
    whitelisted = Q(whitelisted_at__isnull=False)
    heard = Q(last_seen_at__gt=since) | Q(last_seen_at=None, whitelisted_at__gt=since)
    return {
        Gateway.State.WAITING.value: Q(whitelisted_at=None, blacklisted_at=None),
        Gateway.State.BLACKLISTED.value: Q(whitelisted_at=None, blacklisted_at__isnull=False),
        Gateway.State.WHITELISTED.value: whitelisted & heard,
        Gateway.State.SILENT.value: whitelisted & ~heard,
        REFUSED: whitelisted & Q(rejected_at__gt=now - REFUSED_WITHIN),
    }


class Fleet(NamedTuple):
    """How many gateways there are of each kind."""

    reporting: int
    silent: int
    waiting: int
    refused: int


def fleet(now: datetime) -> Fleet:
    """One query."""
    state = conditions(now)
    counted = {
        "reporting": state[Gateway.State.WHITELISTED.value],
        "silent": state[Gateway.State.SILENT.value],
        "waiting": state[Gateway.State.WAITING.value],
        "refused": state[REFUSED],
    }
    return Fleet(
        **Gateway.objects.aggregate(**{n: Count("pk", filter=q) for n, q in counted.items()})
    )
