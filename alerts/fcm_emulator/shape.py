"""The request of FCM v1's `messages:send`, and the limits it must keep."""

import json
from typing import Any

from alerts.fcm_emulator.checks import (
    count,
    duration,
    flag,
    list_of,
    one_of,
    record,
    string_map,
    struct,
    text,
)
from alerts.fcm_emulator.refusals import Refused, invalid

_LARGEST_PAYLOAD_BYTES = 4096  # what FCM and Apple allow


def _data(value: Any, where: str) -> None:
    string_map(value, where)
    for key in value:
        reserved = key in ("from", "message_type", "collapse_key")
        if reserved or key.startswith(("google.", "gcm.")):
            raise invalid(where, f"Invalid data payload key: {key}")


_FCM_OPTIONS = record(analytics_label=text)
_ANDROID_TEXTS = (
    "title body icon color sound tag click_action body_loc_key title_loc_key channel_id ticker "
    "event_time notification_priority visibility image proxy"
)
_ANDROID_FLAGS = "sticky local_only default_sound default_vibrate_timings default_light_settings"
_ANDROID_NOTIFICATION = record(
    **dict.fromkeys(_ANDROID_TEXTS.split(), text),
    **dict.fromkeys(_ANDROID_FLAGS.split(), flag),
    body_loc_args=list_of(text),
    title_loc_args=list_of(text),
    vibrate_timings=list_of(duration),
    notification_count=count,
    light_settings=struct,
)
_ANDROID = record(
    collapse_key=text,
    priority=one_of("NORMAL", "HIGH"),
    ttl=duration,
    restricted_package_name=text,
    data=_data,
    notification=_ANDROID_NOTIFICATION,
    fcm_options=_FCM_OPTIONS,
    direct_boot_ok=flag,
    bandwidth_constrained_ok=flag,
    restricted_satellite_ok=flag,
)
_APNS = record(
    headers=string_map,
    payload=struct,
    fcm_options=record(analytics_label=text, image=text),
    live_activity_token=text,
)
_WEBPUSH = record(
    headers=string_map,
    data=string_map,
    notification=struct,
    fcm_options=record(link=text, analytics_label=text),
)
_REQUEST = record(
    validate_only=flag,
    message=record(
        name=text,
        token=text,
        topic=text,
        condition=text,
        data=_data,
        notification=record(title=text, body=text, image=text),
        android=_ANDROID,
        apns=_APNS,
        webpush=_WEBPUSH,
        fcm_options=_FCM_OPTIONS,
    ),
)


def parse_request(body: bytes) -> dict[str, Any]:
    """The body of a `messages:send`, as strict as FCM v1. Raises Refused (400)."""
    try:
        request: dict[str, Any] = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise Refused(400, "INVALID_ARGUMENT", "Invalid JSON payload received.") from exc
    _REQUEST(request, "")
    message = request.get("message")
    if message is None:
        raise invalid("message", "Message is not set.")
    targets = [name for name in ("token", "topic", "condition") if message.get(name) is not None]
    if len(targets) > 1:
        raise invalid("message", f"oneof field 'target' is already set. Cannot set '{targets[1]}'")
    if not targets or not message[targets[0]]:
        raise invalid("message", "Recipient of the message is not set.")
    _check_apple(message)
    _check_size(message)
    return request


def _check_apple(message: dict[str, Any]) -> None:
    apns = message.get("apns") or {}
    aps = (apns.get("payload") or {}).get("aps")
    if aps is not None:
        struct(aps, "message.apns.payload.aps")
        for name in ("content-available", "mutable-content", "badge"):
            if name in aps:
                count(aps[name], f"message.apns.payload.aps.{name}")
    if _size((apns.get("headers") or {}).get("apns-collapse-id", "")) > 64:
        raise invalid("message.apns.headers", "apns-collapse-id is longer than 64 bytes")


def _check_size(message: dict[str, Any]) -> None:
    data = message.get("data") or {}
    if sum(_size(key) + _size(value) for key, value in data.items()) > _LARGEST_PAYLOAD_BYTES:
        raise invalid("message.data", "Android message is too big")
    apple = (message.get("apns") or {}).get("payload") or {}
    whole = json.dumps(data | apple, ensure_ascii=False, separators=(",", ":"))
    if apple and _size(whole) > _LARGEST_PAYLOAD_BYTES:
        raise invalid("message.apns.payload", "APNs payload is too big")


def _size(string: str) -> int:
    return len(string.encode(errors="replace"))  # JSON may hold half a surrogate pair
