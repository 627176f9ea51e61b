"""Alert rules, what they found, and who is told."""

import secrets
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from ruuvinet.lib.crypto import EncryptedTextField
from ruuvinet.lib.mac import MacField
from sensors.models import Access, Sensor


class AlertRuleQuerySet(models.QuerySet["AlertRule"]):
    def judged(self) -> "AlertRuleQuerySet":
        """Those that count: enabled, of a person who is active and may read the sensor."""
        shared = Access.objects.filter(user=OuterRef("user"), sensor=OuterRef("sensor"))
        public = Q(sensor__public=True, sensor__owner__isnull=False)
        return self.filter(
            Exists(shared) | Q(sensor__owner=F("user")) | public,
            enabled=True,
            user__is_active=True,
        )


class AlertRule(models.Model):
    """One person's rule for one quantity of one sensor, and what it remembers."""

    class Type(models.TextChoices):
        """The names are those of the wire; limits are in the unit named here."""

        TEMPERATURE = "temperature", "Temperature, °C"
        HUMIDITY = "humidity", "Relative humidity, %"
        ABSOLUTE_HUMIDITY = "humidityAbsolute", "Absolute humidity, g/m³"
        DEW_POINT = "dewPoint", "Dew point, °C"
        PRESSURE = "pressure", "Air pressure, Pa"
        SIGNAL = "signal", "Signal strength, dBm"
        MOVEMENT = "movement", "Movement"
        BATTERY = "battery", "Battery voltage, V"
        AQI = "aqi", "Air quality, 0 to 100"
        CO2 = "co2", "CO₂, ppm"
        PM1 = "pm10", "PM1.0, µg/m³"
        PM2_5 = "pm25", "PM2.5, µg/m³"
        PM4 = "pm40", "PM4.0, µg/m³"
        PM10 = "pm100", "PM10, µg/m³"
        VOC = "voc", "VOC index"
        NOX = "nox", "NOx index"
        LUMINOSITY = "luminosity", "Luminosity, lx"
        SOUND = "sound", "Sound level, dBA"
        SOUND_INSTANT = "soundInstant", "Sound level (instant), dBA"
        SOUND_AVERAGE = "soundAverage", "Sound level (average), dBA"
        SOUND_PEAK = "soundPeak", "Sound level (peak), dB"
        OFFLINE = "offline", "Cloud connection, s of silence"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="alert_rules")
    sensor = models.ForeignKey(Sensor, models.CASCADE, related_name="alert_rules")
    type = models.CharField(max_length=20, choices=Type)
    enabled = models.BooleanField(default=True)
    min = models.FloatField("lower limit", null=True, blank=True)
    max = models.FloatField("upper limit", null=True, blank=True)
    description = models.CharField(
        max_length=255, blank=True, help_text="comes with the notification"
    )
    delay_s = models.PositiveIntegerField(
        "delay, s", default=0, help_text="how long a limit must be broken before it counts"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # When the person last edited it, by the clock of the app: the newer edit wins.
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    # Set on every change of the configuration: older samples are not this rule's to judge.
    configured_at = models.DateTimeField(default=timezone.now, editable=False)

    triggered = models.BooleanField(default=False, editable=False)
    triggered_at = models.DateTimeField(null=True, blank=True, editable=False)
    counter = models.IntegerField(
        "movement counter", default=0, help_text="the value that means: not moved"
    )
    # Unix seconds, as the judge has them; what each is for: alerts.rules.State.
    breached_since = models.IntegerField(null=True, blank=True, editable=False)
    clear_since = models.IntegerField(null=True, blank=True, editable=False)
    told_at = models.IntegerField(null=True, blank=True, editable=False)

    objects = AlertRuleQuerySet.as_manager()

    CONFIGURATION = ("user_id", "sensor_id", "type", "enabled", "min", "max", "counter", "delay_s")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "sensor", "type"], name="one_alert_rule_per_user_sensor_and_type"
            )
        ]
        indexes = [
            # Which of the sensors just heard have rules to judge: services.wake.
            models.Index(
                fields=["sensor"], condition=Q(enabled=True), name="alert_rule_enabled_by_sensor"
            ),
            # Which rules the offline scan may have to trigger: offline.scan.
            models.Index(
                fields=["sensor"],
                condition=Q(type="offline", enabled=True, triggered=False),
                name="alert_rule_quiet_offline",
            ),
        ]

    def __str__(self) -> str:
        return f"{quantity(self.type)} of {self.sensor_id}"

    def clean(self) -> None:
        if self.type == self.Type.OFFLINE and self.max is None:
            raise ValidationError("Give an upper limit: for how many seconds it may be silent.")
        if self.type != self.Type.MOVEMENT and self.min is None and self.max is None:
            raise ValidationError("Give a lower limit, an upper limit or both.")


def quantity(type_: str) -> str:
    """What a rule type is about, in words and without its unit: `Temperature`."""
    return AlertRule.Type(type_).label.partition(",")[0]


