"""Shapes of the user API that are about sensors."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import isfinite
from typing import Any, TypedDict

import msgspec
from rest_framework import serializers

from ruuvinet.lib.api import DomainError, InvalidFormat, MissingArgument
from ruuvinet.lib.mac import Mac
from ruuvinet.lib.serializers import EmailAddress, MacAddress, Timestamp, WireRequest
from sensors.history import MODES, Page, Row
from sensors.pictures import EXTENSIONS
from sensors.selectors import Choice
from sensors.services import Changes
from subscriptions.limits import Limits

MAX_ROWS = 5000
MAX_TEXT = 5000  # characters of a setting
_FILE_NAME = re.compile(r"[A-Za-z0-9._-]+")
_SETTING_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_STAMP = "_lastUpdated"


# --- What the clients send ------------------------------------------------------------------
class InvalidEnumValue(DomainError):
    code = "ER_INVALID_ENUM_VALUE"


class InvalidDensityMode(DomainError):
    code = "ER_INVALID_DENSITY_MODE"


class InvalidSortMode(DomainError):
    code = "ER_INVALID_SORT_MODE"


class InvalidTimeRange(DomainError):
    code = "ER_INVALID_TIME_RANGE"


class FiniteFloat(serializers.FloatField):
    """A number: neither true nor one that JSON cannot carry back."""

    def to_internal_value(self, data: Any) -> float:
        number = float("nan") if isinstance(data, bool) else super().to_internal_value(data)
        if not isfinite(number):
            self.fail("invalid")
        return number


class Texts(serializers.Field):  # type: ignore[type-arg]
    """A list of texts; one alone is a list of one."""

    def to_internal_value(self, data: Any) -> list[str]:
        texts = [data] if isinstance(data, str) else data
        text = serializers.CharField(allow_blank=True, max_length=MAX_TEXT, trim_whitespace=False)
        if not isinstance(texts, list) or not all(isinstance(item, str) for item in texts):
            raise serializers.ValidationError("Not a list of texts.")
        return [text.run_validation(item) for item in texts]


class SensorClaimRequest(WireRequest):
    missing = "Missing or invalid sensor given"

    sensor = MacAddress(refusal=missing, code="ER_MISSING_ARGUMENT")
    name = serializers.CharField(required=False, allow_blank=True, max_length=64)
    description = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT)


class CheckRequest(WireRequest):
    missing = SensorClaimRequest.missing

    sensor = MacAddress(refusal=missing, code="ER_MISSING_ARGUMENT")


class ContestRequest(WireRequest):
    missing = "Missing sensor or secret."

    sensor = MacAddress()
    secret = serializers.CharField(max_length=64)
    name = serializers.CharField(required=False, allow_blank=True, max_length=64)


class UnclaimRequest(WireRequest):
    missing = "Missing sensor id."

    sensor = MacAddress()
    deleteData = serializers.BooleanField(default=False)


class ShareRequest(WireRequest):
    missing = "Missing sensor or e-mail."

    user = EmailAddress(refusal="Invalid E-mail given.")  # complained about first
    sensor = MacAddress()


class UnshareRequest(WireRequest):
    missing = "Missing sensor."

    user = EmailAddress(
        refusal="Invalid or no E-mail given.", required=False, allow_blank=True, default=""
    )
    sensor = MacAddress()


class UpdateRequest(WireRequest):
    missing = "Missing sensor"

    sensor = MacAddress()
    name = serializers.CharField(required=False, allow_blank=True, max_length=64)
    picture = serializers.CharField(required=False, allow_blank=True, max_length=255)
    offsetTemperature = FiniteFloat(required=False)
    offsetHumidity = FiniteFloat(required=False)
    offsetPressure = FiniteFloat(required=False)
    public = serializers.BooleanField(required=False)
    timestamp = Timestamp()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """An empty name and what is no file name are ignored, as if they were not there."""
        if not attrs.get("name"):
            attrs.pop("name", None)
        if not _FILE_NAME.fullmatch(attrs.get("picture", "")):
            attrs.pop("picture", None)
        changes = {field: attrs[name] for name, field in CHANGES.items() if name in attrs}
        if not changes:
            raise MissingArgument("No values provided for update.")
        return {**attrs, "changes": Changes(**changes)}


# What /update calls the fields of Changes.
CHANGES = {
    "name": "name",
    "picture": "picture",
    "offsetTemperature": "offset_temperature_c",
    "offsetHumidity": "offset_humidity_pct",
    "offsetPressure": "offset_pressure_pa",
    "public": "public",
}


class SettingsRequest(WireRequest):
    missing = "Missing sensor, type or value."

    sensor = MacAddress()
    type = Texts()
    value = Texts(required=False)  # empty is not missing: it clears the setting
    timestamp = Timestamp()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        types, values = attrs["type"], attrs.get("value")
        if not types or values is None:
            raise MissingArgument(self.missing)
        if len(types) != len(values):
            raise InvalidFormat("There must be a value for each type.")
        for type_ in types:
            if not _SETTING_NAME.fullmatch(type_) or type_.endswith(_STAMP):
                raise InvalidFormat("Invalid setting type.")
        return {**attrs, "values": dict(zip(types, values, strict=True))}


class UploadRequest(WireRequest):
    missing = "Missing sensor."

    sensor = MacAddress()
    action = serializers.CharField(required=False, allow_blank=True)
    type = serializers.JSONField(required=False)  # whatever it is, on a reset

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs["action"] = attrs.get("action") or "upload"
        if attrs["action"] not in ("upload", "reset"):
            raise InvalidEnumValue("Invalid action.")
        if attrs["action"] == "upload":
            if not attrs.get("type"):
                raise MissingArgument("Missing type.")
            if not isinstance(attrs["type"], str) or attrs["type"] not in EXTENSIONS:
                raise InvalidFormat("Invalid type.")
        return attrs


class Flag(serializers.BooleanField):
    """`true`, `false`, `1` or `0`; false for what is none of them."""

    def run_validation(self, data: Any = serializers.empty) -> bool:
        try:
            return bool(super().run_validation(data))
        except serializers.ValidationError:
            return False


class SensorsRequest(WireRequest):
    sensor = serializers.CharField(required=False, allow_blank=True)


class SensorsDenseRequest(SensorsRequest):
    sharedToMe = Flag(default=False)
    sharedToOthers = Flag(default=False)
    measurements = Flag(default=False)
    alerts = Flag(default=False)
    settings = Flag(default=False)
    mode = serializers.CharField(required=False, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs["mode"] = _mode(attrs.get("mode", ""))
        return attrs


class HistoryRequest(WireRequest):
    missing = "Invalid request format."

    sensor = MacAddress(refusal=missing, code="ER_INVALID_FORMAT", required=False, default="")
    since = serializers.CharField(required=False, allow_blank=True, default="")
    until = serializers.CharField(required=False, allow_blank=True, default="")
    limit = serializers.CharField(required=False, allow_blank=True, default="")
    sort = serializers.CharField(required=False, allow_blank=True, default="")
    mode = serializers.CharField(required=False, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(attrs["sensor"], Mac):
            raise InvalidFormat(self.missing)
        return attrs


def page_of(asked: dict[str, Any], *, now: int) -> Page:
    """What `/get` asks for. Raises InvalidSortMode, InvalidDensityMode, InvalidTimeRange."""
    sort = asked["sort"] or "desc"
    if sort not in ("asc", "desc"):
        raise InvalidSortMode("Invalid sort argument.")
    mode = _mode(asked["mode"])
    # Clocks of gateways may be ahead of ours, and apps go on from the newest that they have.
    since, until = _seconds(asked["since"]), _seconds(asked["until"]) or now + MAX_AHEAD_S
    if since > until:
        raise InvalidTimeRange("`since` is after `until` or in the future.")
    limit = _seconds(asked["limit"])
    return Page(
        mode=mode,
        since=since,
        until=until,
        limit=min(limit, MAX_ROWS) if limit > 0 else MAX_ROWS,
        ascending=sort == "asc",
    )


MAX_AHEAD_S = 300


def _mode(text: str) -> str:
    mode = text or "mixed"
    if mode not in MODES:
        raise InvalidDensityMode("Invalid mode argument.")
    return mode


def _seconds(text: str) -> int:
    """A whole number, its fraction cut off; 0 for what is no number."""
    try:
        number = float(text)
    except ValueError:
        return 0
    return int(max(-MAX_NUMBER, min(number, MAX_NUMBER))) if isfinite(number) else 0


MAX_NUMBER = 2**31 - 1


# --- What they get --------------------------------------------------------------------------
class Measurement(msgspec.Struct, gc=False):
    """A reception on the wire: `timestamp` in Unix seconds, `rssi` in dBm, `data` in hex."""

    gwmac: str
    coordinates: str
    rssi: int
    timestamp: int
    data: str


class Offsets(TypedDict):
    """°C, percentage points, Pa; clients add them to what they decode."""

    offsetTemperature: float
    offsetHumidity: float
    offsetPressure: float


def measurements(rows: Iterable[Sequence[Any]]) -> list[Measurement]:
    """`Row`s, or tuples in their order, as they go over the wire."""
    spelt: dict[int, str] = {}  # a page comes from one or two gateways
    items = []
    for measured_at, gateway, rssi_dbm, payload in rows:
        if (gwmac := spelt.get(gateway)) is None:
            gwmac = spelt[gateway] = str(Mac(gateway))
        items.append(Measurement(gwmac, "N/A", rssi_dbm, measured_at, payload.hex().upper()))
    return items


def measurement_list(row: Row | None) -> list[Measurement]:
    """The newest one alone: clients take more than one for none."""
    return [] if row is None else measurements([row])


def settings_map(settings: Iterable[Choice]) -> dict[str, str | int]:
    """Each setting and when it was edited; of a cleared one only that."""
    found: dict[str, str | int] = {}
    for setting in settings:
        if setting.value:
            found[setting.type] = setting.value
        found[setting.type + _STAMP] = unix(setting.edited_at)
    return found


def subscription_map(limits: Limits) -> dict[str, Any]:
    """The owner's plan, under which a sensor is served."""
    return {
        "subscriptionName": limits.name,
        "maxHistoryDays": limits.max_history_days,
        "maxResolutionMinutes": limits.max_resolution_minutes,
        "maxSharesPerSensor": limits.max_shares_per_sensor,
        "maxClaims": limits.max_claims,
        "maxShares": limits.max_shares,
        "emailAlertAllowed": limits.email_alert_allowed,
        "pushAlertAllowed": limits.push_alert_allowed,
        "telegramAlertAllowed": limits.telegram_alert_allowed,
        "offlineAlertAllowed": limits.offline_alert_allowed,
        "delayedAlertAllowed": limits.delayed_alert_allowed,
        "pdfExportAllowed": limits.pdf_export_allowed,
        "isActive": limits.is_active,
        "endAt": limits.ends_at.strftime("%Y-%m-%dT%H:%M:%SZ") if limits.ends_at else None,
    }


def unix(at: datetime) -> int:
    """Unix seconds, at least 1: apps take 0 for never."""
    return max(int(at.timestamp()), 1)
