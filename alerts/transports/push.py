"""Push messages in the shapes the Ruuvi Station apps read, sent through Firebase."""

import hashlib
import json
import logging
import math
import re
from bisect import bisect_right
from itertools import accumulate
from typing import Any

from .base import DeliveryError, Destination, Notification, Transport
from .fcm import FcmClient

logger = logging.getLogger(__name__)

Json = dict[str, Any]

# The documented push vocabulary differs from the API's in these. Newer types have no word of
# their own and keep the API's.
_DOCUMENTED_TYPES = {
    "temperature": "Temperature",
    "humidity": "Humidity",
    "pressure": "Pressure",
    "movement": "Movement",
    "battery": "Voltage",
    "signal": "RSSI",
    "offline": "noData",
}
# The iOS app counts particle sizes in whole micrometres, the API in tenths: "pm10" is PM1.0 to
# the API and PM10 to the app.
_IOS_TYPES = {"pm10": "pm1", "pm100": "pm10"}
_TRIGGERS = {"over": "Over", "under": "Under", "different from": "Different from"}

_TTL = "3600s"  # after an hour the news is old, and the next trigger may be on its way
_COLLAPSE_ID_BYTES = 64  # Apple refuses a longer one
# FCM and Apple refuse a message above 4096 bytes. A text occurs up to four times in one, so this
# keeps the longest of them inside, and still fits the 100 characters the web app allows.
_TEXT_BYTES = 400


class Push(Transport):
    """Firebase Cloud Messaging to the phone apps.

    `loc_keys` adds the localisation keys to Apple's alert. Off by default: the app in the store
    has no strings for them, and Apple prefers a key without a string over the finished text.
    """

    senders = 16

    def __init__(self, fcm: FcmClient | None, *, loc_keys: bool = False) -> None:
        self._fcm = fcm
        self._loc_keys = loc_keys

    @property
    def missing(self) -> str:
        return "" if self._fcm else "no credentials"

    def send(self, notification: Notification, destination: Destination) -> None:
        """Send one push. Raises DeliveryError."""
        if self._fcm is None:
            raise DeliveryError(self.missing, permanent=True)
        message = message_for(notification, destination, loc_keys=self._loc_keys)
        name = self._fcm.deliver(message)
        logger.debug(
            "push %s: %s %s", name, notification.sensor_mac, notification.alert_type
        )  # neither the token nor the address of the person


def message_for(
    notification: Notification, destination: Destination, *, loc_keys: bool = False
) -> Json:
    """The FCM v1 `message` for this device. Unknown platforms get the iOS shape."""
    if destination.platform.lower() == "android":
        return android_message(notification, destination)
    return ios_message(notification, destination, loc_keys=loc_keys)


def canonical_document(notification: Notification, destination: Destination) -> Json:
    """The documented push, before it is translated to what each platform's transport carries.

    All values are strings except the two Apple flags. Numbers are decimal strings in `alertUnit`.
    """
    kind = _DOCUMENTED_TYPES.get(notification.alert_type, notification.alert_type)
    trigger = _TRIGGERS[notification.trigger]
    current = _number(notification.current_value, notification.alert_type)
    threshold = _number(notification.threshold_value, notification.alert_type)
    name, text = _clip(notification.name), _clip(notification.description)
    unit = notification.unit
    return {
        "notification": {"body": text, "title": f"Ruuvi {kind} alert: {name}"},
        "alert": {
            "title-loc-key": f"RUUVI_{kind}",
            "title-loc-args": [kind, trigger],
            "loc-key": f"RUUVI_{kind}_{trigger}",
            "loc-args": [name, current, unit, threshold, unit],
        },
        "content_available": 1,
        "mutable-content": 1,
        "token": destination.address,
        "email": notification.email,
        "type": "alert",
        "data": {
            "name": name,
            "id": notification.sensor_mac,
            "alertType": kind,
            "triggerType": trigger,
            "currentValue": current,
            "thresholdValue": threshold,
            "alertUnit": unit,
            "alertData": text,
        },
    }


