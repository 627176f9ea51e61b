from django.db import models


class Gateway(models.Model):
    mac = models.BigIntegerField(primary_key=True)
    secret = models.TextField()
    whitelisted_at = models.DateTimeField(null=True)
    first_seen_at = models.DateTimeField(null=True)
    connected_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(null=True)
    last_address = models.GenericIPAddressField(null=True)
    clock_offset_s = models.BigIntegerField(null=True)
    bad_tags = models.PositiveBigIntegerField(default=0)
    late_readings = models.PositiveBigIntegerField(default=0)

    class Meta:
        db_table = "gateway"

    def __str__(self):
        return f"{self.mac:012X}"


class Reading(models.Model):
    measured_at = models.IntegerField()
    gateway = models.BigIntegerField()
    rssi_dbm = models.SmallIntegerField()
    payload = models.BinaryField()

    class Meta:
        abstract = True

    def __str__(self):
        return f"{self.pk} at {self.measured_at}"


class Measurement(Reading):
    pk = models.CompositePrimaryKey("sensor", "slot")
    sensor = models.BigIntegerField()
    slot = models.IntegerField()

    class Meta:
        db_table = "measurement"


class SparseMeasurement(Reading):
    pk = models.CompositePrimaryKey("sensor", "slot")
    sensor = models.BigIntegerField()
    slot = models.IntegerField()

    class Meta:
        db_table = "sparse_measurement"


class Latest(Reading):
    sensor = models.BigIntegerField(primary_key=True)
    data_format = models.SmallIntegerField(null=True)

    class Meta:
        db_table = "latest"
        indexes = [models.Index(fields=["gateway"], name="latest_by_gateway")]
