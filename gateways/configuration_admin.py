"""Editing configurations with their secrets masked, and the versions that were served."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.console import ModelAdmin, ReadOnly
from gateways import configuration
from gateways.models import Gateway, GatewayGroup, ServedConfiguration

HELP = _(
    "JSON with the keys of a gateway's ruuvi.json. Secrets are shown as ******** and kept unless "
    "another is written. Credentials that may be filled in need not be written here."
)


def configuration_field(label: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        strip=False,
        help_text=HELP,
        widget=forms.Textarea(
            attrs={"rows": 16, "cols": 90, "spellcheck": "false", "style": "font-family: monospace"}
        ),
    )


def shown(stored: str) -> str:
    """A stored configuration with its secrets masked."""
    return json.dumps(configuration.masked(json.loads(stored)), indent=2) if stored else ""


def configuration_shown(stored: str) -> str:
    """`shown` for those who may not edit it."""
    return format_html("<pre>{}</pre>", shown(stored))


def saved(typed: str, stored: str) -> str:
    """What to store for a configuration as it was edited. Raises ValidationError."""
    try:
        document = configuration.unmasked(configuration.parse(typed), json.loads(stored or "{}"))
    except ValueError as error:
        raise forms.ValidationError(str(error)) from error
    return json.dumps(document) if document else ""


class GroupForm(forms.ModelForm[GatewayGroup]):
    template = configuration_field(_("Configuration"))

    class Meta:
        model = GatewayGroup
        fields = ("name", "policy", "period_s", "is_fallback", "template")
        help_texts = {
            "policy": _("empty: the setting GATEWAY_POLICY"),
            "period_s": _("seconds between posts, 1 to 3600; empty: the setting GATEWAY_RATE_S"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored = self.instance.template
        self.initial["template"] = shown(self.stored)

    def clean_template(self) -> str:
        return saved(self.cleaned_data["template"], self.stored)


class GatewayForm(forms.ModelForm[Gateway]):
    overrides = configuration_field(_("Configuration of its own"))

    class Meta:
        model = Gateway
        fields = ("name", "group", "policy", "period_s", "overrides")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored = self.instance.overrides
        self.initial["overrides"] = shown(self.stored)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        chosen = Gateway(group=cleaned.get("group"), policy=cleaned.get("policy") or "")
        if self.instance.whitelisted_at and not self.instance.secret and chosen.must_sign():
            raise forms.ValidationError(
                gettext(
                    "It was whitelisted without a key, so it cannot sign: blacklist it, then "
                    "whitelist it with its key."
                )
            )
        return cleaned

    def clean_overrides(self) -> str:
        return saved(self.cleaned_data["overrides"], self.stored)


@admin.register(ServedConfiguration)
class ServedConfigurationAdmin(ReadOnly, ModelAdmin[ServedConfiguration]):
    list_display = ("of", "version", "first_served_at", "last_served_at", "times")
    list_select_related = ("group",)
    list_filter = ("group",)
    search_fields = ("gateway__name", "group__name")
    ordering = ("-last_served_at",)
    fields = ("of", "version", "first_served_at", "last_served_at", "times", "content")
    readonly_fields = ("of", "content")

    @admin.display(description=_("of"))
    def of(self, served: ServedConfiguration) -> str:
        return str(served.owner)

    @admin.display(description=_("document"))
    def content(self, served: ServedConfiguration) -> str:
        return configuration_shown(served.document)
