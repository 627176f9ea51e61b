"""The push shapes, and that the apps can read them."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from alerts.transports.base import Destination, Notification
from alerts.transports.push import (
    android_message,
    canonical_document,
    ios_message,
    message_for,
)

FRIDGE = Notification(
    email="alice@example.com",
    name="Fridge",
    sensor_mac="AA:BB:CC:DD:EE:FF",
    alert_type="temperature",
    type_name="Temperature",
    trigger="over",
    base_value=8.5,
    base_threshold=8,
    value_text="8.5 °C",
    threshold_text="8 °C",
    language="en",
    opened_at=datetime(2026, 4, 1, 12, tzinfo=UTC),
    is_late=False,
    current_value=8.5,
    threshold_value=8,
    unit="C",
    description="check door",
    title="Temperature is over 8 °C",
    body="Fridge",
    subtitle="check door",
    collapse_key="event-17",
)
PHONE = Destination(address="the-token", platform="Android", language="en")
IPHONE = Destination(address="the-token", platform="iOS", sound_file="ruuvi_speak.caf")

DOCUMENTED_DATA = {
    "name": "Fridge",
    "id": "AA:BB:CC:DD:EE:FF",
    "alertType": "Temperature",
    "triggerType": "Over",
    "currentValue": "8.50",
    "thresholdValue": "8.00",
    "alertUnit": "C",
    "alertData": "check door",
}


def read_as_android(message):
    """As the Android app: the first value of the data map holds everything."""
    assert "notification" not in message
    assert len(message["data"]) == 1
    gcm = json.loads(next(iter(message["data"].values())))["GCM"]
    assert gcm["type"] == "alert"
    data = gcm["data"]
    assert all(isinstance(value, str) for value in data.values())
    float(data["currentValue"]), float(data["thresholdValue"])
    assert data["showLocallyFormatted"] == "false"
    assert {"name", "id", "alertType", "title", "body", "subtitle"} <= data.keys()
    return gcm


def read_as_ios(message):
    """As the extension in the iOS app: FCM puts the data beside Apple's own `aps`."""
    assert all(isinstance(value, str) for value in message["data"].values())
    root = message["data"] | message["apns"]["payload"]
    assert root["aps"]["mutable-content"] == 1
    assert root["aps"]["alert"]["title"]
    assert "badge" not in root["aps"]
    assert root["showLocallyFormatted"] == "false"
    assert {"name", "alertType", "triggerType", "thresholdValue", "alertData"} <= root.keys()
    return root


def test_canonical_document():
    assert canonical_document(FRIDGE, PHONE) == {
        "notification": {"body": "check door", "title": "Ruuvi Temperature alert: Fridge"},
        "alert": {
            "title-loc-key": "RUUVI_Temperature",
            "title-loc-args": ["Temperature", "Over"],
            "loc-key": "RUUVI_Temperature_Over",
            "loc-args": ["Fridge", "8.50", "C", "8.00", "C"],
        },
        "content_available": 1,
        "mutable-content": 1,
        "token": "the-token",
        "email": "alice@example.com",
        "type": "alert",
        "data": DOCUMENTED_DATA,
    }


def test_android_message():
    message = android_message(FRIDGE, PHONE)
    inner = message.pop("data")
    assert message == {"token": "the-token", "android": {"priority": "HIGH", "ttl": "3600s"}}
    assert inner.keys() == {"default"}
    assert json.loads(inner["default"]) == {
        "GCM": {
            "token": "the-token",
            "email": "alice@example.com",
            "type": "alert",
            "data": DOCUMENTED_DATA
            | {
                "showLocallyFormatted": "false",
                "title": "Temperature is over 8 °C",
                "body": "Fridge",
                "subtitle": "check door",
            },
        }
    }


def test_ios_message():
    assert ios_message(FRIDGE, IPHONE) == {
        "token": "the-token",
        "notification": {"title": "Temperature is over 8 °C", "body": "Fridge"},
        "data": {
            "type": "alert",
            "email": "alice@example.com",
            **DOCUMENTED_DATA,
            "showLocallyFormatted": "false",
        },
        "apns": {
            "headers": {
                "apns-priority": "10",
                "apns-push-type": "alert",
                "apns-collapse-id": "event-17",
            },
            "payload": {
                "aps": {
                    "alert": {
                        "title": "Temperature is over 8 °C",
                        "subtitle": "check door",
                        "body": "Fridge",
                    },
                    "mutable-content": 1,
                    "content-available": 1,
                    "sound": "ruuvi_speak.caf",
                }
            },
        },
    }


def test_localisation_keys_are_added_only_on_request():
    with_keys = ios_message(FRIDGE, IPHONE, loc_keys=True)["apns"]["payload"]["aps"]["alert"]
    assert with_keys["loc-key"] == "RUUVI_Temperature_Over"
    assert with_keys["title"] == "Temperature is over 8 °C"


