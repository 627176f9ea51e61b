"""Shapes of what the apps send about people."""

from typing import Any

from rest_framework import serializers

from ruuvinet.lib.serializers import EmailAddress, Timestamp, WireRequest


class RegisterRequest(WireRequest):
    email = EmailAddress(required=False, default="")

    def validate_email(self, email: str) -> str:
        # A missing one too: the apps show the text for this code.
        if not email:
            EmailAddress().run_validation("")
        return email


class DeleteRequest(WireRequest):
    missing = "Missing e-mail."
    email = EmailAddress()


class SettingValue(serializers.CharField):
    """Text; numbers and booleans become text, as Android and iOS write them."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(str(data).lower() if isinstance(data, bool) else data)


class SettingRequest(WireRequest):
    missing = "Missing setting name or value."
    # A name that ends like this would be taken for the time of another.
    name = serializers.RegexField(
        r"^(?!.*_lastUpdated$)[A-Za-z0-9_\-.]+\Z", max_length=64, trim_whitespace=False
    )
    value = SettingValue(max_length=10_000, trim_whitespace=False)
    timestamp = Timestamp()


class TokenRequest(WireRequest):
    """The query of the links in mails."""

    token = serializers.CharField(required=False)
