import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import ruuvinet.lib.crypto


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_audit_trail"),
    ]

    operations = [
        migrations.CreateModel(
            name="SecondFactor",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "confirmed",
                    models.BooleanField(default=True, help_text="Is this device ready for use?"),
                ),
                ("key", ruuvinet.lib.crypto.EncryptedTextField(help_text="base32")),
                (
                    "used_step",
                    models.BigIntegerField(
                        help_text="newest time step of 30 s whose code was used"
                    ),
                ),
                (
                    "recovery_digests",
                    models.JSONField(help_text="HMAC of each recovery code that is left"),
                ),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="second_factor",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
    ]
