"""How the gateways fare, in a query for all of them."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, F, Q
from django.utils.translation import gettext_lazy as _

from gateways.models import SILENT_AFTER, Gateway, GatewayStatus, IngestMinute
from ruuvinet.lib.mac import Mac

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
        # What was refused before it was let in is settled.
        REFUSED: whitelisted
        & Q(rejected_at__gt=now - REFUSED_WITHIN, rejected_at__gte=F("whitelisted_at")),
    }


def minutes(since: datetime) -> list[IngestMinute]:
    """What came in each minute from `since` on, oldest first; none for a minute without posts."""
    return list(IngestMinute.objects.filter(minute__gte=since).order_by("minute"))


MAX_STATUSES = 2000  # of one chart; a gateway tells 744 in a month


def status_history(gateway: Mac, since: datetime) -> list[dict[str, Any]]:
    """What the gateway told about itself since then, as ruuvinet/console.js draws it. One query."""
    fields = [field for field, *rest in _STATUS_LINES]
    told = GatewayStatus.objects.filter(gateway=gateway, received_at__gte=since)
    newest = told.order_by("-received_at").values_list("received_at", *fields)[:MAX_STATUSES]
    columns = list(zip(*reversed(newest), strict=True))
    if not columns:
        return []
    times = [int(at.timestamp()) for at in columns[0]]
    return [
        {
            "name": str(name),
            "unit": unit,
            "t": times,
            "mid": [None if value is None else round(value / divisor, 2) for value in values],
        }
        for (field, name, unit, divisor), values in zip(_STATUS_LINES, columns[1:], strict=True)
    ]


_STATUS_LINES: list[tuple[str, Any, str, int]] = [
    ("sensors_seen", _("Sensors heard"), "", 1),
    ("uptime_s", _("Uptime"), "h", 3600),
    ("free_bytes", _("Free memory"), "kB", 1000),
    ("connections_lost", _("Connections lost since its start"), "", 1),
]


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
