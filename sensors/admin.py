"""Sensors in the console: those that somebody has, and those that are only heard."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.console import (
    MacSearch,
    ModelAdmin,
    ReadOnly,
    TabularInline,
    charts,
    mac_or_404,
)
from accounts.models import User
from ruuvinet.lib.api import DomainError
from ruuvinet.lib.mac import Mac
from sensors import pictures, quantities
from sensors.charts import series
from sensors.export_admin import ExportingAdmin
from sensors.models import Access, Latest, PendingShare, Sensor, SensorSetting
from sensors.services import claim_sensor

SPANS = {"day": _("Day"), "week": _("Week"), "month": _("Month"), "year": _("Year")}
BUCKETS = 300  # of a chart: about as many as a screen shows side by side


def sensor_page(mac: Mac) -> dict[str, Any]:
    """What stands above the form of a sensor, also of one that is only heard. Three queries."""
    sensor = Sensor.objects.select_related("owner").filter(mac=mac).first() or Sensor(mac=mac)
    latest = Latest.objects.filter(sensor=mac).first()
    reading = latest.reading() if latest else None
    return {
        "sensor": sensor,
        "latest": latest,
        "values": quantities.values(reading, sensor) if reading else [],
        "accesses": Access.objects.filter(sensor=mac).select_related("user"),
        "charts": reverse("admin:sensors_sensor_charts", args=[mac]),
        "ranges": SPANS.items(),
    }


class AccessInline(TabularInline[Access, Sensor]):
    """The owner and those with whom the sensor is shared."""

    model = Access
    fields = ("user", "name", "shown", "edited_at")
    readonly_fields = ("shown", "edited_at")
    raw_id_fields = ("user",)
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Access]:
        return super().get_queryset(request).select_related("user", "sensor")

    @admin.display(description=_("picture"))
    def shown(self, access: Access) -> SafeString | str:
        if not access.picture.startswith(pictures.FOLDER):
            return access.picture or "-"
        return format_html('<img src="{}" height="48" alt="">', pictures.url(access.picture))


class PendingShareInline(TabularInline[PendingShare, Sensor]):
    model = PendingShare
    fields = ("email", "shared_by", "invited_at")
    readonly_fields = fields
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[PendingShare]:
        return super().get_queryset(request).select_related("shared_by")


class SensorSettingInline(TabularInline[SensorSetting, Sensor]):
    """What the owner chose in the apps."""

    model = SensorSetting
    fields = ("type", "value", "edited_at")
    readonly_fields = fields
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SensorAdmin(MacSearch, ExportingAdmin):
    """Registered by ruuvinet.admin, whose actions also touch alerts."""

    fields = (
        "mac",
        "owner",
        "claimed_at",
        "public",
        "offset_temperature_c",
        "offset_humidity_pct",
        "offset_pressure_pa",
    )
    list_display = ("mac", "owner", "public", "claimed_at")
    list_filter = ("public", ("owner", admin.EmptyFieldListFilter))
    list_select_related = ("owner",)
    raw_id_fields = ("owner",)
    search_fields = ("owner__email", "accesses__name")
    search_help_text = _("an address, its last four digits, a name or an owner")
    inlines = (AccessInline, PendingShareInline, SensorSettingInline)
    change_form_outer_before_template = "admin/sensors/sensor.html"

    def get_urls(self) -> list[URLPattern]:
        show = self.admin_site.admin_view(require_safe(self.charts))
        return [path("<mac>/charts", show, name="sensors_sensor_charts"), *super().get_urls()]

    def charts(self, request: HttpRequest, mac: str) -> HttpResponse:
        """The history of a sensor, as JSON for the charts of its page. Two queries."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        address = mac_or_404(mac)
        sensor = Sensor.objects.filter(mac=address).first() or Sensor(mac=address)
        return charts(
            request,
            spans=list(SPANS),
            now=int(timezone.now().timestamp()),
            draw=lambda since, until: quantities.drawn(
                series(sensor, since=since, until=until, buckets=BUCKETS)
            ),
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        page = {"page": sensor_page(mac_or_404(object_id))}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | page)

    def has_delete_permission(self, request: HttpRequest, obj: Sensor | None = None) -> bool:
        return False  # a sensor remembers from when on its history is the owner's

    def get_readonly_fields(self, request: HttpRequest, obj: Sensor | None = None) -> Any:
        """An owner gives a sensor up by unclaiming it, since much hangs on the claim."""
        if obj is None:
            return ("claimed_at",)
        return ("mac", "claimed_at", "exports", *(("owner",) if obj.owner_id else ()))

    def save_model(self, request: HttpRequest, obj: Sensor, form: Any, change: bool) -> None:
        """A new owner gets what a claim gives, but for the limits of the plan."""
        new_owner = obj.owner if "owner" in form.changed_data else None
        if new_owner:
            obj.give_to(new_owner, timezone.now())
        super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        pictures.forget(
            [gone.picture for gone in formset.deleted_objects if formset.model is Access]
        )

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """An owner always has an Access; apps look again only when their stamp has grown."""
        super().save_related(request, form, formsets, change)
        if form.instance.owner:
            Access.objects.get_or_create(user=form.instance.owner, sensor=form.instance)
        if form.has_changed() or any(formset.has_changed() for formset in formsets):
            form.instance.accesses.update(edited_at=timezone.now())


