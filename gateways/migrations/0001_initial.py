from django.db import migrations, models

import ruuvinet.lib.crypto
import ruuvinet.lib.mac


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Gateway",
            fields=[
                (
                    "mac",
                    ruuvinet.lib.mac.MacField(
                        primary_key=True, serialize=False, verbose_name="MAC address"
                    ),
                ),
                (
                    "secret",
                    ruuvinet.lib.crypto.EncryptedTextField(
                        blank=True, default="", help_text="signs its posts; never shown"
                    ),
                ),
                ("whitelisted_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("blacklisted_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("first_seen_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "connected_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="first post accepted after whitelisting",
                        null=True,
                        verbose_name="first accepted",
                    ),
                ),
                (
                    "last_seen_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="newest accepted post",
                        null=True,
                        verbose_name="last accepted",
                    ),
                ),
                (
                    "last_address",
                    models.GenericIPAddressField(blank=True, editable=False, null=True),
                ),
                (
                    "rejected_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="newest refused post, to the minute",
                        null=True,
                        verbose_name="last rejected",
                    ),
                ),
                (
                    "rejected_address",
                    models.GenericIPAddressField(blank=True, editable=False, null=True),
                ),
                (
                    "rejection",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("unknown", "not whitelisted"),
                            ("unsigned", "no signature"),
                            ("signature", "wrong signature"),
                        ],
                        editable=False,
                        max_length=16,
                        verbose_name="reason",
                    ),
                ),
                (
                    "clock_offset_s",
                    models.BigIntegerField(
                        blank=True,
                        editable=False,
                        help_text="gateway clock minus ours while it is wrong; readings that cannot be true get our time",
                        null=True,
                        verbose_name="clock is off by, s",
                    ),
                ),
                (
                    "bad_tags",
                    models.PositiveBigIntegerField(
                        default=0,
                        editable=False,
                        help_text="records that could not be read, since the beginning",
                    ),
                ),
                (
                    "late_readings",
                    models.PositiveBigIntegerField(
                        default=0,
                        editable=False,
                        help_text="readings too old to store, since the beginning",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("blacklisted_at", None), ("whitelisted_at", None)),
                        fields=["rejected_at"],
                        name="gateway_strangers",
                    )
                ],
            },
        ),
    ]
