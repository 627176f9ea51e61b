"""Sensors, who may read them, and what they measured.

Times in Measurement, SparseMeasurement and Latest are Unix seconds (UTC) in four bytes: these
tables are nearly all of the database, and the small columns save an eighth of it.
"""

import hmac
from datetime import UTC, datetime

from django.conf import settings
from django.db import models

from ruuvinet.lib.mac import MacField
from sensors.decoders import Reading, decode_advertisement
from sensors.secret import hash_secret

DENSE_INTERVAL_S = 60
SPARSE_INTERVAL_S = 15 * 60
# Ruuvi's longest advertisement has 48 bytes; this leaves room for what others may chain together.
MAX_PAYLOAD_BYTES = 1024


class Sensor(models.Model):
    """A sensor that somebody claimed or the factory registered; others are only heard."""

    mac = MacField("MAC address", primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="sensors"
    )
    offset_temperature_c = models.FloatField("temperature offset, °C", default=0)
    offset_humidity_pct = models.FloatField("humidity offset, %", default=0)
    offset_pressure_pa = models.FloatField("pressure offset, Pa", default=0)

    secret_hash = models.CharField(max_length=64, blank=True, default="", editable=False)

    def __str__(self) -> str:
        return str(self.mac)

    def has_secret(self, secret: str) -> bool:
        """Whether `secret` is the one that the factory registered, in constant time."""
        try:
            presented = hash_secret(self.mac, secret)
        except ValueError:
            return False
        return hmac.compare_digest(presented, self.secret_hash)

    @property
    def fallback_name(self) -> str:
        """What the apps call a sensor without a name: `Ruuvi ` and the last four digits."""
        return "Ruuvi " + str(self.mac)[-5:].replace(":", "")


class Access(models.Model):
    """That a person may read a sensor, and what that person calls it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="accesses")
    sensor = models.ForeignKey(Sensor, models.CASCADE, related_name="accesses")
    name = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name_plural = "accesses"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "sensor"], name="one_access_per_user_and_sensor"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name or self.sensor.fallback_name} of {self.user}"


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
