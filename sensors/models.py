"""Sensors, who may read them, and what they measured.

Times in Measurement, SparseMeasurement and Latest are Unix seconds (UTC) in four bytes: these
tables are nearly all of the database, and the small columns save a fifth of it.
"""

import hmac
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from ruuvinet.lib.mac import Mac, MacField
from ruuvinet.lib.words import of
from sensors.decoders import Reading, decode_advertisement
from sensors.secret import hash_secret

DENSE_INTERVAL_S = 60
SPARSE_INTERVAL_S = 15 * 60
# Ruuvi's longest advertisement has 48 bytes; this leaves room for what others may chain together.
MAX_PAYLOAD_BYTES = 1024


def fallback_name(mac: Mac) -> str:
    """What the apps call a sensor without a name: `Ruuvi ` and the last four digits."""
    return "Ruuvi " + str(mac)[-5:].replace(":", "")


class SensorQuerySet(models.QuerySet["Sensor"]):
    def readable_by(self, user: User) -> "SensorQuerySet":
        """Those that `user` owns, was given a share of, or everybody may read."""
        shared = Access.objects.filter(user=user).values("sensor")
        return self.filter(Q(owner=user) | Q(public=True, owner__isnull=False) | Q(mac__in=shared))


class Sensor(models.Model):
    """A sensor that somebody claimed or the factory registered; others are only heard."""

    mac = MacField(_("MAC address"), primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="sensors",
        verbose_name=_("owner"),
    )
    public = models.BooleanField(
        _("public"),
        default=False,
        help_text=_("Everybody who signed in may read its measurements."),
    )
    offset_temperature_c = models.FloatField(_("temperature offset, °C"), default=0)
    offset_humidity_pct = models.FloatField(_("humidity offset, %"), default=0)
    offset_pressure_pa = models.FloatField(_("pressure offset, Pa"), default=0)

    secret_hash = models.CharField(max_length=64, blank=True, default="", editable=False)

    # A new owner does not see what the sensor measured for the one before.
    last_owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        verbose_name=_("last owner"),
    )
    claimed_at = models.DateTimeField(
        _("claimed at"), null=True, editable=False, help_text=_("by its last owner")
    )
    handed_over_at = models.IntegerField(
        _("handed over at"),
        default=0,
        editable=False,
        help_text=_("Unix seconds; what was measured until then belongs to earlier owners"),
    )

    objects = SensorQuerySet.as_manager()

    class Meta:
        verbose_name = _("sensor")
        verbose_name_plural = _("sensors")

    def __str__(self) -> str:
        return str(self.mac)

    def give_to(self, user: User, at: datetime) -> None:
        """Make `user` the owner. Unsaved."""
        if self.claimed_at and self.last_owner_id != user.pk:
            self.handed_over_at = int(at.timestamp())
        self.owner = self.last_owner = user
        self.claimed_at = at

    def has_secret(self, secret: str) -> bool:
        """Whether `secret` is the one that the factory registered, in constant time."""
        try:
            presented = hash_secret(self.mac, secret)
        except ValueError:
            return False
        return hmac.compare_digest(presented, self.secret_hash)

    @property
    def offsets(self) -> dict[str, float]:
        """What the owner adds to a reading, by the names of its fields."""
        return {
            "temperature_c": self.offset_temperature_c,
            "humidity_pct": self.offset_humidity_pct,
            "pressure_pa": self.offset_pressure_pa,
        }

    @property
    def fallback_name(self) -> str:
        return fallback_name(self.mac)


