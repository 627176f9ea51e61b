"""Shapes of the alert and push endpoints; every wire spelling is here."""

import math
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypedDict

from rest_framework import serializers

from alerts.models import AlertRule, PushToken, Webhook
from alerts.transports.webhook import ensure_url
from ruuvinet.lib.api import MissingArgument
from ruuvinet.lib.mac import Mac
from ruuvinet.lib.serializers import MacAddress, Timestamp, WireRequest

_LARGEST = 2**31 - 1

# What stands on the wire for a limit that a rule does not have: the apps need a number, and these
# are the ends of their widest sliders. (type: lower, upper)
_RANGES = {
    "temperature": (-55, 150),
    "humidity": (0, 100),
    "humidityAbsolute": (0, 50),
    "dewPoint": (-45, 85),
    "pressure": (50_000, 115_500),
    "signal": (-105, 0),
    "battery": (1.8, 3.6),
    "aqi": (0, 100),
    "co2": (0, 40_000),
    "pm10": (0, 1000),
    "pm25": (0, 1000),
    "pm40": (0, 1000),
    "pm100": (0, 1000),
    "voc": (0, 500),
    "nox": (0, 500),
    "luminosity": (0, 144_284),
    "sound": (0, 127),
    "soundInstant": (0, 127),
    "soundAverage": (0, 127),
    "soundPeak": (0, 127),
    "movement": (0, 0),
    "offline": (0, 86_400),
}


class AlertItem(TypedDict):
    """A rule as apps read it. The iOS app needs each of these, never null."""

    type: str
    min: float
    max: float
    enabled: bool
    counter: int
    delay: int
    description: str
    triggered: bool
    triggeredAt: str
    lastUpdated: int


class RuleRow(NamedTuple):
    """What apps are shown of a rule; `changed_at` is when it triggered last, or was made."""

    type: str
    enabled: bool
    min: float | None
    max: float | None
    description: str
    delay_s: int
    triggered: bool
    changed_at: datetime
    updated_at: datetime
    counter: int


def alert_item(rule: AlertRule) -> AlertItem:
    return alert_item_of(
        RuleRow(
            type=rule.type,
            enabled=rule.enabled,
            min=rule.min,
            max=rule.max,
            description=rule.description,
            delay_s=rule.delay_s,
            triggered=rule.triggered,
            changed_at=rule.triggered_at or rule.created_at,
            updated_at=rule.updated_at,
            counter=rule.counter,
        )
    )


def alert_item_of(rule: RuleRow) -> AlertItem:
    lowest, highest = _RANGES[rule.type]
    movement = rule.type == AlertRule.Type.MOVEMENT.value
    return AlertItem(
        type=rule.type,
        min=lowest if movement or rule.min is None else rule.min,
        max=highest if movement or rule.max is None else rule.max,
        enabled=rule.enabled,
        counter=rule.counter if movement else 0,
        delay=rule.delay_s,
        description=rule.description,
        triggered=rule.triggered,
        triggeredAt=_instant(rule.changed_at),
        lastUpdated=max(1, int(rule.updated_at.timestamp())),
    )


def _instant(at: datetime) -> str:
    """`2023-02-08T12:34:56.000Z`: the iOS app reads exactly three decimals."""
    text = at.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class _AlertType(serializers.ChoiceField):
    """A type of the wire. Anything else is told by its own name."""

    def __init__(self) -> None:
        super().__init__(choices=AlertRule.Type.values)

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, str) and data in AlertRule.Type.values:
            return data
        shown = ascii(data)[:40] if not isinstance(data, str) else ascii(data[:40])[1:-1]
        raise serializers.ValidationError(f"Invalid type: {shown}", code="ER_INVALID_ENUM_VALUE")


class _FiniteField(serializers.FloatField):
    """A number that fits into JSON and into a comparison."""

    def to_internal_value(self, data: Any) -> float:
        value = math.nan if isinstance(data, bool) else super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class AlertRequest(WireRequest):
    """`POST /alerts`."""

    missing = "Missing setting sensor, type or enabled."

    sensor = MacAddress()
    type = _AlertType()
    enabled = serializers.BooleanField(required=False)
    min = _FiniteField(required=False)
    max = _FiniteField(required=False)
    counter = serializers.IntegerField(required=False, min_value=0, max_value=_LARGEST)
    delay = serializers.IntegerField(
        required=False, min_value=0, max_value=_LARGEST, source="delay_s"
    )
    description = serializers.CharField(
        required=False, allow_blank=True, max_length=255, trim_whitespace=False
    )
    timestamp = Timestamp()


class AlertsQuery(WireRequest):
    """`GET /alerts`."""

    sensor = MacAddress(required=False)


class _Params(serializers.Field[Any, Any, Any, Any]):
    """`params` of a push token: an object from the apps, text in the vendor's papers."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        given = data if isinstance(data, dict) else {}
        language, sound = given.get("language"), given.get("soundFile")
        found = {}
        if isinstance(language, str) and re.fullmatch("[A-Za-z]{2}([-_].*)?", language):
            found["language"] = language[:2]
        if isinstance(sound, str) and re.fullmatch("[A-Za-z0-9_.-]{1,64}", sound):
            found["sound_file"] = sound
        return found


class PushRegisterRequest(WireRequest):
    """`POST /push-register`."""

    missing = "Missing token or type."

    token = serializers.CharField(max_length=4096)
    type = serializers.CharField(max_length=16)
    name = serializers.CharField(required=False, allow_blank=True, max_length=255)
    params = _Params(required=False)


class PushUnregisterRequest(WireRequest):
    """`POST /push-unregister`."""

    token = serializers.CharField(required=False, max_length=4096)
    id = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)

    def validate(self, attrs: Any) -> Any:
        if not attrs:
            raise MissingArgument("Missing token or id.")
        return attrs


class PushTokenItem(TypedDict):
    id: int
    lastAccessed: int
    name: str


def push_token_item(token: PushToken) -> PushTokenItem:
    return PushTokenItem(
        id=token.pk, lastAccessed=int(token.last_accessed_at.timestamp()), name=token.name
    )


class WebhookRequest(WireRequest):
    """`POST /webhooks`."""

    missing = "Missing url."

    url = serializers.CharField(max_length=2000)

    def validate_url(self, url: str) -> str:
        try:
            ensure_url(url)
        except ValueError as error:
            raise serializers.ValidationError(f"Invalid url: {error}.") from error
        return url


class WebhookItem(TypedDict):
    """A webhook as its person sees it; never its secret. `retiredAt` is null while it is used."""

    url: str
    createdAt: int
    retiredAt: int | None
    retiredReason: str


def webhook_item(webhook: Webhook) -> WebhookItem:
    retired_at = webhook.retired_at
    return WebhookItem(
        url=webhook.url,
        createdAt=int(webhook.created_at.timestamp()),
        retiredAt=None if retired_at is None else int(retired_at.timestamp()),
        retiredReason=webhook.retired_reason,
    )


class FlatAlertItem(AlertItem):
    """One row of the documented flat list."""

    userId: int
    sensorId: str
    offsetTemperature: float
    offsetHumidity: float
    offsetPressure: float


def flat_alert_item(rule: AlertRule) -> FlatAlertItem:
    """Needs `rule.sensor` at hand."""
    return FlatAlertItem(
        **alert_item(rule),
        userId=rule.user_id,
        sensorId=str(Mac(rule.sensor_id)),
        offsetTemperature=rule.sensor.offset_temperature_c,
        offsetHumidity=rule.sensor.offset_humidity_pct,
        offsetPressure=rule.sensor.offset_pressure_pa,
    )
