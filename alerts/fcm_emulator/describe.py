"""An accepted push, for people to read."""

import json
from datetime import datetime
from typing import Any


def describe(message: dict[str, Any], *, received_at: datetime) -> str:
    """Two lines: when, to what and the visible text; then the sensor and its numbers."""
    platform, shown, data = _open_push(message)
    texts = [str(shown.get(name) or "") for name in ("title", "body", "subtitle")]
    first = f"{received_at:%H:%M:%S}Z {platform}: " + " | ".join(filter(None, texts))
    second = (
        f"    {data.get('name')} {data.get('id')}: {data.get('alertType')} {data.get('triggerType')}"
        f" ({data.get('currentValue')} / {data.get('thresholdValue')} {data.get('alertUnit')})"
    )
    lines = [first, second] if "alertType" in data else [first]
    # A sensor's name is a stranger's text: it must not steer the terminal.
    return "\n".join("".join(c if c.isprintable() else "�" for c in line) for line in lines)


def _open_push(message: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The platform, its visible texts, and the alert's fields, empty if there are none."""
    data: dict[str, Any] = message.get("data") or {}
    if message.get("apns"):
        alert = ((message["apns"].get("payload") or {}).get("aps") or {}).get("alert")
        shown = alert if isinstance(alert, dict) else message.get("notification")
        return "iOS", shown or {}, data
    try:
        inner = json.loads(next(iter(data.values()), ""))["GCM"]["data"]
        return "Android", dict(inner), dict(inner)
    except (ValueError, KeyError, TypeError, RecursionError):
        return "other", message.get("notification") or {}, data
