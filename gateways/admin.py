"""The gateways page of the console."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join

from accounts.console import AuditedAdmin
from gateways import (  # noqa: F401  # their pages too
    configuration_admin,
    credential_admin,
    directory,
    networks,
    services,
    status_admin,
)
from gateways.configuration_admin import GatewayForm
from gateways.models import SILENT_AFTER, Gateway, NetworkRule, validate_secret
from ruuvinet.lib.api import DomainError
from sensors.models import Latest

KEY_HELP = (
    "The key that signs the gateway's posts: the device id printed on its bottom, such as "
    "40:98:A7:78:58:1A:E1:38, unless another was set. It is stored encrypted and never shown. "
    "May be empty where a credential or a certificate is enough."
)


NEEDED = "This gateway must sign: its key is needed."


class WhitelistForm(forms.ModelForm[Gateway]):
    """Adds a whitelisted gateway. The secret can be written, never read."""

    secret = forms.CharField(
        label="Key",
        required=False,
        max_length=255,
        strip=False,
        help_text=KEY_HELP,
        validators=[validate_secret],
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )

    class Meta:
        model = Gateway
        fields = ("mac", "secret", "group", "policy")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        chosen = Gateway(group=cleaned.get("group"), policy=cleaned.get("policy") or "")
        if not cleaned.get("secret") and "secret" not in self.errors and chosen.must_sign():
            self.add_error("secret", NEEDED)
        return cleaned

    def clean_mac(self) -> Any:
        mac = self.cleaned_data["mac"]
        if Gateway.objects.whitelisted().filter(mac=mac).exists():
            raise ValidationError("This gateway is whitelisted already.")
        return mac

    def validate_unique(self) -> None:
        """A gateway that has knocked has a row already, which whitelisting takes over."""


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(Gateway.State.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Gateway]) -> QuerySet[Gateway]:
        heard = Q(last_seen_at__gt=timezone.now() - SILENT_AFTER) | Q(
            last_seen_at=None, whitelisted_at__gt=timezone.now() - SILENT_AFTER
        )
        conditions = {
            Gateway.State.WAITING.value: Q(whitelisted_at=None, blacklisted_at=None),
            Gateway.State.BLACKLISTED.value: Q(whitelisted_at=None, blacklisted_at__isnull=False),
            Gateway.State.WHITELISTED.value: Q(whitelisted_at__isnull=False) & heard,
            Gateway.State.SILENT.value: Q(whitelisted_at__isnull=False) & ~heard,
        }
        chosen = self.value()
        return queryset.filter(conditions[chosen]) if chosen in conditions else queryset


@admin.register(Gateway)
class GatewayAdmin(AuditedAdmin[Gateway]):
    list_display = (
        "mac",
        "state",
        "sensors_heard",
        "last_seen_at",
        "rejected_at",
        "rejection",
        "rejected_address",
        "clock",
        "key_state",
        "first_seen_at",
    )
    list_filter = (StateFilter, "rejection", "group", "key_state")
    editable = ("group", "policy", "period_s", "overrides")
    ordering = ("-last_seen_at", "-rejected_at")
    actions = ("whitelist", "blacklist", "offer_key")
    readonly_fields = (
        "state",
        "status",
        "beside",
        "sensors_heard",
        "whitelisted_at",
        "blacklisted_at",
        "first_seen_at",
        "connected_at",
        "last_seen_at",
        "last_address",
        "clock",
        "rejected_at",
        "rejection",
        "rejected_address",
        "bad_tags",
        "late_readings",
        "replays",
        "key_state",
        "key_changed_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Gateway]:
        heard = (
            Latest.objects.filter(gateway=OuterRef("mac"))
            .order_by()
            .values("gateway")
            .annotate(n=Count("pk"))
            .values("n")
        )
        counted = Coalesce(Subquery(heard, output_field=IntegerField()), 0)
        return (
            super()
            .get_queryset(request)
            .defer("secret", "offered_secret", "previous_secret", "overrides")
            .annotate(sensors_heard=counted)
        )

    @admin.display(description="state")
    def state(self, gateway: Gateway) -> str:
        return gateway.state().label

    @admin.display(description="newest status")
    def status(self, gateway: Gateway) -> str:
        newest = gateway.statuses.order_by("-received_at").defer("told").first()
        if newest is None:
            return "-"
        return (
            f"{newest.received_at:%Y-%m-%d %H:%M}: firmware {newest.esp_firmware}, radio "
            f"{newest.nrf_firmware}, up {status_admin.uptime(newest)}, "
            f"{newest.connection or 'connection unknown'}, lost {newest.connections_lost or 0} "
            f"times, {newest.free_bytes or 'unknown'} bytes free"
        )

    @admin.display(description="see also")
    def beside(self, gateway: Gateway) -> str:
        pages = {
            "statuses": "gatewaystatus", "restarts": "gatewayreset",
            "served configurations": "servedconfiguration", "credentials": "credential",
        }  # fmt: skip
        links = [
            (f"{reverse(f'admin:gateways_{page}_changelist')}?gateway={gateway.pk}", name)
            for name, page in pages.items()
        ]
        return format_html_join(" · ", '<a href="{}">{}</a>', links)

    @admin.display(description="sensors heard", ordering="sensors_heard")
    def sensors_heard(self, gateway: Gateway) -> int:
        """Sensors whose newest reading came through this gateway."""
        return int(getattr(gateway, "sensors_heard"))  # noqa: B009  # annotated

    @admin.display(description="clock")
    def clock(self, gateway: Gateway) -> str:
        if gateway.clock_offset_s is None:
            return "right" if gateway.last_seen_at else "-"
        try:
            return f"off by {timedelta(seconds=gateway.clock_offset_s)}"
        except OverflowError:  # no calendar has that year
            return f"off by {gateway.clock_offset_s} s"

    def get_fields(self, request: HttpRequest, obj: Gateway | None = None) -> Any:
        return (
            WhitelistForm.Meta.fields
            if obj is None
            else ("mac", *self.readonly_fields, *self.editable)
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Gateway | None = None) -> Any:
        return () if obj is None else ("mac", *self.readonly_fields)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> Any:
        kw["form"] = WhitelistForm if obj is None else GatewayForm
        return super().get_form(request, obj, change, **kw)

    def save_model(self, request: HttpRequest, obj: Gateway, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=self.editable)  # posts change the rest meanwhile
            directory.changed(obj.mac)
        else:
            with transaction.atomic():
                Gateway.objects.get_or_create(mac=obj.mac)
                chosen = {name: form.cleaned_data[name] for name in ("group", "policy")}
                given = {name: value for name, value in chosen.items() if value}
                if given:  # one that has knocked may have its own
                    Gateway.objects.filter(mac=obj.mac).update(**given)
                services.whitelist(
                    mac=obj.mac, secret=form.cleaned_data["secret"], at=timezone.now()
                )

    @admin.action(description="Whitelist (asks for the secret)", permissions=["change"])
    def whitelist(self, request: HttpRequest, queryset: QuerySet[Gateway]) -> HttpResponse | None:
        """Ask for the secret of each chosen gateway, then whitelist those it was given for."""
        gateways = list(queryset.filter(whitelisted_at=None).select_related("group"))
        if not gateways:
            self.message_user(
                request,
                "They are whitelisted already. To change a key, blacklist first.",
                messages.WARNING,
            )
            return None
        form = secrets_form(gateways, request.POST if "confirm" in request.POST else None)
        if form.is_valid():
            self._whitelist(request, gateways, form.cleaned_data)
            return None
        return TemplateResponse(
            request,
            "admin/gateways/whitelist.html",
            {
                **self.admin_site.each_context(request),
                "title": "Whitelist gateways",
                "opts": self.opts,
                "form": form,
                "chosen": [gateway.pk for gateway in gateways],
                "checkbox_name": ACTION_CHECKBOX_NAME,
            },
        )

    def _whitelist(
        self, request: HttpRequest, gateways: list[Gateway], secrets: dict[str, str]
    ) -> None:
        for gateway in gateways:
            try:
                services.whitelist(
                    mac=gateway.mac, secret=secrets[str(gateway.mac)], at=timezone.now()
                )
            except DomainError as error:
                self.message_user(request, f"{gateway.mac}: {error.message}", messages.ERROR)
            else:
                self.log_change(request, gateway, "Whitelisted.")
                self.message_user(request, f"{gateway.mac} is whitelisted.", messages.SUCCESS)

    @admin.action(description="Blacklist (refuse its posts)", permissions=["change"])
    def blacklist(self, request: HttpRequest, queryset: QuerySet[Gateway]) -> None:
        for gateway in queryset:
            services.blacklist(mac=gateway.mac, at=timezone.now())
            self.log_change(request, gateway, "Blacklisted.")
        self.message_user(request, "Their posts are refused from now on.", messages.SUCCESS)

    @admin.action(description="Offer a new key", permissions=["change"])
    def offer_key(self, request: HttpRequest, queryset: QuerySet[Gateway]) -> None:
        for gateway in queryset.filter(whitelisted_at__isnull=False):
            services.offer_key(mac=gateway.mac, at=timezone.now())
            self.log_change(request, gateway, "Offered a new key.")
        self.message_user(
            request, "The whitelisted ones get it with the answer to their next post."
        )


def secrets_form(gateways: list[Gateway], data: Any) -> forms.Form:
    """A form with one secret field for each gateway, named by its MAC."""
    form = forms.Form(data)
    for gateway in gateways:
        form.fields[str(gateway.mac)] = forms.CharField(
            label=str(gateway.mac),
            required=gateway.must_sign(),
            help_text="" if gateway.must_sign() else "may be empty: it need not sign",
            max_length=255,
            strip=False,
            validators=[validate_secret],
            widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        )
    return form


@admin.register(NetworkRule)
class NetworkRuleAdmin(AuditedAdmin[NetworkRule]):
    """Networks that are refused. The console itself stays open to them."""

    list_display = ("network", "decision", "reason", "expires_at", "changed_at")
    list_filter = ("is_allowed",)
    search_fields = ("network", "reason")
    ordering = ("network",)
    fields = ("network", "is_allowed", "reason", "expires_at")

    @admin.display(description="decision", ordering="is_allowed")
    def decision(self, rule: NetworkRule) -> str:
        if rule.expires_at and rule.expires_at <= timezone.now():
            return "expired"
        return "may pass" if rule.is_allowed else "refused"

    def save_model(self, request: HttpRequest, obj: NetworkRule, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        networks.changed()

    def delete_model(self, request: HttpRequest, obj: NetworkRule) -> None:
        super().delete_model(request, obj)
        networks.changed()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[NetworkRule]) -> None:
        super().delete_queryset(request, queryset)
        networks.changed()
