"""The pages of groups and credentials. A secret is shown once, when it is made."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.console import AuditedAdmin
from gateways import directory
from gateways.configuration_admin import GroupForm, configuration_shown
from gateways.credentials import new_credential, revoke
from gateways.models import Credential, GatewayGroup


class CredentialForm(forms.ModelForm[Credential]):
    """Makes a credential; what is typed can be written, never read."""

    secret = forms.CharField(
        required=False,
        max_length=255,
        strip=False,
        label=_("Secret"),
        help_text=_(
            "empty: the console makes 256 random bits. Of a certificate: its SHA-256 "
            "fingerprint, or its subject as the proxy tells it"
        ),
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    is_readable = forms.BooleanField(
        label=_("Filled in by remote configuration"),
        required=False,
        help_text=_("keeps it encrypted instead of as a SHA-256, so that it can be served"),
    )

    class Meta:
        model = Credential
        fields = ("kind", "purpose", "gateway", "group", "name", "expires_at")
        help_texts = {
            "gateway": _("its MAC address; or"),
            "group": _("each of its gateways: choose one of the two"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["gateway"].widget.attrs["class"] = "vTextField"  # a MAC is longer than an id

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                self.instance = new_credential(**cleaned, at=timezone.now())
            except ValueError as error:
                raise forms.ValidationError(str(error)) from error
        return cleaned


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", gettext("active")), ("past", gettext("revoked or expired"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Credential]) -> Any:
        active = Credential.objects.active(timezone.now())
        match self.value():
            case "active":
                return queryset.filter(pk__in=active)
            case "past":
                return queryset.exclude(pk__in=active)
        return queryset


@admin.register(Credential)
class CredentialAdmin(AuditedAdmin[Credential]):
    list_display = (
        "kind", "belongs_to", "name", "purpose", "state", "last_used_at", "last_used_address",
        "created_at", "expires_at",
    )  # fmt: skip
    search_fields = ("name", "gateway__name", "group__name")
    list_filter = (StateFilter, "kind", "purpose", "group")
    list_select_related = ("group",)
    ordering = ("-created_at",)
    raw_id_fields = ("gateway",)
    actions = ("revoke",)
    shown = (
        "kind", "belongs_to", "purpose", "name", "state", "created_at", "revoked_at",
        "last_used_at", "last_used_address",
    )  # fmt: skip

    @admin.display(description=_("of"), ordering="group")
    def belongs_to(self, credential: Credential) -> str:
        return str(credential.owner)

    @admin.display(description=_("state"))
    def state(self, credential: Credential) -> str:
        if credential.revoked_at:
            return gettext("revoked")
        is_past = credential.expires_at and credential.expires_at <= timezone.now()
        return gettext("expired") if is_past else gettext("active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        return super().get_queryset(request).defer("secret", "digest")

    def get_fields(self, request: HttpRequest, obj: Credential | None = None) -> Any:
        if obj is not None:
            return (*self.shown, "expires_at")
        return (
            "kind", "purpose", "gateway", "group", "name", "secret", "is_readable", "expires_at",
        )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Credential | None = None) -> Any:
        return () if obj is None else self.shown

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> Any:
        if obj is None:
            kw["form"] = CredentialForm
            kw["fields"] = CredentialForm.Meta.fields
        return super().get_form(request, obj, change, **kw)

    def save_model(self, request: HttpRequest, obj: Credential, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["expires_at"])
        else:
            super().save_model(request, obj, form, change)
        directory.changed()

    def response_add(
        self, request: HttpRequest, obj: Credential, post_url_continue: str | None = None
    ) -> HttpResponse:
        return TemplateResponse(
            request,
            "admin/gateways/credential.html",
            {
                **self.admin_site.each_context(request),
                "title": gettext("Credential made"),
                "opts": self.opts,
                "credential": obj,
                "secret": obj.shown_once,
            },
        )

    @admin.action(description=_("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        for credential in queryset:
            revoke(credential, timezone.now())
            self.log_change(request, credential, "Revoked.")
        self.message_user(request, gettext("They let nobody in any more."), messages.SUCCESS)

    def delete_model(self, request: HttpRequest, obj: Credential) -> None:
        super().delete_model(request, obj)
        directory.changed()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        super().delete_queryset(request, queryset)
        directory.changed()


@admin.register(GatewayGroup)
class GatewayGroupAdmin(AuditedAdmin[GatewayGroup]):
    form = GroupForm
    list_display = ("name", "policy", "period_s", "is_fallback")
    list_filter = ("policy",)
    search_fields = ("name",)
    ordering = ("name",)

    def get_fields(self, request: HttpRequest, obj: GatewayGroup | None = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return GroupForm.Meta.fields
        # The form would mask the secrets in it.
        return tuple(n if n != "template" else "configuration" for n in GroupForm.Meta.fields)

    @admin.display(description=_("configuration"))
    def configuration(self, group: GatewayGroup) -> str:
        return configuration_shown(group.template)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        directory.changed()

    def delete_model(self, request: HttpRequest, obj: GatewayGroup) -> None:
        super().delete_model(request, obj)
        directory.changed()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[GatewayGroup]) -> None:
        super().delete_queryset(request, queryset)
        directory.changed()
