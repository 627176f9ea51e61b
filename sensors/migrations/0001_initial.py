import time

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import ruuvinet.lib.mac
from sensors.partitions import TABLES, ensure_partitions

COLUMNS = """
    sensor bigint NOT NULL,
    slot integer NOT NULL,
    measured_at integer NOT NULL,
    gateway bigint NOT NULL,
    rssi_dbm smallint NOT NULL,
    payload {blob} NOT NULL,
    PRIMARY KEY (sensor, slot)
"""


def create_history(apps, schema_editor):
    postgresql = schema_editor.connection.vendor == "postgresql"
    columns = COLUMNS.format(blob="bytea" if postgresql else "BLOB")
    # Both keep the rows of one sensor together: a page of history is read in one go.
    layout = "PARTITION BY RANGE (slot)" if postgresql else "WITHOUT ROWID"
    for table in TABLES:
        schema_editor.execute(f"CREATE TABLE {table} ({columns}) {layout}")
    ensure_partitions(int(time.time()))


def drop_history(apps, schema_editor):
    for table in TABLES:
        schema_editor.execute(f"DROP TABLE {table}")


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="Measurement",
                    fields=[
                        ("measured_at", models.IntegerField(help_text="Unix seconds")),
                        ("gateway", ruuvinet.lib.mac.MacField()),
                        ("rssi_dbm", models.SmallIntegerField(verbose_name="signal, dBm")),
                        (
                            "payload",
                            models.BinaryField(
                                help_text="the whole advertisement; see sensors.decoders"
                            ),
                        ),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "sensor",
                                "slot",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("sensor", ruuvinet.lib.mac.MacField()),
                        ("slot", models.IntegerField()),
                    ],
                ),
                migrations.CreateModel(
                    name="SparseMeasurement",
                    fields=[
                        ("measured_at", models.IntegerField(help_text="Unix seconds")),
                        ("gateway", ruuvinet.lib.mac.MacField()),
                        ("rssi_dbm", models.SmallIntegerField(verbose_name="signal, dBm")),
                        (
                            "payload",
                            models.BinaryField(
                                help_text="the whole advertisement; see sensors.decoders"
                            ),
                        ),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "sensor",
                                "slot",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("sensor", ruuvinet.lib.mac.MacField()),
                        ("slot", models.IntegerField()),
                    ],
                ),
            ],
            database_operations=[migrations.RunPython(create_history, drop_history)],
        ),
        migrations.CreateModel(
            name="Latest",
            fields=[
                ("measured_at", models.IntegerField(help_text="Unix seconds")),
                ("gateway", ruuvinet.lib.mac.MacField()),
                ("rssi_dbm", models.SmallIntegerField(verbose_name="signal, dBm")),
                (
                    "payload",
                    models.BinaryField(help_text="the whole advertisement; see sensors.decoders"),
                ),
                (
                    "sensor",
                    ruuvinet.lib.mac.MacField(
                        primary_key=True, serialize=False, verbose_name="sensor"
                    ),
                ),
                (
                    "data_format",
                    models.SmallIntegerField(
                        help_text="None for one that we do not know", null=True
                    ),
                ),
            ],
            options={
                "verbose_name": "heard sensor",
                "indexes": [models.Index(fields=["gateway"], name="latest_by_gateway")],
            },
        ),
        migrations.CreateModel(
            name="Sensor",
            fields=[
                (
                    "mac",
                    ruuvinet.lib.mac.MacField(
                        primary_key=True, serialize=False, verbose_name="MAC address"
                    ),
                ),
                (
                    "offset_temperature_c",
                    models.FloatField(default=0, verbose_name="temperature offset, °C"),
                ),
                (
                    "offset_humidity_pct",
                    models.FloatField(default=0, verbose_name="humidity offset, %"),
                ),
                (
                    "offset_pressure_pa",
                    models.FloatField(default=0, verbose_name="pressure offset, Pa"),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="sensors",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Access",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=64)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="accesses",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "sensor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="accesses",
                        to="sensors.sensor",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "accesses",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "sensor"), name="one_access_per_user_and_sensor"
                    )
                ],
            },
        ),
    ]
