"""Alert rules, what they found, and who is told."""

import secrets
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ruuvinet.lib.crypto import EncryptedTextField
from ruuvinet.lib.mac import MacField
from ruuvinet.lib.words import of
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

        TEMPERATURE = "temperature", _("Temperature, °C")
        HUMIDITY = "humidity", _("Relative humidity, %")
        ABSOLUTE_HUMIDITY = "humidityAbsolute", _("Absolute humidity, g/m³")
        DEW_POINT = "dewPoint", _("Dew point, °C")
        PRESSURE = "pressure", _("Air pressure, Pa")
        SIGNAL = "signal", _("Signal strength, dBm")
        MOVEMENT = "movement", _("Movement")
        BATTERY = "battery", _("Battery voltage, V")
        AQI = "aqi", _("Air quality, 0 to 100")
        CO2 = "co2", _("CO₂, ppm")
        PM1 = "pm10", _("PM1.0, µg/m³")
        PM2_5 = "pm25", _("PM2.5, µg/m³")
        PM4 = "pm40", _("PM4.0, µg/m³")
        PM10 = "pm100", _("PM10, µg/m³")
        VOC = "voc", _("VOC index")
        NOX = "nox", _("NOx index")
        LUMINOSITY = "luminosity", _("Luminosity, lx")
        SOUND = "sound", _("Sound level, dBA")
        SOUND_INSTANT = "soundInstant", _("Sound level (instant), dBA")
        SOUND_AVERAGE = "soundAverage", _("Sound level (average), dBA")
        SOUND_PEAK = "soundPeak", _("Sound level (peak), dB")
        OFFLINE = "offline", _("Cloud connection, s of silence")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="alert_rules", verbose_name=_("user")
    )
    sensor = models.ForeignKey(
        Sensor, models.CASCADE, related_name="alert_rules", verbose_name=_("sensor")
    )
    type = models.CharField(_("type"), max_length=20, choices=Type)
    enabled = models.BooleanField(_("enabled"), default=True)
    min = models.FloatField(_("lower limit"), null=True, blank=True)
    max = models.FloatField(_("upper limit"), null=True, blank=True)
    description = models.CharField(
        _("description"), max_length=255, blank=True, help_text=_("comes with the notification")
    )
    delay_s = models.PositiveIntegerField(
        _("delay, s"), default=0, help_text=_("how long a limit must be broken before it counts")
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    # When the person last edited it, by the clock of the app: the newer edit wins.
    updated_at = models.DateTimeField(_("updated at"), default=timezone.now, editable=False)
    # Set on every change of the configuration: older samples are not this rule's to judge.
    configured_at = models.DateTimeField(_("configured at"), default=timezone.now, editable=False)

    triggered = models.BooleanField(_("triggered"), default=False, editable=False)
    triggered_at = models.DateTimeField(_("triggered at"), null=True, blank=True, editable=False)
    counter = models.IntegerField(
        _("movement counter"), default=0, help_text=_("the value that means: not moved")
    )
    # Unix seconds, as the judge has them; what each is for: alerts.rules.State.
    breached_since = models.IntegerField(null=True, blank=True, editable=False)
    clear_since = models.IntegerField(null=True, blank=True, editable=False)
    told_at = models.IntegerField(_("told at"), null=True, blank=True, editable=False)

    objects = AlertRuleQuerySet.as_manager()

    CONFIGURATION = ("user_id", "sensor_id", "type", "enabled", "min", "max", "counter", "delay_s")

    class Meta:
        verbose_name = _("alert rule")
        verbose_name_plural = _("alert rules")
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
        return of(quantity(self.type), self.sensor_id)

    def clean(self) -> None:
        if self.type == self.Type.OFFLINE and self.max is None:
            raise ValidationError(_("Give an upper limit: for how many seconds it may be silent."))
        if self.type != self.Type.MOVEMENT and self.min is None and self.max is None:
            raise ValidationError(_("Give a lower limit, an upper limit or both."))


def quantity(type_: str) -> str:
    """What a rule type is about, in words and without its unit: `Temperature`."""
    return str(AlertRule.Type(type_).label).partition(",")[0]


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

    rule = models.ForeignKey(
        AlertRule, models.SET_NULL, null=True, related_name="events", verbose_name=_("rule")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="alert_events",
        verbose_name=_("user"),
    )
    sensor = MacField(_("sensor"))
    sensor_name = models.CharField(_("sensor name"), max_length=64)
    type = models.CharField(_("type"), max_length=20, choices=AlertRule.Type)
    trigger = models.CharField(_("trigger"), max_length=16)
    value = models.FloatField(_("value"))
    threshold = models.FloatField(_("threshold"))
    description = models.CharField(_("description"), max_length=255, blank=True)
    opened_at = models.DateTimeField(_("opened at"), help_text=_("time of the sample"))
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)

    class Meta:
        verbose_name = _("alert event")
        verbose_name_plural = _("alert events")
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

    id = models.BigIntegerField(_("id"), primary_key=True, default=_random_token_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="push_tokens", verbose_name=_("user")
    )
    token = models.CharField(_("token"), max_length=4096, unique=True)
    platform = models.CharField(_("platform"), max_length=16, choices=Platform)
    name = models.CharField(_("name"), max_length=255, blank=True)
    language = models.CharField(
        _("language"), max_length=8, blank=True, help_text=_("two letters; empty: the person's own")
    )
    sound_file = models.CharField(_("sound file"), max_length=64, default="default")
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    last_accessed_at = models.DateTimeField(
        _("last accessed at"), default=timezone.now, editable=False
    )
    retired_at = models.DateTimeField(_("retired at"), null=True, blank=True, editable=False)
    retired_reason = models.CharField(
        _("retired reason"), max_length=255, blank=True, editable=False
    )

    class Meta:
        verbose_name = _("push token")
        verbose_name_plural = _("push tokens")

    def __str__(self) -> str:
        return f"{self.get_platform_display()} …{self.token[-4:]}"