@admin.register(Latest)
class LatestAdmin(MacSearch, ReadOnly, ModelAdmin[Latest]):
    """What is in the air. Read only, but for claiming."""

    list_display = ("sensor", "format", "temperature", "measured_time", "gateway", "rssi_dbm")
    ordering = ("-measured_at",)
    list_filter = ("data_format",)
    mac_field = "sensor"
    search_fields = ("sensor",)
    search_help_text = _("an address or its last four digits")
    fields = ("sensor", "measured_time", "gateway", "rssi_dbm", "values", "raw")
    readonly_fields = fields
    actions = ("claim_for_me",)
    show_full_result_count = False
    change_form_outer_before_template = "admin/sensors/sensor.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        page = {"page": sensor_page(mac_or_404(object_id))}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | page)

    @admin.display(description=_("format"))
    def format(self, latest: Latest) -> str:
        return gettext("unknown") if latest.data_format is None else f"{latest.data_format:X}"

    @admin.display(description=_("temperature, °C"))
    def temperature(self, latest: Latest) -> str:
        reading = latest.reading()
        value = reading.temperature_c if reading else None
        return "-" if value is None else f"{value:.2f}"

    @admin.display(description=_("measured"), ordering="measured_at")
    def measured_time(self, latest: Latest) -> Any:
        return latest.measured_time

    @admin.display(description=_("advertisement"))
    def raw(self, latest: Latest) -> str:
        return bytes(latest.payload).hex().upper()

    @admin.display(description=_("values"))
    def values(self, latest: Latest) -> SafeString:
        reading = latest.reading()
        if reading is None:
            return format_html("<em>{}</em>", gettext("a format that RuuviNet does not know"))
        known = {f: getattr(reading, f) for f in reading.__struct_fields__}
        return format_html_join(
            "",
            "<div><code>{}</code>: {}</div>",
            ((name, value) for name, value in known.items() if value is not None),
        )

    def has_claim_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("sensors.change_sensor")

    @admin.action(description=_("Claim for me"), permissions=["claim"])
    def claim_for_me(self, request: HttpRequest, queryset: QuerySet[Latest]) -> None:
        assert isinstance(request.user, User)  # noqa: S101  # the console needs a sign-in
        for latest in queryset:
            try:
                claim_sensor(user=request.user, mac=latest.sensor)
            except DomainError as error:
                self.message_user(request, f"{latest.sensor}: {error.message}", messages.ERROR)
            else:
                self.message_user(
                    request, gettext("%s is yours.") % latest.sensor, messages.SUCCESS
                )
