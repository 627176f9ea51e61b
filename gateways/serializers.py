"""Shapes of the internal API."""

import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework import serializers

from ruuvinet.lib.api import InvalidFormat
from ruuvinet.lib.http import normal_network
from ruuvinet.lib.mac import Mac
from sensors.secret import digits_of

LATEST_UNIX_S = 2**31 - 1  # January 2038, the end of many clocks
MAX_GATEWAYS = 10_000  # in one call; imports take more


class MacAddress(serializers.CharField):
    """A MAC in any spelling, kept as the caller wrote it, since answers echo it."""

    def to_internal_value(self, data: str) -> str:
        text = super().to_internal_value(data)
        try:
            Mac.parse(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return text


class IpAddress(serializers.CharField):
    """An address or a network in CIDR form, kept as the caller wrote it."""

    def to_internal_value(self, data: str) -> str:
        text = super().to_internal_value(data)
        try:
            normal_network(text)
        except ValueError as error:
            raise serializers.ValidationError("no address and no network") from error
        return text


class SensorSecret(serializers.CharField):
    """Eight bytes in hex."""

    def to_internal_value(self, data: str) -> str:
        text = super().to_internal_value(data)
        try:
            digits_of(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return text


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses keys that it does not know: a typing error must not pass as success."""

    def to_internal_value(self, data: object) -> Any:
        unknown = set(data) - set(self.fields) if isinstance(data, dict) else set()
        if unknown and settings.INTERNAL_REFUSE_UNKNOWN_KEYS:
            # As repr(): a key may hold what no answer can be encoded with.
            names = ", ".join(repr(key[:40]) for key in sorted(unknown)[:5])
            raise serializers.ValidationError({"non_field_errors": [f"unknown keys: {names}"]})
        return super().to_internal_value(data)


class WhitelistRequest(StrictSerializer):
    macAddress = MacAddress()
    # Taken literally: it is the text of a key, so that a space at its end would count.
    secret = serializers.CharField(max_length=255, trim_whitespace=False)


class BlacklistRequest(StrictSerializer):
    macAddress = MacAddress()


class NetworkRequest(StrictSerializer):
    """In place of a gateway: never both, whatever becomes of unknown keys."""

    ipAddress = IpAddress(max_length=64)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=255)
    expiresAt = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=LATEST_UNIX_S
    )

    def validate_expiresAt(self, expires_at: int | None) -> int | None:
        if expires_at is not None and expires_at <= time.time():
            raise serializers.ValidationError("is over already")
        return expires_at

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "macAddress" in self.initial_data:
            raise serializers.ValidationError("either macAddress or ipAddress")
        return attrs


class RegisterSensorRequest(StrictSerializer):
    macAddress = MacAddress()
    secret = SensorSecret()


def names_network(data: object) -> bool:
    return isinstance(data, Mapping) and "ipAddress" in data


def read_gateways(data: list[object]) -> dict[str, str]:
    """Secrets by MAC as written, of a list of WhitelistRequest. Raises InvalidFormat."""
    if not 1 <= len(data) <= MAX_GATEWAYS:
        raise InvalidFormat(f"A list has 1 to {MAX_GATEWAYS} gateways.")
    secrets: dict[str, str] = {}
    seen: set[Mac] = set()
    shape = WhitelistRequest()
    for place, entry in enumerate(data):
        try:
            asked = shape.run_validation(entry)
        except serializers.ValidationError as error:
            fields = ", ".join(str(name) for name in error.get_full_details())
            raise InvalidFormat(f"Entry {place}: {fields}") from error
        mac = Mac.parse(asked["macAddress"])
        if mac in seen:
            raise InvalidFormat(f"Entry {place}: {mac} is listed twice.")
        seen.add(mac)
        secrets[asked["macAddress"]] = asked["secret"]
    return secrets
