"""Bluetooth addresses: a `bigint` in the database, `AA:BB:CC:DD:EE:FF` everywhere else."""

import re
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.forms import CharField, Field, TextInput

_SPELLING = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")


class Mac(int):
    """A 48-bit address. An `int` in arithmetic and SQL, colons and capitals as text."""

    @classmethod
    def parse(cls, text: str) -> "Mac":
        """Read `AA:BB:CC:DD:EE:FF`, in either case, also with hyphens. Raises ValueError."""
        if not _SPELLING.fullmatch(text):
            raise ValueError("a MAC address looks like AA:BB:CC:DD:EE:FF")
        return cls(text.replace(":", "").replace("-", ""), 16)

    def __str__(self) -> str:
        digits = f"{int(self):012X}"
        return ":".join(digits[i : i + 2] for i in range(0, 12, 2))

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


if TYPE_CHECKING:
    _MacBase = models.BigIntegerField[Mac | int | str, Mac]
else:
    _MacBase = models.BigIntegerField


class MacField(_MacBase):
    """Stores a `Mac`. Accepts a `Mac`, an `int` or any spelling that `Mac.parse` reads."""

    def from_db_value(self, value: int | None, *_: object) -> Mac | None:
        return None if value is None else Mac(value)

    def to_python(self, value: Any) -> Mac | None:
        if value is None or isinstance(value, Mac):
            return value
        if isinstance(value, int):
            return Mac(value)
        try:
            return Mac.parse(str(value).strip())
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from error

    def get_prep_value(self, value: Any) -> int | None:
        mac = self.to_python(value)
        return None if mac is None else int(mac)

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.value_from_object(obj))

    def formfield(self, **kwargs: Any) -> Field | None:
        # Text, although the admin would give a number field to whatever is stored as one.
        text = {"form_class": CharField, "widget": TextInput}
        return models.Field.formfield(self, **{**kwargs, **text})
