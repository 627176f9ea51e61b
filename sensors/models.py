"""Sensors, who may read them, and what they measured.

Times in Measurement, SparseMeasurement and Latest are Unix seconds (UTC) in four bytes: these
tables are nearly all of the database, and the small columns save an eighth of it.
"""

import hmac
from datetime import UTC, datetime

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import User
from ruuvinet.lib.mac import Mac, MacField
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

    mac = MacField("MAC address", primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="sensors"
    )
    public = models.BooleanField(
        default=False, help_text="Everybody who signed in may read its measurements."
    )
    offset_temperature_c = models.FloatField("temperature offset, °C", default=0)
    offset_humidity_pct = models.FloatField("humidity offset, %", default=0)
    offset_pressure_pa = models.FloatField("pressure offset, Pa", default=0)

    secret_hash = models.CharField(max_length=64, blank=True, default="", editable=False)

    # A new owner does not see what the sensor measured for the one before.
    last_owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )
    claimed_at = models.DateTimeField(null=True, editable=False, help_text="by its last owner")
    handed_over_at = models.IntegerField(
        default=0,
        editable=False,
        help_text="Unix seconds; what was measured until then belongs to earlier owners",
    )

    objects = SensorQuerySet.as_manager()

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

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="accesses")
    sensor = models.ForeignKey(Sensor, models.CASCADE, related_name="accesses")
    name = models.CharField(max_length=64, blank=True)
    picture = models.CharField(max_length=255, blank=True)
    edited_at = models.DateTimeField(
        default=timezone.now,
        editable=False,
        help_text="of what this person sees: name, picture, offsets and whether it is public",
    )

    class Meta:
        verbose_name_plural = "accesses"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "sensor"], name="one_access_per_user_and_sensor"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name or self.sensor.fallback_name} of {self.user}"


class PendingShare(models.Model):
    """That a sensor is to be shared with somebody who has not signed up yet."""

    sensor = models.ForeignKey(Sensor, models.CASCADE, related_name="pending_shares")
    shared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="pending_shares"
    )
    email = models.EmailField(max_length=254)
    invited_at = models.DateTimeField(help_text="when the last mail went out")

    class Meta:
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
        return f"{self.sensor_id} for {self.email}"


class SensorSetting(models.Model):
    """What the owner chose for a sensor in the apps, such as the order of values: kept as is.

    A setting that was cleared stays with an empty value, since apps compare when it was edited.
    """

    sensor = models.ForeignKey(Sensor, models.CASCADE, related_name="choices")
    type = models.CharField(max_length=64, validators=[RegexValidator(r"^[A-Za-z0-9_.-]+$")])
    value = models.TextField(blank=True)
    edited_at = models.DateTimeField(help_text="as the client says; see ruuvinet.lib.edits")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["sensor", "type"], name="one_value_per_sensor_and_setting"
            )
        ]

    def __str__(self) -> str:
        return f"{self.type} of {self.sensor_id}"


class _Reception(models.Model):
    """One advertisement as a gateway received it."""

    measured_at = models.IntegerField(help_text="Unix seconds")
    gateway = MacField()
    rssi_dbm = models.SmallIntegerField("signal, dBm")
    payload = models.BinaryField(help_text="the whole advertisement; see sensors.decoders")

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


class Measurement(_Reception):
    """Dense history: the first reception of each minute.

    `slot` is `measured_at` cut down to DENSE_INTERVAL_S. The key makes storage idempotent and
    thins what several gateways hear. Partitioned by slot on PostgreSQL, WITHOUT ROWID on SQLite.
    """

    pk = models.CompositePrimaryKey("sensor", "slot")
    sensor = MacField()
    slot = models.IntegerField()


class SparseMeasurement(_Reception):
    """Sparse history, kept longer: the first reception of each quarter of an hour."""

    pk = models.CompositePrimaryKey("sensor", "slot")
    sensor = MacField()
    slot = models.IntegerField()


class Latest(_Reception):
    """The newest reception of a sensor. Lists and alerts read this instead of the history."""

    sensor = MacField("sensor", primary_key=True)
    data_format = models.SmallIntegerField(null=True, help_text="None for one that we do not know")

    class Meta:
        verbose_name = "heard sensor"
        indexes = [
            # The gateway pages of the console: which sensors does it hear?
            models.Index(fields=["gateway"], name="latest_by_gateway")
        ]

    def __str__(self) -> str:
        return str(self.sensor)