class Access(models.Model):
    """That a person may read a sensor, and how it looks to that person.

    The owner has one, and so has everybody with whom the sensor is shared. `picture` is the name
    of a stored file (see sensors.pictures) or a bare name that an app gave.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="accesses", verbose_name=_("user")
    )
    sensor = models.ForeignKey(
        Sensor, models.CASCADE, related_name="accesses", verbose_name=_("sensor")
    )
    name = models.CharField(_("name"), max_length=64, blank=True)
    picture = models.CharField(_("picture"), max_length=255, blank=True)
    edited_at = models.DateTimeField(
        _("edited at"),
        default=timezone.now,
        editable=False,
        help_text=_("of what this person sees: name, picture, offsets and whether it is public"),
    )

    class Meta:
        verbose_name = _("access")
        verbose_name_plural = _("accesses")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "sensor"], name="one_access_per_user_and_sensor"
            )
        ]

    def __str__(self) -> str:
        return of(self.name or self.sensor.fallback_name, self.user)


class PendingShare(models.Model):
    """That a sensor is to be shared with somebody who has not signed up yet."""

    sensor = models.ForeignKey(
        Sensor, models.CASCADE, related_name="pending_shares", verbose_name=_("sensor")
    )
    shared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="pending_shares",
        verbose_name=_("shared by"),
    )
    email = models.EmailField(_("email"), max_length=254)
    invited_at = models.DateTimeField(_("invited at"), help_text=_("when the last mail went out"))

    class Meta:
        verbose_name = _("pending share")
        verbose_name_plural = _("pending shares")
        constraints = [
            models.UniqueConstraint(
                fields=["email", "sensor"], name="one_pending_share_per_email_and_sensor"
            ),
            # Accounts are found by exact comparison.
            models.CheckConstraint(
                condition=Q(email=Lower("email")), name="pending_share_email_lower_case"
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(sensor_id)s for %(email)s") % vars(self)


class SensorSetting(models.Model):
    """What the owner chose for a sensor in the apps, such as the order of values: kept as is.

    A setting that was cleared stays with an empty value, since apps compare when it was edited.
    """

    sensor = models.ForeignKey(
        Sensor, models.CASCADE, related_name="choices", verbose_name=_("sensor")
    )
    type = models.CharField(
        _("type"), max_length=64, validators=[RegexValidator(r"^[A-Za-z0-9_.-]+$")]
    )
    value = models.TextField(_("value"), blank=True)
    edited_at = models.DateTimeField(
        _("edited at"), help_text=_("as the client says; see ruuvinet.lib.edits")
    )

    class Meta:
        verbose_name = _("sensor setting")
        verbose_name_plural = _("sensor settings")
        constraints = [
            models.UniqueConstraint(
                fields=["sensor", "type"], name="one_value_per_sensor_and_setting"
            )
        ]

    def __str__(self) -> str:
        return of(self.type, self.sensor_id)


class _Reception(models.Model):
    """One advertisement as a gateway received it."""

    measured_at: Any  # Unix seconds
    gateway = MacField(_("gateway"))
    rssi_dbm = models.SmallIntegerField(_("signal, dBm"))
    payload = models.BinaryField(help_text=_("the whole advertisement; see sensors.decoders"))

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{vars(self)['sensor']} at {self.measured_time:%Y-%m-%d %H:%M:%S}"

    @property
    def measured_time(self) -> datetime:
        return datetime.fromtimestamp(self.measured_at, UTC)

    def reading(self) -> Reading | None:
        """The decoded payload; None for a format that we do not know."""
        return decode_advertisement(bytes(self.payload))


class _HistoryManager(models.Manager[Any]):
    def get_queryset(self) -> models.QuerySet[Any]:
        """With the time as one value, for filters and `values`."""
        rows: models.QuerySet[Any] = (
            super().get_queryset().annotate(measured_at=F("slot") + F("offset_s"))
        )
        return rows


class _HistoryRow(_Reception):
    """A reception under the key (sensor, slot), `slot` being its time cut down to an interval.

    The rest of the time takes two bytes, and with them a row just fits: PostgreSQL rounds rows up
    to eight bytes.
    """

    slot = models.IntegerField()
    offset_s = models.SmallIntegerField(help_text="from the start of the slot")

    objects = _HistoryManager()

    class Meta:
        abstract = True

    @property
    def measured_at(self) -> int:
        return self.slot + self.offset_s

    @measured_at.setter
    def measured_at(self, at: int) -> None:
        self.offset_s = at - self.slot


class Measurement(_HistoryRow):
    """Dense history: the first reception of each minute.

    `slot` is `measured_at` cut down to DENSE_INTERVAL_S. The key makes storage idempotent and
    thins what several gateways hear. Partitioned by slot on PostgreSQL, WITHOUT ROWID on SQLite.
    """

    pk = models.CompositePrimaryKey("sensor", "slot")
    sensor = MacField()


class SparseMeasurement(_HistoryRow):
    """Sparse history, kept longer: the first reception of each quarter of an hour."""

    pk = models.CompositePrimaryKey("sensor", "slot")
    sensor = MacField()


class Latest(_Reception):
    """The newest reception of a sensor. Lists and alerts read this instead of the history."""

    sensor = MacField(_("sensor"), primary_key=True)
    measured_at = models.IntegerField(_("measured at"), help_text=_("Unix seconds"))
    data_format = models.SmallIntegerField(
        _("data format"), null=True, help_text=_("None for one that we do not know")
    )

    class Meta:
        verbose_name = _("heard sensor")
        verbose_name_plural = _("heard sensors")
        indexes = [
            # The gateway pages of the console: which sensors does it hear?
            models.Index(fields=["gateway"], name="latest_by_gateway")
        ]

    def __str__(self) -> str:
        return str(self.sensor)
