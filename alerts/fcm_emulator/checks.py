"""Google's checks of one JSON value: each is told the value and the name of its field."""

import json
import re
from collections.abc import Callable
from typing import Any

from alerts.fcm_emulator.refusals import invalid

Check = Callable[[Any, str], None]  # raises Refused


def _typed(kind: str, fits: Callable[[Any], bool]) -> Check:
    def check(value: Any, where: str) -> None:
        if not fits(value):
            raise invalid(where, f"Invalid value at '{where}' ({kind}), {json.dumps(value)}")

    return check


def one_of(*names: str) -> Check:
    return _typed("ENUM", lambda value: value in names)


text = _typed("TYPE_STRING", lambda value: isinstance(value, str))
flag = _typed("TYPE_BOOL", lambda value: isinstance(value, bool))
count = _typed("TYPE_INT32", lambda value: type(value) is int)
struct = _typed("Struct", lambda value: isinstance(value, dict))
duration = _typed(
    "Duration",
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"[0-9]+(\.[0-9]{1,9})?s", value)),
)


def list_of(each: Check) -> Check:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise invalid(where, f"Proto field is not repeating, cannot start list at '{where}'")
        for index, item in enumerate(value):
            each(item, f"{where}[{index}]")

    return check


def string_map(value: Any, where: str) -> None:
    struct(value, where)
    for index, item in enumerate(value.values()):
        text(item, f"{where}[{index}].value")


def record(**fields: Check) -> Check:
    """An object with no other fields than these, spelled with underscores or in camelCase."""

    def check(value: Any, where: str) -> None:
        struct(value, where)
        for name, item in value.items():
            field = fields.get(re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name))
            if field is None:
                raise invalid(
                    where,
                    f'Invalid JSON payload received. Unknown name "{name}" at '
                    f"'{where}': Cannot find field.",
                )
            if item is not None:  # null is the same as absent
                field(item, f"{where}.{name}" if where else name)

    return check
