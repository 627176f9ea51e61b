"""Shapes that bodies and queries of the user API are made of."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from ruuvinet.lib.api import MissingArgument
from ruuvinet.lib.mac import Mac

MAX_UNIX = 2**63 - 1


class WireRequest(serializers.Serializer[Any]):
    """A body or query: keys that it does not know are ignored, null is the same as absent.

    A required field that is missing or empty is told as `missing`, ER_MISSING_ARGUMENT.
    """

    missing = "Missing argument."

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            data = {name: value for name, value in data.items() if value is not None}
            if any(f.required and data.get(name, "") == "" for name, f in self.fields.items()):
                raise MissingArgument(self.missing)
        return super().to_internal_value(data)


class EmailAddress(serializers.EmailField):
    """An address in lower case, as it is stored and answered everywhere."""

    def __init__(self, *, refusal: str = "Invalid e-mail address.", **kwargs: Any) -> None:
        super().__init__(max_length=254, **kwargs)
        self.refusal = refusal

    def run_validation(self, data: Any = serializers.empty) -> Any:
        try:
            if data is not serializers.empty and not isinstance(data, str):
                self.fail("invalid")
            address = super().run_validation(data)
            # Letters whose small form is longer exist, and databases disagree about some.
            if isinstance(address, str) and not address.isascii():
                self.fail("invalid")
        except serializers.ValidationError as error:
            raise serializers.ValidationError(
                self.refusal, code="ER_INVALID_EMAIL_ADDRESS"
            ) from error
        return address.lower() if isinstance(address, str) else address


class MacAddress(serializers.CharField):
    """A `Mac`, read from any spelling."""

    def __init__(
        self,
        *,
        refusal: str = "Invalid MAC address format",
        code: str = "ER_INVALID_MAC_ADDRESS",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.refusal, self.code = refusal, code

    def run_validation(self, data: Any = serializers.empty) -> Any:
        try:
            text = super().run_validation(data)
            return Mac.parse(text) if isinstance(text, str) else text
        except (serializers.ValidationError, ValueError) as error:
            raise serializers.ValidationError(self.refusal, code=self.code) from error

    def to_representation(self, value: Any) -> str:
        return str(Mac(value))


class Timestamp(serializers.IntegerField):
    """When the client made an edit, Unix seconds.

    Milliseconds lie far in the future, which `ruuvinet.lib.edits` takes for now.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": 0, "max_value": MAX_UNIX, "required": False, **kwargs})
