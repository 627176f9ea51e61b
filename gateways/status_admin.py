"""The pages of what gateways tell about themselves: histories, not edited."""

import json
from datetime import timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from accounts.console import MacSearch, ModelAdmin, ReadOnly
from gateways.models import GatewayReset, GatewayStatus
from ruuvinet.lib.mac import Mac


def uptime(status: GatewayStatus) -> str:
    """As people say it; a gateway may claim any number of seconds."""
    return "-" if status.uptime_s is None else str(timedelta(seconds=min(status.uptime_s, 10**9)))


@admin.register(GatewayStatus)
class GatewayStatusAdmin(MacSearch, ReadOnly, ModelAdmin[GatewayStatus]):
    list_display = (
        "of", "received_at", "esp_firmware", "up", "connection", "connections_lost", "free_bytes",
        "sensors_seen",
    )  # fmt: skip
    exclude = ("told",)
    readonly_fields = ("everything",)
    list_filter = ("connection",)
    mac_field = "gateway"
    search_fields = ("gateway__name", "esp_firmware")
    search_help_text = _("an address, its last four digits, a name or a firmware")
    date_hierarchy = "received_at"
    ordering = ("-received_at",)
    show_full_result_count = False

    @admin.display(description=_("gateway"), ordering="gateway")
    def of(self, status: GatewayStatus) -> str:
        return str(Mac(status.gateway_id))

    @admin.display(description=_("up for"), ordering="uptime_s")
    def up(self, status: GatewayStatus) -> str:
        return uptime(status)

    @admin.display(description=_("all that it told"))
    def everything(self, status: GatewayStatus) -> str:
        return format_html("<pre>{}</pre>", json.dumps(status.told, indent=2))

    def get_queryset(self, request: HttpRequest) -> QuerySet[GatewayStatus]:
        queryset = super().get_queryset(request)
        # A list of thousands needs no lists of sensors in each row.
        return (
            queryset
            if request.resolver_match and request.resolver_match.kwargs
            else queryset.defer("told")
        )


@admin.register(GatewayReset)
class GatewayResetAdmin(MacSearch, ReadOnly, ModelAdmin[GatewayReset]):
    list_display = ("of", "seen_at", "booted_at", "reason", "count", "first_line")
    list_filter = ("reason",)
    mac_field = "gateway"
    search_fields = ("gateway__name",)
    search_help_text = _("an address, its last four digits or a name")
    ordering = ("-seen_at",)
    show_full_result_count = False

    @admin.display(description=_("gateway"), ordering="gateway")
    def of(self, reset: GatewayReset) -> str:
        return str(Mac(reset.gateway_id))

    @admin.display(description=_("what it told"))
    def first_line(self, reset: GatewayReset) -> str:
        return reset.info.partition("\n")[0][:100]