def android_message(notification: Notification, destination: Destination) -> Json:
    """The FCM v1 `message` for the Android app.

    The app parses the first value of the data map and draws the notification itself, so there is
    exactly one entry and no `notification` block. There is no `android.collapse_key` either: FCM
    keeps only four of them for a phone that is off, and a fifth alert would be lost.
    """
    document = canonical_document(notification, destination)
    gcm = {
        "token": document["token"],
        "email": document["email"],
        "type": document["type"],
        "data": document["data"]
        | {
            "alertType": _app_word(notification.alert_type),
            "showLocallyFormatted": "false",  # the app's own formatter knows six types only
            "title": _clip(notification.title),
            "body": _clip(notification.body),
            "subtitle": _clip(notification.subtitle),
        },
    }
    return {
        "token": document["token"],
        "android": {"priority": "HIGH", "ttl": _TTL},
        "data": {"default": json.dumps({"GCM": gcm}, ensure_ascii=False, separators=(",", ":"))},
    }


def ios_message(
    notification: Notification, destination: Destination, *, loc_keys: bool = False
) -> Json:
    """The FCM v1 `message` for the iOS app, which reads flat strings beside Apple's `aps`."""
    document = canonical_document(notification, destination)
    title, body = _clip(notification.title), _clip(notification.body)
    alert = {"title": title, "subtitle": _clip(notification.subtitle), "body": body}
    if loc_keys:
        alert |= document["alert"]
    flat = {"type": document["type"], "email": document["email"], **document["data"]}
    flat["alertType"] = _IOS_TYPES.get(notification.alert_type, _app_word(notification.alert_type))
    # Otherwise the app writes its own title, an empty one for any type or trigger it does not know.
    flat["showLocallyFormatted"] = "false"
    return {
        "token": document["token"],
        "notification": {"title": title, "body": body},
        "data": flat,
        "apns": {
            "headers": {
                "apns-priority": "10",
                "apns-push-type": "alert",
                "apns-collapse-id": _collapse_id(notification.collapse_key),
            },
            "payload": {
                "aps": {
                    "alert": alert,
                    "mutable-content": document["mutable-content"],
                    "content-available": document["content_available"],
                    "sound": _sound(destination.sound_file),
                }
            },
        },
    }


def _app_word(alert_type: str) -> str:
    """The type as the apps know it: they lower-case the documented word, and miss three of them."""
    documented = _DOCUMENTED_TYPES.get(alert_type, alert_type)
    return documented if documented.lower() == alert_type.lower() else alert_type


def _sound(file: str) -> str:
    """A file name as the app registered it; anything else would only cost the push."""
    return file if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", file) else "default"


def _number(value: float | None, alert_type: str) -> str:
    """A decimal string, never empty: the Android app parses it and drops the push if it cannot."""
    if value is None or not math.isfinite(value):
        return "0"
    return f"{value:z.0f}" if alert_type == "movement" else f"{value:z.2f}"  # movement is a count


def _clip(text: str) -> str:
    """The text, or as much of it as takes _TEXT_BYTES inside JSON, ended with an ellipsis."""
    text = text.encode(
        errors="replace"
    ).decode()  # half an emoji from a careless app cannot be sent
    sizes = list(accumulate(map(_json_bytes, text[: _TEXT_BYTES + 1])))
    if not sizes or sizes[-1] <= _TEXT_BYTES:
        return text
    return text[: bisect_right(sizes, _TEXT_BYTES - _json_bytes("…"))] + "…"


def _json_bytes(character: str) -> int:
    return len(json.dumps(character, ensure_ascii=False).encode()) - 2  # without the quotes


def _collapse_id(key: str) -> str:
    """A header value Apple accepts: itself if plain and short, else a digest (64 hex digits)."""
    if key.isascii() and key.isprintable() and 0 < len(key) <= _COLLAPSE_ID_BYTES:
        return key
    return hashlib.sha256(key.encode()).hexdigest()
