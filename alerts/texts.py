"""From an event to what one person reads of it."""

from datetime import datetime, timedelta

from django.conf import settings

from alerts import words
from alerts.models import AlertEvent
from alerts.transports.base import Notification
from alerts.words import Preferences


def notification_for(
    event: AlertEvent, preferences: Preferences, *, language: str = "", now: datetime
) -> Notification:
    """The finished notification of an event, in the receiver's language and units.

    `language` is that of the device; empty or unknown: the person's own. What is told later than
    ALERT_LATE_AFTER_S says so in its title.
    """
    spoken = words.language_of(language, preferences.language)
    unit = preferences.unit(event.type)
    current, threshold = unit.convert(event.value), unit.convert(event.threshold)
    value, limit = (words.number(v, spoken) + unit.symbol for v in (current, threshold))
    title = words.title(event.type, event.trigger, value=value, limit=limit, language=spoken)
    is_late = now - event.opened_at > timedelta(seconds=settings.ALERT_LATE_AFTER_S)
    return Notification(
        email=event.user.email,
        name=event.sensor_name,
        sensor_mac=str(event.sensor),
        alert_type=event.type,
        type_name=words.name_of(event.type, spoken),
        trigger=event.trigger,  # type: ignore[arg-type]  # written from rules.Trigger only
        base_value=event.value,
        base_threshold=event.threshold,
        current_value=current,
        threshold_value=threshold,
        unit=unit.code,
        value_text=value,
        threshold_text=limit,
        description=event.description,
        title=words.late(title, event.opened_at, spoken) if is_late else title,
        body=event.sensor_name,
        subtitle=event.description,
        language=spoken,
        opened_at=event.opened_at,
        is_late=is_late,
        collapse_key=f"alert-{event.pk}",
    )
