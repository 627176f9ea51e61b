"""Shapes of plans and codes on the wire."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from rest_framework import serializers

from ruuvinet.lib.api import InvalidFormat, MissingArgument
from ruuvinet.lib.serializers import WireRequest
from subscriptions.codes import normal_code
from subscriptions.models import (
    MAX_CLAIMS,
    MAX_DAYS,
    MAX_RESOLUTION_MINUTES,
    MAX_SHARES,
    MAX_SHARES_PER_SENSOR,
    Code,
    Subscription,
)

# What the shop calls the numbers of an allowance.
WIRE_NAMES = {
    "subscriptionName": "name",
    "maxClaims": "max_claims",
    "maxShares": "max_shares",
    "maxSharesPerSensor": "max_shares_per_sensor",
    "maxHistoryDays": "max_history_days",
    "maxResolutionMinutes": "max_resolution_minutes",
}


class ClaimCode(serializers.CharField):
    """A code, kept as the caller wrote it, since answers echo it."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            normal_code(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return text


def _whole(low: int, high: int, **options: Any) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=low, max_value=high, **options)


class SubscriptionRegisterRequest(serializers.Serializer[None]):
    """What was paid for. Numbers may be text; unknown keys are ignored."""

    validDays = _whole(1, MAX_DAYS)
    maxClaims = _whole(1, MAX_CLAIMS)
    maxShares = _whole(0, MAX_SHARES, required=False, allow_null=True)
    maxSharesPerSensor = _whole(0, MAX_SHARES_PER_SENSOR, required=False, allow_null=True)
    maxHistoryDays = _whole(0, MAX_DAYS)
    maxResolutionMinutes = _whole(1, MAX_RESOLUTION_MINUTES)
    subscriptionName = serializers.CharField(
        max_length=64, required=False, allow_null=True, allow_blank=True
    )
    claimCode = ClaimCode()
    creatorId = serializers.CharField(
        max_length=255, required=False, allow_null=True, allow_blank=True
    )

    def to_internal_value(self, data: Any) -> Any:
        """Raises MissingArgument and InvalidFormat, which name every field at fault."""
        if isinstance(data, Mapping):
            required = [name for name, field in self.fields.items() if field.required]
            missing = [name for name in required if data.get(name) in (None, "")]
            if missing:
                raise MissingArgument(f"Missing: {', '.join(missing)}")
        try:
            return super().to_internal_value(data)
        except serializers.ValidationError as error:
            by_field = cast("dict[str, list[str]]", error.detail)
            faults = [f"{name}: {reasons[0]}" for name, reasons in by_field.items()]
            raise InvalidFormat(" ".join(faults)) from error

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Fill in the defaults."""
        given = {name: value for name, value in attrs.items() if value not in (None, "")}
        filled: dict[str, Any] = {
            "maxSharesPerSensor": 10,
            "subscriptionName": "Ultimate",
            "creatorId": "",
        } | given
        product = filled["maxClaims"] * filled["maxSharesPerSensor"]
        return {"maxShares": product} | filled


class ClaimCodeRequest(WireRequest):
    """A code that a person typed."""

    code = serializers.CharField()

    def run_validation(self, data: Any = serializers.empty) -> Any:
        try:
            asked = super().run_validation(data)
            normal_code(asked["code"])
        except (serializers.ValidationError, MissingArgument, ValueError) as error:
            raise InvalidFormat("Invalid request format.") from error
        return asked


def allowance_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an allowance out of a validated SubscriptionRegisterRequest."""
    return {field: asked[name] for name, field in WIRE_NAMES.items()}


def code_body(code: Code, *, text: str) -> dict[str, Any]:
    """What was stored, with the code as the caller wrote it."""
    return {
        "validDays": code.valid_days,
        **{name: getattr(code, field) for name, field in WIRE_NAMES.items()},
        "claimCode": text,
        "creatorId": code.creator_id,
    }


def subscription_body(subscription: Subscription, *, is_active: bool) -> dict[str, Any]:
    """An item of `GET /subscription`; times in Unix seconds, `endTime` null without an end."""
    days = subscription.valid_days
    return {
        **{name: getattr(subscription, field) for name, field in WIRE_NAMES.items()},
        "isActive": is_active,
        "startTime": _unix(subscription.starts_at),
        "endTime": _unix(subscription.ends_at),
        **({} if days is None else {"validDays": days}),
    }


def _unix(at: datetime | None) -> int | None:
    return int(at.timestamp()) if at else None
