"""The first page of the console: whether all is well, and the way to what is not."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

import alerts.selectors
import gateways.selectors
from accounts.console import charts
from alerts.selectors import LATELY
from gateways.models import Gateway
from operations.models import Heartbeat, Notice
from ruuvinet.health import HEARTBEAT_LATE, queue_lengths
from ruuvinet.lib.database import size_bytes
from ruuvinet.lib.words import ago

WAITING_SHOWN = 5
ALERTS_SHOWN = 5
NOTICES_SHOWN = 5
# The web process says that it listens each ten seconds.
LISTENING_PATIENCE = timedelta(seconds=60)


class Number(NamedTuple):
    """A tile: what it says, the list behind it, and whether somebody should look."""

    label: str
    value: str
    url: str
    is_bad: bool
    hint: str


class Part(NamedTuple):
    """A part of the machinery, how it is, and what to do when it is not well."""

    name: str
    state: str
    is_well: bool
    advice: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """All that the page shows; what the reader may not see is left out."""
    now = timezone.now()
    may = request.user.has_perm
    context["numbers"] = [number for code, number in _numbers(now) if may(code)]
    context["parts"] = _parts(now)
    if may("gateways.view_gateway"):
        strangers = Gateway.objects.strangers().order_by("-rejected_at")
        context["waiting"] = strangers.only("mac", "name", "rejected_at", "rejected_address")[
            :WAITING_SHOWN
        ]
    if may("operations.view_notice"):
        context["notices"] = Notice.objects.told().order_by("-since")[:NOTICES_SHOWN]
    if may("alerts.view_alertevent"):
        context["open_events"] = alerts.selectors.open_events(ALERTS_SHOWN)
    return context


def live(request: HttpRequest) -> JsonResponse:
    """The readings of each minute of the last hour, also of minutes without any."""
    if not request.user.has_perm("gateways.view_gateway"):
        raise PermissionDenied
    return charts(request, spans=["hour"], now=int(timezone.now().timestamp()), draw=_readings)


def _readings(since: int, until: int) -> list[dict[str, Any]]:
    found = {
        int(minute.minute.timestamp()): minute.readings
        for minute in gateways.selectors.minutes(datetime.fromtimestamp(since, UTC))
    }
    times = list(range(since - since % 60 + 60, until, 60))
    return [
        {
            "name": _("Readings a minute"),
            "unit": "",
            "kind": "bars",
            "t": times,
            "mid": [found.get(at, 0) for at in times],
        }
    ]


def _numbers(now: datetime) -> Iterator[tuple[str, Number]]:
    fleet = gateways.selectors.fleet(now)
    list_ = reverse("admin:gateways_gateway_changelist") + "?state="
    view = "gateways.view_gateway"
    yield view, Number(
        _("Gateways reporting"), str(fleet.reporting), list_ + "whitelisted", False,
        _("accepted in the last 15 minutes"),
    )  # fmt: skip
    yield view, Number(
        _("Silent"), str(fleet.silent), list_ + "silent", fleet.silent > 0,
        _("whitelisted, and unheard for 15 minutes"),
    )  # fmt: skip
    yield view, Number(
        _("Waiting"), str(fleet.waiting), list_ + "waiting", False,
        _("they knocked; nobody has decided yet"),
    )  # fmt: skip
    yield view, Number(
        _("Rejected"), str(fleet.refused), list_ + gateways.selectors.REFUSED, fleet.refused > 0,
        _("whitelisted, and refused in the last hour"),
    )  # fmt: skip
    counts = alerts.selectors.alert_counts(now)
    yield "alerts.view_alertevent", Number(
        _("Alerts open"), str(counts.open), reverse("admin:alerts_alertevent_changelist")
        + "?state=open", counts.open > 0, _("they end by themselves when all is well again"),
    )  # fmt: skip
    failed = {"status__exact": "failed", "created_at__gte": (now - LATELY).isoformat()}
    yield "alerts.view_delivery", Number(
        _("Deliveries failed"), str(counts.failed), reverse("admin:alerts_delivery_changelist")
        + f"?{urlencode(failed)}", counts.failed > 0,
        _("of the last day; %(sent)d arrived, %(waiting)d wait") % counts._asdict(),
    )  # fmt: skip
    backlog = alerts.selectors.backlog(now)
    since = datetime.fromtimestamp(backlog.since, UTC) if backlog.since else None
    yield "alerts.view_alertrule", Number(
        _("Oldest unjudged reading"), ago(since, now) if since else _("none"),
        reverse("admin:alerts_alertrule_changelist") + "?judging=late", since is not None,
        _("of %d sensors with rules") % backlog.sensors if since else _("all rules are up to date"),
    )  # fmt: skip
    yield "sensors.view_latest", Number(
        _("Database"), filesizeformat(size_bytes()), reverse("admin:sensors_latest_changelist"),
        False, _retention(),
    )  # fmt: skip


def _retention() -> str:
    return _("each minute kept %(dense)s, each quarter of an hour %(sparse)s") % {
        "dense": _days(settings.DENSE_RETENTION_DAYS),
        "sparse": _days(settings.SPARSE_RETENTION_DAYS),
    }


def _days(days: int) -> str:
    return ngettext("%d day", "%d days", days) % days


def _parts(now: datetime) -> list[Part]:
    waiting = _waiting()
    seen = dict(Heartbeat.objects.values_list("part", "at"))
    beat = _living(
        _("Timetable"), now, seen.get(Heartbeat.BEAT), HEARTBEAT_LATE,
        _("Nothing happens by the clock. It is part of the worker, or celery beat: look at the log."),
    )  # fmt: skip
    worker_advice = (
        _("Look at its log; restart it. Nothing is lost: the database knows what waits.")
        if beat.is_well
        else _("It gets its ticks from the timetable: restart that first.")
    )
    return [
        _living(
            _("Ingest"), now, alerts.selectors.listened_at(), LISTENING_PATIENCE,
            _("The web process takes nothing in. Look at its log; restart it."),
        ),
        beat,
        _living(
            _("Worker: judging"), now, seen.get(Heartbeat.WORKER), HEARTBEAT_LATE, worker_advice
        ),
        _living(
            _("Worker: delivery"), now, seen.get(Heartbeat.DELIVERY), HEARTBEAT_LATE, worker_advice
        ),
        Part(
            _("Broker"),
            _("unreachable")
            if waiting is None
            else ngettext("%d message waits", "%d messages wait", waiting) % waiting,
            waiting is not None,
            _("Gateways do not notice; alerts wait until it is back."),
        ),
    ]  # fmt: skip


def _waiting() -> int | None:
    lengths = queue_lengths()
    return None if lengths is None else sum(lengths.values())


def _living(
    name: str, now: datetime, sign_at: datetime | None, patience: timedelta, advice: str
) -> Part:
    if sign_at is None:
        return Part(name, _("no sign of life yet"), False, advice)
    is_well = now - sign_at <= patience
    return Part(name, _("last sign of life %s") % ago(sign_at, now), is_well, advice)


class Place(NamedTuple):
    """An entry of the sidebar: words, icon of Material Symbols, model, filter."""

    title: Any
    icon: str
    model: str
    query: str = ""


_l = gettext_lazy
PLACES: dict[Any, list[Place]] = {
    _l("Fleet"): [
        Place(_l("Gateways"), "router", "gateways.gateway"),
        Place(_l("Waiting"), "hourglass_top", "gateways.gateway", "?state=waiting"),
        Place(_l("Groups"), "hub", "gateways.gatewaygroup"),
        Place(_l("Credentials"), "key", "gateways.credential"),
        Place(_l("Blocked networks"), "block", "gateways.networkrule"),
        Place(_l("Statuses"), "monitor_heart", "gateways.gatewaystatus"),
        Place(_l("Restarts"), "restart_alt", "gateways.gatewayreset"),
        Place(_l("Served configurations"), "settings_remote", "gateways.servedconfiguration"),
    ],
    _l("Notices"): [Place(_l("Notices"), "campaign", "operations.notice")],
    _l("Sensors"): [
        Place(_l("Sensors"), "sensors", "sensors.sensor"),
        Place(_l("Heard in the air"), "cell_tower", "sensors.latest"),
    ],
    _l("People"): [
        Place(_l("People"), "group", "accounts.user"),
        Place(_l("Sessions"), "devices", "accounts.accesstoken"),
        Place(_l("Their settings"), "tune", "accounts.usersetting"),
    ],
    _l("Plans and codes"): [
        Place(_l("Plans"), "sell", "subscriptions.plan"),
        Place(_l("Codes"), "confirmation_number", "subscriptions.code"),
        Place(_l("Subscriptions"), "card_membership", "subscriptions.subscription"),
    ],
    _l("Alerts"): [
        Place(_l("Open alerts"), "notifications_active", "alerts.alertevent", "?state=open"),
        Place(_l("All alerts"), "notifications", "alerts.alertevent"),
        Place(_l("Rules"), "rule", "alerts.alertrule"),
    ],
    _l("Deliveries"): [
        Place(_l("Deliveries"), "send", "alerts.delivery"),
        Place(_l("Phones"), "smartphone", "alerts.pushtoken"),
        Place(_l("Webhooks"), "webhook", "alerts.webhook"),
    ],
    _l("Mail"): [Place(_l("Outgoing mail"), "mail", "accounts.outgoingmail")],
    _l("Audit trail"): [
        Place(_l("Audit trail"), "history", "accounts.auditentry"),
        Place(_l("Failed sign-ins"), "lock", "axes.accessattempt"),
        Place(_l("Sign-ins"), "login", "axes.accesslog"),
    ],
    _l("Settings"): [Place(_l("Groups of rights"), "shield_person", "auth.group")],
}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, without what the reader may not see."""
    home = {"title": _l("Dashboard"), "icon": "dashboard", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"title": None, "items": [home]}]
    for title, places in PLACES.items():
        items = [_item(request, place) for place in places if _may_see(request, place)]
        if items:
            groups.append({"title": title, "items": items, "collapsible": True})
    help_ = {"title": _l("Ruuvi's words"), "icon": "menu_book", "link": reverse("words")}
    return [*groups, {"title": None, "items": [help_], "separator": True}]


def _may_see(request: HttpRequest, place: Place) -> bool:
    app, model = place.model.split(".")
    return request.user.has_perm(f"{app}.view_{model}")


# Two entries lead to these lists: the one with the filter is meant when it is set.
_FILTERS = {place.model: place.query for all_ in PLACES.values() for place in all_ if place.query}


def _item(request: HttpRequest, place: Place) -> dict[str, Any]:
    path = reverse(f"admin:{place.model.replace('.', '_')}_changelist")
    is_here = request.path.startswith(path)
    if place.model in _FILTERS:
        is_filtered = f"?{request.GET.urlencode()}" == _FILTERS[place.model]
        is_here = is_here and is_filtered == bool(place.query)
    return {"title": place.title, "icon": place.icon, "link": path + place.query, "active": is_here}