@pytest.mark.parametrize(
    ("alert_type", "documented", "android", "ios"),
    [
        ("temperature", "Temperature", "Temperature", "Temperature"),
        ("humidity", "Humidity", "Humidity", "Humidity"),
        ("pressure", "Pressure", "Pressure", "Pressure"),
        ("movement", "Movement", "Movement", "Movement"),
        ("battery", "Voltage", "battery", "battery"),
        ("signal", "RSSI", "signal", "signal"),
        ("offline", "noData", "offline", "offline"),
        ("humidityAbsolute", "humidityAbsolute", "humidityAbsolute", "humidityAbsolute"),
        ("co2", "co2", "co2", "co2"),
        ("pm10", "pm10", "pm10", "pm1"),  # PM1.0
        ("pm25", "pm25", "pm25", "pm25"),
        ("pm100", "pm100", "pm100", "pm10"),  # PM10
    ],
)
def test_each_side_has_its_own_word_for_a_type(alert_type, documented, android, ios):
    event = replace(FRIDGE, alert_type=alert_type)
    assert canonical_document(event, PHONE)["data"]["alertType"] == documented
    assert read_as_android(android_message(event, PHONE))["data"]["alertType"] == android
    assert read_as_ios(ios_message(event, IPHONE))["alertType"] == ios


@pytest.mark.parametrize(
    ("trigger", "word"),
    [("over", "Over"), ("under", "Under"), ("different from", "Different from")],
)
def test_trigger_words(trigger, word):
    event = replace(FRIDGE, trigger=trigger)
    assert read_as_android(android_message(event, PHONE))["data"]["triggerType"] == word
    assert read_as_ios(ios_message(event, IPHONE))["triggerType"] == word


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "0"), (float("nan"), "0"), (-0.001, "0.00"), (1e16, "10000000000000000.00")],
)
def test_numbers_always_parse(value, text):
    event = replace(FRIDGE, current_value=value)
    assert read_as_android(android_message(event, PHONE))["data"]["currentValue"] == text


def test_movement_is_a_whole_number():
    event = replace(FRIDGE, alert_type="movement", current_value=185, threshold_value=184.0)
    data = canonical_document(event, PHONE)["data"]
    assert (data["currentValue"], data["thresholdValue"]) == ("185", "184")


def test_empty_description_stays_a_string():
    event = replace(FRIDGE, description="", subtitle="")
    assert read_as_android(android_message(event, PHONE))["data"]["subtitle"] == ""
    assert read_as_ios(ios_message(event, IPHONE))["alertData"] == ""


@pytest.mark.parametrize("platform", ["android", "Android", "ANDROID"])
def test_android_in_any_case(platform):
    read_as_android(message_for(FRIDGE, replace(PHONE, platform=platform)))


@pytest.mark.parametrize("platform", ["ios", "iOS", "", "watch"])
def test_everything_else_gets_the_ios_shape(platform):
    read_as_ios(message_for(FRIDGE, replace(PHONE, platform=platform)))


@pytest.mark.parametrize("sound", ["", "../" * 3, "a b", "x" * 5000, "\ud800"])
def test_odd_sound_becomes_the_default(sound):
    aps = ios_message(FRIDGE, replace(IPHONE, sound_file=sound))["apns"]["payload"]["aps"]
    assert aps["sound"] == "default"


@pytest.mark.parametrize("key", ["k" * 65, "ü", "", "two\nlines"])
def test_collapse_id_is_always_one_apple_accepts(key):
    headers = ios_message(replace(FRIDGE, collapse_key=key), IPHONE)["apns"]["headers"]
    collapse_id = headers["apns-collapse-id"]
    assert len(collapse_id) == 64
    assert collapse_id.isalnum()
    again = ios_message(replace(FRIDGE, collapse_key=key), IPHONE)["apns"]["headers"]
    assert again["apns-collapse-id"] == collapse_id


@pytest.mark.parametrize("letter", ["x", "ä", "🌡", '"'])
def test_longest_texts_fit_into_one_push(letter):
    long = letter * 3000
    event = replace(
        FRIDGE, name=long, description=long, title=long, body=long, subtitle=long,
        email="a" * 242 + "@example.com",
    )  # fmt: skip
    phone = replace(PHONE, address="t" * 200)
    inner = android_message(event, phone)["data"]["default"]
    assert len(inner.encode()) <= 4096 - len("default")
    message = ios_message(event, phone)
    whole = json.dumps(message["data"] | message["apns"]["payload"], ensure_ascii=False)
    assert len(whole.encode()) <= 4096
    assert read_as_ios(message)["name"].endswith("…")


def test_half_an_emoji_does_not_stop_a_push():
    event = replace(FRIDGE, description="\ud83c", subtitle="\ud83c")
    assert read_as_ios(ios_message(event, IPHONE))["alertData"] == "?"
