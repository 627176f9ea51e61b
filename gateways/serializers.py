"""Shapes of the internal API."""

from rest_framework import serializers

from ruuvinet.lib.mac import Mac
from sensors.secret import digits_of


class MacAddress(serializers.CharField):
    """A MAC in any spelling, kept as the caller wrote it, since answers echo it."""

    def to_internal_value(self, data: str) -> str:
        text = super().to_internal_value(data)
        try:
            Mac.parse(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return text


class StrictSerializer(serializers.Serializer[None]):
    """Refuses keys that it does not know: a typing error must not pass as success."""

    def to_internal_value(self, data: object) -> dict[str, object]:
        unknown = set(data) - set(self.fields) if isinstance(data, dict) else set()
        if unknown:
            # As repr(): a key may hold what no answer can be encoded with.
            names = ", ".join(repr(key[:40]) for key in sorted(unknown)[:5])
            raise serializers.ValidationError({"non_field_errors": [f"unknown keys: {names}"]})
        return super().to_internal_value(data)  # type: ignore[no-any-return]


class WhitelistRequest(StrictSerializer):
    macAddress = MacAddress()
    # Taken literally: it is the text of a key, so that a space at its end would count.
    secret = serializers.CharField(max_length=255, trim_whitespace=False)


class BlacklistRequest(StrictSerializer):
    macAddress = MacAddress()


class SensorSecret(serializers.CharField):
    """Eight bytes in hex."""

    def to_internal_value(self, data: str) -> str:
        text = super().to_internal_value(data)
        try:
            digits_of(text)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return text


class RegisterSensorRequest(StrictSerializer):
    macAddress = MacAddress()
    secret = SensorSecret()
