import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sensors", "0002_sensor_secret"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="access",
            name="edited_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                editable=False,
                help_text="of what this person sees: name, picture, offsets and whether it is public",
            ),
        ),
        migrations.AddField(
            model_name="access",
            name="picture",
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.AddField(
            model_name="sensor",
            name="claimed_at",
            field=models.DateTimeField(editable=False, help_text="by its last owner", null=True),
        ),
        migrations.AddField(
            model_name="sensor",
            name="handed_over_at",
            field=models.IntegerField(
                default=0,
                editable=False,
                help_text="Unix seconds; what was measured until then belongs to earlier owners",
            ),
        ),
        migrations.AddField(
            model_name="sensor",
            name="last_owner",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="sensor",
            name="public",
            field=models.BooleanField(
                default=False, help_text="Everybody who signed in may read its measurements."
            ),
        ),
        migrations.CreateModel(
            name="PendingShare",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("email", models.EmailField(max_length=254)),
                ("invited_at", models.DateTimeField(help_text="when the last mail went out")),
                (
                    "sensor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pending_shares",
                        to="sensors.sensor",
                    ),
                ),
                (
                    "shared_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pending_shares",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("email", "sensor"), name="one_pending_share_per_email_and_sensor"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("email", django.db.models.functions.text.Lower("email"))
                        ),
                        name="pending_share_email_lower_case",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SensorSetting",
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
                        max_length=64,
                        validators=[django.core.validators.RegexValidator("^[A-Za-z0-9_.-]+$")],
                    ),
                ),
                ("value", models.TextField(blank=True)),
                (
                    "edited_at",
                    models.DateTimeField(help_text="as the client says; see ruuvinet.lib.edits"),
                ),
                (
                    "sensor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="choices",
                        to="sensors.sensor",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("sensor", "type"), name="one_value_per_sensor_and_setting"
                    )
                ],
            },
        ),
    ]
