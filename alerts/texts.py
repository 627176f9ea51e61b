"""What people read: names, units and sentences of notifications."""

from alerts.models import AlertEvent, PushToken, quantity
from alerts.rules import MOVEMENT
from alerts.transports.base import Destination, Notification

# Unit codes as the apps know them, the symbol, and what the base unit is divided by.
_UNITS: dict[str, tuple[str, str, float]] = {
    "temperature": ("C", " °C", 1),
    "dewPoint": ("C", " °C", 1),
    "humidity": ("%", " %", 1),
    "humidityAbsolute": ("g/m³", " g/m³", 1),
    "pressure": ("1", " hPa", 100),
    "signal": ("dBm", " dBm", 1),
    "battery": ("V", " V", 1),
    "co2": ("ppm", " ppm", 1),
    "pm10": ("µg/m³", " µg/m³", 1),
    "pm25": ("µg/m³", " µg/m³", 1),
    "pm40": ("µg/m³", " µg/m³", 1),
    "pm100": ("µg/m³", " µg/m³", 1),
    "luminosity": ("lx", " lx", 1),
    "sound": ("dBA", " dBA", 1),
    "soundInstant": ("dBA", " dBA", 1),
    "soundAverage": ("dBA", " dBA", 1),
    "soundPeak": ("dB", " dB", 1),
}
_NO_UNIT = ("", "", 1.0)
_SIDES = {"over": "above", "under": "below"}


def notification_for(event: AlertEvent) -> Notification:
    """The finished notification of an event, in English and metric units."""
    unit, _, divisor = _UNITS.get(event.type, _NO_UNIT)
    return Notification(
        email=event.user.email,
        name=event.sensor_name,
        sensor_mac=str(event.sensor),
        alert_type=event.type,
        trigger=event.trigger,  # type: ignore[arg-type]  # written from rules.Trigger only
        current_value=event.value / divisor,
        threshold_value=event.threshold / divisor,
        unit=unit,
        description=event.description,
        title=title_for(event),
        body=event.sensor_name,
        subtitle=event.description,
        collapse_key=f"alert-{event.pk}",
    )


def title_for(event: AlertEvent) -> str:
    """What happened, such as `Temperature 9.5 °C, above the limit of 8 °C`."""
    if event.type == MOVEMENT:
        return "Movement noticed"
    _, symbol, divisor = _UNITS.get(event.type, _NO_UNIT)
    value, limit = (f"{round(v / divisor, 2):g}{symbol}" for v in (event.value, event.threshold))
    return f"{quantity(event.type)} {value}, {_SIDES[event.trigger]} the limit of {limit}"


def destination_for(token: PushToken) -> Destination:
    return Destination(
        address=token.token,
        platform=token.platform,
        sound_file=token.sound_file,
        language=token.language,
    )