def short(value: float) -> str:
    """`value` with two decimals at most: derived quantities have many more than are true."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


class EvaluationMark(models.Model):
    """How far a sensor's readings have been judged; the lock that makes judging happen once.

    `evaluated_to` is Unix seconds and never ahead of our clock, so that one gateway with a fast
    clock cannot silence the others. What was judged although it claims a later time is listed
    in `judged_ahead`.
    """

    sensor = models.OneToOneField(
        Sensor, models.CASCADE, primary_key=True, related_name="evaluation_mark"
    )
    evaluated_to = models.IntegerField()
    judged_ahead = models.JSONField(default=list)
    # The newest judged payload: the same one again, from another gateway, is no second sample.
    judged_payload = models.BinaryField(null=True)

    def __str__(self) -> str:
        return f"{self.sensor} judged to {self.evaluated_to}"


class ListeningSpan(models.Model):
    """From when to when readings were taken in; Unix seconds (UTC). Spans may overlap.

    Silence counts only where it was listened to: see alerts.offline.
    """

    since = models.IntegerField()
    until = models.IntegerField(db_index=True)

    def __str__(self) -> str:
        return f"{self.since} to {self.until}"


class AlertEvent(models.Model):
    """One trigger of a rule, as it was at that time; stays when rule and sensor are gone."""

    rule = models.ForeignKey(AlertRule, models.SET_NULL, null=True, related_name="events")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="alert_events")
    sensor = MacField()
    sensor_name = models.CharField(max_length=64)
    type = models.CharField(max_length=20, choices=AlertRule.Type)
    trigger = models.CharField(max_length=16)
    value = models.FloatField()
    threshold = models.FloatField()
    description = models.CharField(max_length=255, blank=True)
    opened_at = models.DateTimeField(help_text="time of the sample")
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule"],
                condition=Q(resolved_at=None),
                name="one_open_event_per_rule",
            )
        ]
        indexes = [
            # The timeline of a sensor in the console.
            models.Index(fields=["sensor", "-opened_at"], name="alert_event_of_sensor_by_time"),
            # What is to be forgotten: services.purge_events.
            models.Index(fields=["resolved_at"], name="alert_event_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.sensor_name}: {self.what}"

    @property
    def what(self) -> str:
        """How the rule was broken: `Temperature over 8`."""
        return f"{quantity(self.type)} {self.trigger} {short(self.threshold)}"


def _random_token_id() -> int:
    """Unguessable, since apps unregister by it without signing in; 32 bits, as the apps expect."""
    return secrets.randbelow(2**32 - 1) + 1


class PushToken(models.Model):
    """A phone that may be told, known to Firebase by `token`."""

    class Platform(models.TextChoices):
        ANDROID = "android", "Android"
        IOS = "ios", "iOS"

    id = models.BigIntegerField(primary_key=True, default=_random_token_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="push_tokens")
    token = models.CharField(max_length=4096, unique=True)
    platform = models.CharField(max_length=16, choices=Platform)
    name = models.CharField(max_length=255, blank=True)
    language = models.CharField(
        max_length=8, blank=True, help_text="two letters; empty: the person's own"
    )
    sound_file = models.CharField(max_length=64, default="default")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_accessed_at = models.DateTimeField(default=timezone.now, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    retired_reason = models.CharField(max_length=255, blank=True, editable=False)

    def __str__(self) -> str:
        return f"{self.get_platform_display()} …{self.token[-4:]}"


class Webhook(models.Model):
    """A server of a person's own that is told of each of that person's alerts."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="webhook")
    url = models.URLField("URL", max_length=2000)
    secret = EncryptedTextField(
        default=secrets.token_urlsafe, help_text="signs each message: docs/alerts.md"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    retired_reason = models.CharField(max_length=255, blank=True, editable=False)

    def __str__(self) -> str:
        return str(urlsplit(self.url).hostname)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, now: datetime) -> "DeliveryQuerySet":
        """Those to send now: waiting with their time come, or taken by a worker that died."""
        return self.filter(status=Delivery.Status.PENDING, next_attempt_at__lte=now)


class Delivery(models.Model):
    """That one destination is to be told of one event: the outbox."""

    class Channel(models.TextChoices):
        PUSH = "push", "push"
        EMAIL = "email", "e-mail"
        WEBHOOK = "webhook", "webhook"

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        SENT = "sent", "sent"
        FAILED = "failed", "failed"
        NOT_SENT = "not_sent", "not sent"

    event = models.ForeignKey(AlertEvent, models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=8, choices=Channel)
    address = models.CharField(max_length=4096)
    status = models.CharField(max_length=8, choices=Status, default=Status.PENDING)
    outcome = models.CharField(max_length=255, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    # A worker that takes a delivery moves this ahead by the lease: that is the whole lock.
    next_attempt_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["event", "channel", "address"],
                name="one_delivery_per_event_and_destination",
            )
        ]
        indexes = [
            # What the sweep looks for: DeliveryQuerySet.due.
            models.Index(
                fields=["channel", "next_attempt_at"],
                condition=Q(status="pending"),
                name="delivery_pending_by_channel",
            ),
            # How those of the last day ended, from the index alone: selectors.alert_counts.
            models.Index(fields=["created_at", "status"], name="delivery_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self._where}"

    @property
    def _where(self) -> str:
        """Of a phone, enough to know it by and too little to push to it."""
        return f"…{self.address[-4:]}" if self.channel == self.Channel.PUSH else self.address
