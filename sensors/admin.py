"""Sensors in the console: those that somebody has, and those that are only heard."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.console import AuditedAdmin
from accounts.models import User
from ruuvinet.lib.api import DomainError
from sensors.models import Access, Latest, Sensor
from sensors.services import claim_sensor


class AccessInline(admin.TabularInline[Access, Sensor]):
    model = Access
    raw_id_fields = ("user",)
    extra = 0


@admin.register(Sensor)
class SensorAdmin(AuditedAdmin[Sensor]):
    list_display = ("mac", "owner")
    list_select_related = ("owner",)
    raw_id_fields = ("owner",)
    search_fields = ("owner__email",)
    inlines = (AccessInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Sensor | None = None) -> Any:
        return () if obj is None else ("mac",)


@admin.register(Latest)
class LatestAdmin(admin.ModelAdmin[Latest]):
    """What is in the air. Read only, but for claiming."""

    list_display = ("sensor", "format", "temperature", "measured_time", "gateway", "rssi_dbm")
    ordering = ("-measured_at",)
    fields = ("sensor", "measured_time", "gateway", "rssi_dbm", "values", "raw")
    readonly_fields = fields
    actions = ("claim_for_me",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="format")
    def format(self, latest: Latest) -> str:
        return "unknown" if latest.data_format is None else f"{latest.data_format:X}"

    @admin.display(description="temperature, °C")
    def temperature(self, latest: Latest) -> str:
        reading = latest.reading()
        value = reading.temperature_c if reading else None
        return "-" if value is None else f"{value:.2f}"

    @admin.display(description="measured", ordering="measured_at")
    def measured_time(self, latest: Latest) -> Any:
        return latest.measured_time

    @admin.display(description="advertisement")
    def raw(self, latest: Latest) -> str:
        return bytes(latest.payload).hex().upper()

    @admin.display(description="values")
    def values(self, latest: Latest) -> SafeString:
        reading = latest.reading()
        if reading is None:
            return format_html("<em>{}</em>", "a format that RuuviNet does not know")
        known = {f: getattr(reading, f) for f in reading.__struct_fields__}
        return format_html_join(
            "",
            "<div><code>{}</code>: {}</div>",
            ((name, value) for name, value in known.items() if value is not None),
        )

    def has_claim_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("sensors.change_sensor")

    @admin.action(description="Claim for me", permissions=["claim"])
    def claim_for_me(self, request: HttpRequest, queryset: QuerySet[Latest]) -> None:
        assert isinstance(request.user, User)  # noqa: S101  # the console needs a sign-in
        for latest in queryset:
            try:
                claim_sensor(user=request.user, mac=latest.sensor)
            except DomainError as error:
                self.message_user(request, f"{latest.sensor}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, f"{latest.sensor} is yours.", messages.SUCCESS)
