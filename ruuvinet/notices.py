"""Operators' notices: what somebody should look at is told once, and once when it is over.

Everything is looked at each minute. What may pass by itself is told only when it has lasted, and
nothing counts while RuuviNet itself did not listen: after it was down, nobody is told that all
gateways are silent.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Count
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

import alerts.selectors
from accounts.mail import queue_mail
from accounts.models import OutgoingMail, User
from alerts.models import Delivery
from alerts.offline import Listening
from gateways import advice
from gateways.models import SILENT_AFTER, Gateway, GatewayReset
from gateways.selectors import REFUSED, conditions
from operations.models import Notice
from ruuvinet.health import parts, queue_lengths
from ruuvinet.lib.mac import Mac
from ruuvinet.lib.words import ago

What = Notice.What
OF_GATEWAYS = (What.SILENT, What.REFUSED, What.RESTARTS)
INGEST = "ingest"
# A refusal this long after the first, and none an hour apart, is no slip any more.
REFUSED_FOR = timedelta(minutes=10)
RESTARTS_WITHIN = timedelta(days=1)
RESTARTS_TOLD = 5
PART_PATIENCE = timedelta(minutes=5)  # a restart or an upgrade takes less
NOT_LISTENING_AFTER = timedelta(seconds=60)  # the web process says that it listens each ten
QUEUE_AGE = timedelta(minutes=5)
QUEUE_LENGTH = 1000  # messages of the broker
KEPT_FOR = timedelta(days=90)  # what is over
LINES = 20  # of a mail


class Trouble(NamedTuple):
    """What is the case now; `seen_at` is its newest sign, `says` is empty for gateways."""

    what: str
    about: str
    seen_at: datetime
    says: str = ""


def look(now: datetime) -> None:
    """Note what began and what is over, and tell those who wish it. A fixed number of queries."""
    listening = Listening.read(int(now.timestamp()))
    found = {(each.what, each.about): each for each in troubles(now, listening)}
    with transaction.atomic():
        began, over = _note(found, listening, now)
        if began or over:
            _tell(began, over, found, now)


def troubles(now: datetime, listening: Listening) -> Iterator[Trouble]:
    """All that is not as it should be, also what may pass by itself."""
    yield from _of_gateways(now, listening)
    yield from _of_parts(now)
    yield from _of_queues(now)


# --- What is the case ----------------------------------------------------------------------
def _of_gateways(now: datetime, listening: Listening) -> Iterator[Trouble]:
    begin = listening.begin_of(int(SILENT_AFTER.total_seconds()))
    known = Gateway.objects.whitelisted()
    if begin is not None:
        heard = datetime.fromtimestamp(begin, UTC)
        silent = known.filter(last_seen_at__lt=heard, whitelisted_at__lt=heard)
        for mac in silent.values_list("mac", flat=True):
            yield Trouble(What.SILENT, str(mac), now)
    refused = known.filter(conditions(now)[REFUSED]).values_list("mac", "rejected_at")
    for mac, rejected_at in refused:
        yield Trouble(What.REFUSED, str(mac), rejected_at or now)
    restarts = GatewayReset.objects.filter(
        seen_at__gt=now - RESTARTS_WITHIN, gateway__whitelisted_at__isnull=False
    )
    often = restarts.values("gateway").annotate(n=Count("pk")).filter(n__gte=RESTARTS_TOLD)
    for mac, count in often.values_list("gateway", "n"):
        says = _("It restarted %d times within a day. Check its power supply and its network.")
        yield Trouble(What.RESTARTS, str(Mac(mac)), now, says % count)


def _of_parts(now: datetime) -> Iterator[Trouble]:
    for part in parts(now):
        if part.problem:
            yield Trouble(What.PART, part.name, now, part.problem)
    listened_at = alerts.selectors.listened_at()
    if listened_at and now - listened_at > NOT_LISTENING_AFTER:
        says = _("The web process takes nothing in. Look at its log; restart it.")
        yield Trouble(What.PART, INGEST, now, says)


def _of_queues(now: datetime) -> Iterator[Trouble]:
    backlog = alerts.selectors.backlog(now)
    if backlog.since and now.timestamp() - backlog.since > QUEUE_AGE.total_seconds():
        says = ngettext(
            "Readings of %d sensor wait to be judged.",
            "Readings of %d sensors wait to be judged.",
            backlog.sensors,
        )
        yield Trouble(What.QUEUE, "judging", now, says % backlog.sensors)
    overdue = {
        "deliveries": Delivery.objects.due(now - QUEUE_AGE).count(),
        "mails": OutgoingMail.objects.due(now - QUEUE_AGE).count(),
    }
    for name, count in overdue.items():
        if count:
            says = ngettext("%d should be on its way.", "%d should be on their way.", count)
            yield Trouble(What.QUEUE, name, now, says % count)
    for name, length in (queue_lengths() or {}).items():
        if length > QUEUE_LENGTH:
            says = _("%d messages wait. Start more workers, or look at their log.") % length
            yield Trouble(What.QUEUE, f"broker: {name}", now, says)


# --- What is new, and what is over ---------------------------------------------------------
def _note(
    found: dict[tuple[str, str], Trouble], listening: Listening, now: datetime
) -> tuple[list[Notice], list[Notice]]:
    """What is to be told as begun and as over."""
    known = set(Notice.objects.filter(over_at=None).values_list("what", "about"))
    Notice.objects.bulk_create(
        [
            Notice(what=each.what, about=each.about, since=each.seen_at)
            for key, each in found.items()
            if key not in known
        ],
        ignore_conflicts=True,  # another worker was quicker
    )
    began: list[Notice] = []
    over: list[Notice] = []
    passed: list[Notice] = []
    # Locked, so that of two workers one tells.
    for notice in Notice.objects.select_for_update().filter(over_at=None).order_by("pk"):
        trouble = found.get((notice.what, notice.about))
        if trouble is None:
            (over if notice.told_at else passed).append(notice)
        elif notice.told_at is None and _has_lasted(trouble, notice.since, listening):
            began.append(notice)
    _update(began, told_at=now)
    _update(over, over_at=now)
    Notice.objects.filter(pk__in=[each.pk for each in passed]).delete()
    Notice.objects.filter(over_at__lt=now - KEPT_FOR).delete()
    return began, over


def _update(notices: Collection[Notice], **fields: datetime) -> None:
    if notices:
        Notice.objects.filter(pk__in=[each.pk for each in notices]).update(**fields)


def _has_lasted(trouble: Trouble, since: datetime, listening: Listening) -> bool:
    match trouble.what:
        case What.SILENT | What.RESTARTS:
            return True
        case What.REFUSED:
            return trouble.seen_at - since >= REFUSED_FOR
    if trouble.about == INGEST:  # nothing is listened to while it is the case
        return trouble.seen_at - since >= PART_PATIENCE
    return listening.since(int(since.timestamp())) >= PART_PATIENCE.total_seconds()


# --- Words -----------------------------------------------------------------------------------
def _tell(
    began: list[Notice],
    over: list[Notice],
    found: dict[tuple[str, str], Trouble],
    now: datetime,
) -> None:
    wishing = User.objects.filter(is_active=True, is_staff=True, wants_notices=True)
    addresses = [user.email for user in wishing if user.has_perm("operations.view_notice")]
    if not addresses:
        return
    gateways = _gateways([*began, *over])
    variables: dict[str, str | list[str]] = {
        "began_count": str(len(began) or ""),
        "over_count": str(len(over) or ""),
        "began": _cut(
            f"{_name(each, gateways)}: {_says(found[each.what, each.about], gateways, now)}"
            for each in began
        ),
        "over": _cut(
            f"{_name(each, gateways)}: {each.get_what_display()}, {ago(each.since, now)}"
            for each in over
        ),
        "link": settings.PUBLIC_URL + reverse("admin:operations_notice_changelist"),
    }
    for address in addresses:
        queue_mail("OperatorNotice", to=address, variables=variables, at=now)


def _gateways(notices: Iterable[Notice]) -> dict[str, Gateway]:
    macs = [Mac.parse(each.about) for each in notices if each.what in OF_GATEWAYS]
    known = Gateway.objects.filter(mac__in=macs) if macs else []
    return {str(gateway.mac): gateway for gateway in known}


def _name(notice: Notice, gateways: dict[str, Gateway]) -> str:
    gateway = gateways.get(notice.about)
    return f"{gateway.name} ({gateway.mac})" if gateway and gateway.name else notice.about


def _says(trouble: Trouble, gateways: dict[str, Gateway], now: datetime) -> str:
    gateway = gateways.get(trouble.about)
    if trouble.says or gateway is None:
        return trouble.says
    bad = [each for each in advice.about(gateway, now) if each.is_bad]
    return " ".join(f"{each.says} {each.do}" for each in bad)


def _cut(lines: Iterable[str]) -> list[str]:
    told = list(lines)
    more = len(told) - LINES
    return [*told[:LINES], _("and %d more") % more] if more > 0 else told
