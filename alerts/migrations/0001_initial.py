import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import alerts.models
import ruuvinet.lib.mac


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("sensors", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="EvaluationMark",
            fields=[
                (
                    "sensor",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="evaluation_mark",
                        serialize=False,
                        to="sensors.sensor",
                    ),
                ),
                ("evaluated_to", models.IntegerField()),
                ("judged_ahead", models.JSONField(default=list)),
            ],
        ),
        migrations.CreateModel(
            name="AlertRule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("temperature", "Temperature, °C"),
                            ("humidity", "Relative humidity, %"),
                            ("humidityAbsolute", "Absolute humidity, g/m³"),
                            ("dewPoint", "Dew point, °C"),
                            ("pressure", "Air pressure, Pa"),
                            ("signal", "Signal strength, dBm"),
                            ("movement", "Movement"),
                            ("battery", "Battery voltage, V"),
                            ("aqi", "Air quality, 0 to 100"),
                            ("co2", "CO₂, ppm"),
                            ("pm10", "PM1.0, µg/m³"),
                            ("pm25", "PM2.5, µg/m³"),
                            ("pm40", "PM4.0, µg/m³"),
                            ("pm100", "PM10, µg/m³"),
                            ("voc", "VOC index"),
                            ("nox", "NOx index"),
                            ("luminosity", "Luminosity, lx"),
                            ("sound", "Sound level, dBA"),
                            ("soundInstant", "Sound level (instant), dBA"),
                            ("soundAverage", "Sound level (average), dBA"),
                            ("soundPeak", "Sound level (peak), dB"),
                        ],
                        max_length=20,
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
                ("min", models.FloatField(blank=True, null=True, verbose_name="lower limit")),
                ("max", models.FloatField(blank=True, null=True, verbose_name="upper limit")),
                (
                    "description",
                    models.CharField(
                        blank=True, help_text="comes with the notification", max_length=255
                    ),
                ),
                (
                    "configured_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("triggered", models.BooleanField(default=False, editable=False)),
                ("triggered_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "counter",
                    models.IntegerField(
                        default=0,
                        help_text="the value that means: not moved",
                        verbose_name="movement counter",
                    ),
                ),
                (
                    "sensor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alert_rules",
                        to="sensors.sensor",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alert_rules",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="AlertEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sensor", ruuvinet.lib.mac.MacField()),
                ("sensor_name", models.CharField(max_length=64)),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("temperature", "Temperature, °C"),
                            ("humidity", "Relative humidity, %"),
                            ("humidityAbsolute", "Absolute humidity, g/m³"),
                            ("dewPoint", "Dew point, °C"),
                            ("pressure", "Air pressure, Pa"),
                            ("signal", "Signal strength, dBm"),
                            ("movement", "Movement"),
                            ("battery", "Battery voltage, V"),
                            ("aqi", "Air quality, 0 to 100"),
                            ("co2", "CO₂, ppm"),
                            ("pm10", "PM1.0, µg/m³"),
                            ("pm25", "PM2.5, µg/m³"),
                            ("pm40", "PM4.0, µg/m³"),
                            ("pm100", "PM10, µg/m³"),
                            ("voc", "VOC index"),
                            ("nox", "NOx index"),
                            ("luminosity", "Luminosity, lx"),
                            ("sound", "Sound level, dBA"),
                            ("soundInstant", "Sound level (instant), dBA"),
                            ("soundAverage", "Sound level (average), dBA"),
                            ("soundPeak", "Sound level (peak), dB"),
                        ],
                        max_length=20,
                    ),
                ),
                ("trigger", models.CharField(max_length=16)),
                ("value", models.FloatField()),
                ("threshold", models.FloatField()),
                ("description", models.CharField(blank=True, max_length=255)),
                ("opened_at", models.DateTimeField(help_text="time of the sample")),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alert_events",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="events",
                        to="alerts.alertrule",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("channel", models.CharField(choices=[("push", "push")], max_length=8)),
                ("address", models.CharField(max_length=4096)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("sent", "sent"),
                            ("failed", "failed"),
                            ("not_sent", "not sent"),
                        ],
                        default="pending",
                        max_length=8,
                    ),
                ),
                ("outcome", models.CharField(blank=True, max_length=255)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("created_at", models.DateTimeField()),
                ("next_attempt_at", models.DateTimeField()),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="alerts.alertevent",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "deliveries",
            },
        ),
        migrations.CreateModel(
            name="PushToken",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=alerts.models._random_token_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("token", models.CharField(max_length=4096, unique=True)),
                (
                    "platform",
                    models.CharField(
                        choices=[("android", "Android"), ("ios", "iOS")], max_length=16
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=255)),
                ("language", models.CharField(default="en", max_length=8)),
                ("sound_file", models.CharField(default="default", max_length=64)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("retired_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("retired_reason", models.CharField(blank=True, editable=False, max_length=255)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="push_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="alertrule",
            index=models.Index(
                condition=models.Q(("enabled", True)),
                fields=["sensor"],
                name="alert_rule_enabled_by_sensor",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertrule",
            constraint=models.UniqueConstraint(
                fields=("user", "sensor", "type"), name="one_alert_rule_per_user_sensor_and_type"
            ),
        ),
        migrations.AddConstraint(
            model_name="alertevent",
            constraint=models.UniqueConstraint(
                condition=models.Q(("resolved_at", None)),
                fields=("rule",),
                name="one_open_event_per_rule",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("status", "pending")),
                fields=["next_attempt_at"],
                name="delivery_pending_by_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(
                fields=("event", "channel", "address"),
                name="one_delivery_per_event_and_destination",
            ),
        ),
    ]
