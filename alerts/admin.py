"""Rules, what they found, and who was told."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from unfold.decorators import display

from accounts.console import (
    STATUS_COLOURS,
    AuditedAdmin,
    MacSearch,
    ModelAdmin,
    ReadOnly,
    TabularInline,
    going_out,
    mac_or_404,
)
from alerts.models import AlertEvent, AlertRule, Delivery, PushToken, Webhook, quantity, short
from alerts.selectors import late, timeline
from alerts.services import configure_rule
from alerts.transports.webhook import ensure_url
from ruuvinet.lib.mac import Mac

TIMELINE_EVENTS = 200
TIMELINE_DAYS = 7
MAX_LATE = 1000  # sensors in the list of those that judging has not reached


@admin.display(description=_("sensor"), ordering="sensor")
def timeline_link(row: AlertRule | AlertEvent) -> str:
    mac = Mac(row.sensor_id if isinstance(row, AlertRule) else row.sensor)
    url = reverse("admin:alerts_timeline", args=[mac])
    return format_html('<a href="{}" title="{}">{}</a>', url, gettext("timeline"), mac)


class JudgingFilter(admin.SimpleListFilter):
    title, parameter_name = _("judging"), "judging"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("late", gettext("readings wait"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> QuerySet[AlertRule]:
        if self.value() != "late":
            return queryset
        waiting = late(timezone.now()).values_list("sensor", flat=True)
        return queryset.filter(enabled=True, sensor__in=list(waiting[:MAX_LATE]))


@admin.register(AlertRule)
class AlertRuleAdmin(MacSearch, AuditedAdmin[AlertRule]):
    mac_field = "sensor"
    list_display = (
        "type",
        timeline_link,
        "min",
        "max",
        "delay_s",
        "enabled",
        "triggered",
        "triggered_at",
        "user",
    )
    list_filter = (JudgingFilter, "triggered", "enabled", "type")
    list_select_related = ("sensor", "user")
    raw_id_fields = ("user", "sensor")
    search_fields = ("user__email", "description")
    fields = (
        "user",
        "sensor",
        "type",
        "enabled",
        "min",
        "max",
        "delay_s",
        "description",
        "counter",
        "triggered",
        "triggered_at",
        "configured_at",
    )
    readonly_fields = ("counter", "triggered", "triggered_at", "configured_at")

    def save_model(self, request: HttpRequest, obj: AlertRule, form: Any, change: bool) -> None:
        obj.updated_at = timezone.now()  # the apps take it over only if it is newer than theirs
        configure_rule(obj, at=obj.updated_at)


class Bar(NamedTuple):
    """One event on the time axis, in percent of its width."""

    event: AlertEvent
    left: float
    width: float


def lanes(events: Sequence[AlertEvent], now: datetime) -> dict[str, list[Bar]]:
    """The events of the last TIMELINE_DAYS as bars, by type; an open one reaches to `now`."""
    begin, whole = now - timedelta(days=TIMELINE_DAYS), timedelta(days=TIMELINE_DAYS)
    found: dict[str, list[Bar]] = {}
    for event in events:
        opened, ended = max(event.opened_at, begin), min(event.resolved_at or now, now)
        if ended > begin:
            left = 100 * ((opened - begin) / whole)
            bar = Bar(event, left, max(100 * ((ended - opened) / whole), 0.4))
            found.setdefault(quantity(event.type), []).append(bar)
    return found


class DeliveryInline(ReadOnly, TabularInline[Delivery, AlertEvent]):
    model = Delivery
    fields = ("destination", "status", "outcome", "attempts", "created_at", "sent_at")
    readonly_fields = fields
    hide_title = True

    @admin.display(description=_("destination"))
    def destination(self, delivery: Delivery) -> str:
        url = reverse("admin:alerts_delivery_change", args=[delivery.pk])
        return format_html('<a href="{}" class="link">{}</a>', url, delivery)


class OpenFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", gettext("open")), ("resolved", gettext("resolved"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AlertEvent]
    ) -> QuerySet[AlertEvent]:
        known = {"open": True, "resolved": False}
        if self.value() not in known:
            return queryset
        return queryset.filter(resolved_at__isnull=known[str(self.value())])


@admin.register(AlertEvent)
class AlertEventAdmin(MacSearch, ReadOnly, ModelAdmin[AlertEvent]):
    mac_field = "sensor"
    list_display = (
        "sensor_name",
        "what",
        "measured",
        "opened_at",
        "resolved_at",
        "told",
        "timeline_of",
        "user",
    )
    list_filter = (OpenFilter, "type")
    fields = (
        "rule",
        "user",
        "timeline_of",
        "sensor_name",
        "what",
        "measured",
        "description",
        "opened_at",
        "resolved_at",
    )
    list_select_related = ("user",)
    ordering = ("-opened_at",)
    search_fields = ("sensor_name", "user__email")
    date_hierarchy = "opened_at"
    inlines = (DeliveryInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertEvent]:
        sent = Count("deliveries", filter=Q(deliveries__status=Delivery.Status.SENT))
        return super().get_queryset(request).annotate(sent=sent, all=Count("deliveries"))

    def get_urls(self) -> list[URLPattern]:
        show = self.admin_site.admin_view(require_safe(self.timeline))
        return [path("timeline/<mac>", show, name="alerts_timeline"), *super().get_urls()]

    def timeline(self, request: HttpRequest, mac: str) -> HttpResponse:
        """What happened to one sensor, and who was told of it when."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        sensor = mac_or_404(mac)
        now = timezone.now()
        events = timeline(sensor, TIMELINE_EVENTS)
        context = self.admin_site.each_context(request) | {
            "title": gettext("Timeline of %s") % (events[0].sensor_name if events else sensor),
            "opts": self.opts,
            "sensor": sensor,
            "events": events,
            "lanes": lanes(events, now),
            "days": [now - timedelta(days=n) for n in range(TIMELINE_DAYS, -1, -1)],
        }
        return TemplateResponse(request, "admin/alerts/timeline.html", context)

    @admin.display(description=_("sensor"), ordering="sensor")
    def timeline_of(self, event: AlertEvent) -> str:
        return timeline_link(event)

    @admin.display(description=_("what"), ordering="type")
    def what(self, event: AlertEvent) -> str:
        return event.what

    @admin.display(description=_("value"), ordering="value")
    def measured(self, event: AlertEvent) -> str:
        return short(event.value)

    @admin.display(description=_("told"))
    def told(self, event: AlertEvent) -> str:
        return gettext("%(sent)d of %(all)d") % vars(event)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, ModelAdmin[Delivery]):
    list_display = (
        "__str__",
        "of_event",
        "state",
        "outcome",
        "attempts",
        "sent_at",
    )
    list_filter = ("status", "channel", "created_at")
    list_select_related = ("event",)
    search_fields = ("event__sensor_name", "event__user__email", "outcome")
    fields = (
        "event",
        "channel",
        "status",
        "outcome",
        "attempts",
        "created_at",
        "next_attempt_at",
        "sent_at",
    )
    ordering = ("-created_at",)
    actions = ("retry_now",)

    @display(  # type: ignore[untyped-decorator]  # unfold ships no types
        description=_("status"), ordering="status", label=STATUS_COLOURS
    )
    def state(self, delivery: Delivery) -> tuple[str, str]:
        return delivery.status, delivery.get_status_display()

    @admin.display(description=_("event"))
    def of_event(self, delivery: Delivery) -> str:
        # A link, and Django lets those that are foreign keys break no line.
        url = reverse("admin:alerts_alertevent_change", args=[delivery.event_id])
        return format_html('<a href="{}">{}</a>', url, delivery.event)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.change_delivery")

    @admin.action(description=_("Try again now"), permissions=["retry"])
    def retry_now(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        now = timezone.now()
        over = [Delivery.Status.FAILED, Delivery.Status.NOT_SENT]
        again = queryset.filter(status__in=over).update(
            status=Delivery.Status.PENDING, created_at=now, next_attempt_at=now
        )
        # One that waits for its next attempt; but not one that a worker holds just now.
        waiting = queryset.filter(status=Delivery.Status.PENDING).exclude(outcome="")
        again += waiting.filter(next_attempt_at__gt=now).update(next_attempt_at=now)
        self.message_user(request, going_out(again), messages.SUCCESS)


@admin.register(PushToken)
class PushTokenAdmin(AuditedAdmin[PushToken]):
    list_display = (
        "__str__",
        "user",
        "name",
        "language",
        "created_at",
        "retired_at",
        "retired_reason",
    )
    list_filter = ("platform", ("retired_at", admin.EmptyFieldListFilter))
    list_select_related = ("user",)
    raw_id_fields = ("user",)
    search_fields = ("user__email", "name")
    readonly_fields = ("created_at", "retired_at", "retired_reason")

    def get_fields(self, request: HttpRequest, obj: PushToken | None = None) -> Any:
        fields = ["user", "platform", "name", "language", "sound_file"]
        return [*fields, "token"] if obj is None else [*fields, *self.readonly_fields]


class WebhookForm(forms.ModelForm[Webhook]):
    """The secret can be written, never read."""

    url = forms.URLField(label=_("URL"), max_length=2000, assume_scheme="https")
    secret = forms.CharField(
        max_length=255,
        label=_("Secret"),
        strip=False,
        required=False,
        help_text=_("Signs each message; the receiver must know it too. Empty: it stays as it is."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    class Meta:
        model = Webhook
        fields = ("user", "url", "secret")

    def clean_url(self) -> str:
        try:
            ensure_url(self.cleaned_data["url"])
        except ValueError as error:
            raise forms.ValidationError(gettext("Alerts cannot go there: %s.") % error) from error
        return str(self.cleaned_data["url"])

    def clean_secret(self) -> str:
        secret = str(self.cleaned_data["secret"] or self.instance.secret)
        if not self.instance.pk and not self.cleaned_data["secret"]:
            raise forms.ValidationError(gettext("A new webhook needs a secret."))
        return secret


@admin.register(Webhook)
class WebhookAdmin(AuditedAdmin[Webhook]):
    form = WebhookForm
    list_display = ("user", "__str__", "created_at", "retired_at", "retired_reason")
    list_select_related = ("user",)
    raw_id_fields = ("user",)
    search_fields = ("user__email", "url")
    readonly_fields = ("created_at", "retired_at", "retired_reason")

    def get_fields(self, request: HttpRequest, obj: Webhook | None = None) -> Any:
        """The path of an address is often a secret too: who may not change it sees the host."""
        may_change = obj is None or self.has_change_permission(request, obj)
        return ("user", *(("url", "secret") if may_change else ("server",)), *self.readonly_fields)

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        may_change = self.has_change_permission(request)
        return self.search_fields if may_change else ("user__email",)

    @admin.display(description=_("server"))
    def server(self, webhook: Webhook) -> str:
        return str(webhook)

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        """A mended webhook is used again."""
        obj.retired_at, obj.retired_reason = None, ""
        super().save_model(request, obj, form, change)