class Webhook(models.Model):
    """A server of a person's own that is told of each of that person's alerts."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="webhook", verbose_name=_("user")
    )
    url = models.URLField(_("URL"), max_length=2000)
    secret = EncryptedTextField(
        _("secret"),
        default=secrets.token_urlsafe,
        help_text=_("signs each message: docs/alerts.md"),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    retired_at = models.DateTimeField(_("retired at"), null=True, blank=True, editable=False)
    retired_reason = models.CharField(
        _("retired reason"), max_length=255, blank=True, editable=False
    )

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")

    def __str__(self) -> str:
        return str(urlsplit(self.url).hostname)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, now: datetime) -> "DeliveryQuerySet":
        """Those to send now: waiting with their time come, or taken by a worker that died."""
        return self.filter(status=Delivery.Status.PENDING, next_attempt_at__lte=now)


class Delivery(models.Model):
    """That one destination is to be told of one event: the outbox."""

    class Channel(models.TextChoices):
        PUSH = "push", _("push")
        EMAIL = "email", _("e-mail")
        WEBHOOK = "webhook", _("webhook")

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")
        NOT_SENT = "not_sent", _("not sent")

    event = models.ForeignKey(
        AlertEvent, models.CASCADE, related_name="deliveries", verbose_name=_("event")
    )
    channel = models.CharField(_("channel"), max_length=8, choices=Channel)
    address = models.CharField(_("address"), max_length=4096)
    status = models.CharField(_("status"), max_length=8, choices=Status, default=Status.PENDING)
    outcome = models.CharField(_("outcome"), max_length=255, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    created_at = models.DateTimeField(_("created at"))
    # A worker that takes a delivery moves this ahead by the lease: that is the whole lock.
    next_attempt_at = models.DateTimeField(_("next attempt at"))
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
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
