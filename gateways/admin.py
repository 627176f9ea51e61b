"""The gateways page of the console."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from unfold.decorators import action, display

from accounts.console import AuditedAdmin, MacSearch, answered, charts, mac_or_404
from gateways import (  # noqa: F401  # their pages too
    advice,
    configuration_admin,
    credential_admin,
    directory,
    lists,
    networks,
    selectors,
    services,
    status_admin,
)
from gateways.configuration_admin import GatewayForm, configuration_shown
from gateways.lists import Fate
from gateways.models import Credential, Gateway, NetworkRule, validate_secret
from ruuvinet.lib.api import DomainError
from ruuvinet.lib.crypto import decrypted, fernet
from sensors.models import Latest

KEY_HELP = _(
    "The key that signs the gateway's posts: the device id printed on its bottom, such as "
    "40:98:A7:78:58:1A:E1:38, unless another was set. It is stored encrypted and never shown. "
    "May be empty where a credential or a certificate is enough."
)


NEEDED = _("This gateway must sign: its key is needed.")
HEARD_SHOWN = 100  # as many as a gateway posts at once
RECENT = 5
SPANS = {"week": _("Week"), "day": _("Day"), "month": _("Month")}
MAX_LIST_BYTES = 500_000


class WhitelistForm(forms.ModelForm[Gateway]):
    """Adds a whitelisted gateway. The secret can be written, never read."""

    secret = forms.CharField(
        label=_("Key"),
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
            raise ValidationError(gettext("This gateway is whitelisted already."))
        return mac

    def validate_unique(self) -> None:
        """A gateway that has knocked has a row already, which whitelisting takes over."""


LIST_HELP = _(
    "Each line is an address, the key printed on the bottom of the gateway, and perhaps a name, "
    "separated by commas. You see what will happen before anything does."
)


class ListForm(forms.Form):
    """A list of gateways, as a file or pasted; `text` and `lines` once it is valid."""

    file = forms.FileField(label=_("CSV file"), required=False)
    pasted = forms.CharField(
        label=_("Or paste it"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        file = cleaned.get("file")
        if file and file.size > MAX_LIST_BYTES:
            raise ValidationError(_("This file is too large for a list of gateways."))
        try:
            self.text = file.read().decode() if file else cleaned.get("pasted", "")
            self.lines = lists.preview(self.text)
        except UnicodeDecodeError as error:
            raise ValidationError(_("This file is not UTF-8 text.")) from error
        except ValueError as error:
            raise ValidationError(str(error)) from error
        if not self.lines:
            raise ValidationError(_("There is no gateway in it."))
        return cleaned


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, str(words)) for value, words in selectors.STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Gateway]) -> QuerySet[Gateway]:
        conditions, chosen = selectors.conditions(timezone.now()), self.value()
        return queryset.filter(conditions[chosen]) if chosen in conditions else queryset


@admin.register(Gateway)
class GatewayAdmin(MacSearch, AuditedAdmin[Gateway]):
    list_display = (
        "mac",
        "name",
        "state",
        "sensors_heard",
        "last_seen_at",
        "rejected_at",
        "rejection",
        "rejected_address",
        "clock",
    )
    search_fields = ("name", "group__name")
    search_help_text = _("an address, its last four digits, a name or a group")
    list_filter = (StateFilter, "rejection", "group", "key_state")
    editable = ("name", "group", "policy", "period_s", "overrides")
    ordering = ("-last_seen_at", "-rejected_at")
    actions = ("whitelist", "blacklist", "offer_key")
    actions_list = ("import_csv",)
    actions_detail = ("whitelist_one",)
    change_form_outer_before_template = "admin/gateways/gateway.html"
    list_select_related = ("group",)
    readonly_fields = (
        "state",
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

    @display(  # type: ignore[untyped-decorator]  # unfold ships no types
        description=_("state"),
        label={"whitelisted": "success", "waiting": "info", "silent": "danger"},
    )
    def state(self, gateway: Gateway) -> str:
        return str(gateway.state().label)

    @admin.display(description=_("see also"))
    def beside(self, gateway: Gateway) -> str:
        pages = {
            gettext("statuses"): "gatewaystatus", gettext("restarts"): "gatewayreset",
            gettext("served configurations"): "servedconfiguration",
            gettext("credentials"): "credential",
        }  # fmt: skip
        links = [
            (f"{reverse(f'admin:gateways_{page}_changelist')}?gateway={gateway.pk}", name)
            for name, page in pages.items()
        ]
        return format_html_join(" · ", '<a href="{}">{}</a>', links)

    @admin.display(description=_("sensors heard"), ordering="sensors_heard")
    def sensors_heard(self, gateway: Gateway) -> int:
        """Sensors whose newest reading came through this gateway."""
        return int(getattr(gateway, "sensors_heard"))  # noqa: B009  # annotated

    @admin.display(description=_("configuration of its own"))
    def configuration(self, gateway: Gateway) -> str:
        return configuration_shown(gateway.overrides)

    @admin.display(description=_("clock"))
    def clock(self, gateway: Gateway) -> str:
        if gateway.clock_offset_s is None:
            return gettext("right") if gateway.last_seen_at else "-"
        try:
            return gettext("off by %s") % timedelta(seconds=gateway.clock_offset_s)
        except OverflowError:  # no calendar has that year
            return gettext("off by %d s") % gateway.clock_offset_s

    def get_fieldsets(self, request: HttpRequest, obj: Gateway | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": WhitelistForm.Meta.fields})]
        seen: tuple[str, ...] = self.editable
        if not self.has_change_permission(request, obj):  # the form would mask its secrets
            seen = (*(name for name in seen if name != "overrides"), "configuration")
        return [
            (None, {"fields": ("mac", *seen)}),
            (_("All that is known"), {"fields": self.readonly_fields, "classes": ["collapse"]}),
        ]

    def get_urls(self) -> list[URLPattern]:
        show = self.admin_site.admin_view(require_safe(self.charts))
        return [path("<mac>/charts", show, name="gateways_gateway_charts"), *super().get_urls()]

    def charts(self, request: HttpRequest, mac: str) -> HttpResponse:
        """What a gateway told about itself, as JSON for the charts of its page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        gateway = mac_or_404(mac)
        return charts(
            request,
            spans=list(SPANS),
            now=int(timezone.now().timestamp()),
            draw=lambda since, until: selectors.status_history(
                gateway, datetime.fromtimestamp(since, UTC)
            ),
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        gateway = self.get_object(request, object_id)
        page = {"page": self._page(gateway)} if gateway else {}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | page)

    def _page(self, gateway: Gateway) -> dict[str, Any]:
        """What stands above the form. A fixed number of queries."""
        now = timezone.now()
        heard = Latest.objects.filter(gateway=gateway.mac).order_by("-rssi_dbm")[:HEARD_SHOWN]
        return {
            "advice": advice.about(gateway, now),
            "refused": advice.recently_refused(gateway, now),
            "period": advice.period(gateway),
            "policy": advice.policy(gateway),
            "clock": self.clock(gateway),
            "status": gateway.statuses.order_by("-received_at").defer("told").first(),
            "resets": gateway.resets.order_by("-seen_at").defer("info")[:RECENT],
            "credentials": Credential.objects.of(gateway).active(now).defer("secret", "digest"),
            "served": gateway.servedconfiguration_set.order_by("-version").defer("document")[
                :RECENT
            ],
            "heard": [(latest, advice.reception(latest.rssi_dbm)) for latest in heard],
            "charts": reverse("admin:gateways_gateway_charts", args=[gateway.mac]),
            "ranges": SPANS.items(),
        }

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

    @admin.action(description=_("Whitelist (asks for the secret)"), permissions=["change"])
    def whitelist(self, request: HttpRequest, queryset: QuerySet[Gateway]) -> HttpResponse | None:
        """Ask for the secret of each chosen gateway, then whitelist those it was given for."""
        gateways = list(queryset.filter(whitelisted_at=None).select_related("group"))
        if not gateways:
            self.message_user(
                request,
                gettext("They are whitelisted already. To change a key, blacklist first."),
                messages.WARNING,
            )
            return None
        form = secrets_form(gateways, answered(request))
        if form.is_valid():
            self._whitelist(request, gateways, form.cleaned_data)
            return None
        return self.ask(
            request,
            form,
            action="whitelist",
            title=gettext("Whitelist gateways"),
            button=gettext("Whitelist"),
            chosen=gateways,
            explanation=KEY_HELP,
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
                self.message_user(
                    request, gettext("%s is whitelisted.") % gateway.mac, messages.SUCCESS
                )

    @action(  # type: ignore[untyped-decorator]  # unfold ships no types
        description=_("Whitelist"), icon="check", url_path="whitelist", permissions=["change"]
    )
    def whitelist_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for the key of one gateway, then whitelist it."""
        gateway = self.get_object(request, object_id)
        if gateway is None:
            raise Http404
        form = secrets_form([gateway], answered(request))
        if gateway.whitelisted_at is None and not form.is_valid():
            return self.ask(
                request,
                form,
                action="",
                title=gettext("Whitelist gateway"),
                button=gettext("Whitelist"),
                chosen=[gateway],
                explanation=KEY_HELP,
            )
        if gateway.whitelisted_at is None:
            self._whitelist(request, [gateway], form.cleaned_data)
        return redirect("admin:gateways_gateway_change", gateway.pk)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        """No way to whitelist what is whitelisted."""
        found = super().get_actions_detail(request, object_id)  # type: ignore[misc]  # unfold's
        gateway = self.get_object(request, str(object_id))
        return found if gateway and not gateway.whitelisted_at else []

    @action(  # type: ignore[untyped-decorator]  # unfold ships no types
        description=_("Whitelist from CSV"), icon="upload_file", url_path="import",
        permissions=["change"],
    )  # fmt: skip
    def import_csv(self, request: HttpRequest) -> HttpResponse:
        """Ask for a list, show what it would do, and do that after another click."""
        if sealed := request.POST.get("sealed"):
            return self._import(request, decrypted(sealed))
        form = ListForm(answered(request), request.FILES or None)
        asked = partial(
            self.ask, request, action="", chosen=[], title=gettext("Whitelist from CSV"),
            template="admin/gateways/import.html",
        )  # fmt: skip
        if not form.is_valid():
            return asked(form, button=gettext("Show what will happen"), explanation=LIST_HELP)
        doing = sum(line.fate in (Fate.WHITELIST, Fate.NAME) for line in form.lines)
        if not doing:
            form.add_error(None, gettext("Nothing of this can be done."))
            return asked(
                form, button=gettext("Show what will happen"), explanation=LIST_HELP,
                lines=form.lines,
            )  # fmt: skip
        return asked(
            forms.Form(),
            button=gettext("Do this"),
            explanation=gettext("Nothing is done yet."),
            lines=form.lines,
            # What was shown is what is done; keys go through the page only encrypted.
            sealed=fernet().encrypt(form.text.encode()).decode(),
        )

    def _import(self, request: HttpRequest, text: str) -> HttpResponse:
        lines = lists.confirm(text, timezone.now())
        done = [line.mac for line in lines if line.mac and line.fate == Fate.WHITELIST]
        for mac in done:
            self.note(request, "Whitelisted from a list.", Gateway(mac=mac))
        self.message_user(
            request, gettext("%d gateways are whitelisted.") % len(done), messages.SUCCESS
        )
        if left := sum(line.fate == Fate.FAULT for line in lines):
            self.message_user(request, gettext("%d lines were left out.") % left, messages.WARNING)
        return redirect("admin:gateways_gateway_changelist")

    @admin.action(description=_("Blacklist (refuse its posts)"), permissions=["change"])
    def blacklist(self, request: HttpRequest, queryset: QuerySet[Gateway]) -> None:
        for gateway in queryset:
            services.blacklist(mac=gateway.mac, at=timezone.now())
            self.log_change(request, gateway, "Blacklisted.")
        self.message_user(
            request, gettext("Their posts are refused from now on."), messages.SUCCESS
        )

    @admin.action(description=_("Offer a new key"), permissions=["change"])
    def offer_key(self, request: HttpRequest, queryset: QuerySet[Gateway]) -> None:
        for gateway in queryset.filter(whitelisted_at__isnull=False):
            services.offer_key(mac=gateway.mac, at=timezone.now())
            self.log_change(request, gateway, "Offered a new key.")
        self.message_user(
            request, gettext("The whitelisted ones get it with the answer to their next post.")
        )


def secrets_form(gateways: list[Gateway], data: Any) -> forms.Form:
    """A form with one secret field for each gateway, named by its MAC."""
    form = forms.Form(data)
    for gateway in gateways:
        form.fields[str(gateway.mac)] = forms.CharField(
            label=str(gateway.mac),
            required=gateway.must_sign(),
            help_text="" if gateway.must_sign() else gettext("may be empty: it need not sign"),
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

    @admin.display(description=_("decision"), ordering="is_allowed")
    def decision(self, rule: NetworkRule) -> str:
        if rule.expires_at and rule.expires_at <= timezone.now():
            return gettext("expired")
        return gettext("may pass") if rule.is_allowed else gettext("refused")

    def save_model(self, request: HttpRequest, obj: NetworkRule, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        networks.changed()

    def delete_model(self, request: HttpRequest, obj: NetworkRule) -> None:
        super().delete_model(request, obj)
        networks.changed()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[NetworkRule]) -> None:
        super().delete_queryset(request, queryset)
        networks.changed()
