import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


def make_default_plan(apps, schema_editor):
    """What everybody could do before there were plans."""
    apps.get_model("subscriptions", "Plan").objects.create(name="RuuviNet", is_default=True)


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Code",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text='The apps show it. For one named "Free" the web app speaks of upgrading.',
                        max_length=64,
                    ),
                ),
                (
                    "max_claims",
                    models.PositiveIntegerField(
                        default=1000,
                        help_text="that the person may claim",
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100000),
                        ],
                        verbose_name="sensors",
                    ),
                ),
                (
                    "max_shares",
                    models.PositiveIntegerField(
                        default=10000,
                        help_text="of all sensors together",
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100000000),
                        ],
                        verbose_name="shares",
                    ),
                ),
                (
                    "max_shares_per_sensor",
                    models.PositiveIntegerField(
                        default=10,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                        verbose_name="shares of one sensor",
                    ),
                ),
                (
                    "max_history_days",
                    models.PositiveIntegerField(
                        default=3650,
                        help_text="that may be read; 0 hides the graphs",
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                        verbose_name="history, days",
                    ),
                ),
                (
                    "max_resolution_minutes",
                    models.PositiveIntegerField(
                        default=1,
                        help_text="between readings of the history",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(525600),
                        ],
                        verbose_name="resolution, minutes",
                    ),
                ),
                (
                    "push_alert_allowed",
                    models.BooleanField(
                        default=True,
                        help_text="Counts for alerts on sensors that this person owns, whoever set them.",
                        verbose_name="push notifications",
                    ),
                ),
                (
                    "email_alert_allowed",
                    models.BooleanField(default=True, verbose_name="e-mail alerts"),
                ),
                (
                    "telegram_alert_allowed",
                    models.BooleanField(default=False, verbose_name="Telegram alerts"),
                ),
                (
                    "offline_alert_allowed",
                    models.BooleanField(default=True, verbose_name="offline alerts"),
                ),
                (
                    "delayed_alert_allowed",
                    models.BooleanField(default=True, verbose_name="delayed alerts"),
                ),
                (
                    "pdf_export_allowed",
                    models.BooleanField(default=True, verbose_name="PDF export"),
                ),
                ("code_hash", models.CharField(editable=False, max_length=64, unique=True)),
                (
                    "valid_days",
                    models.PositiveIntegerField(
                        help_text="from the day it is claimed",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                        verbose_name="days",
                    ),
                ),
                (
                    "creator_id",
                    models.CharField(
                        blank=True, editable=False, max_length=255, verbose_name="made by"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("claimed_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Plan",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text='The apps show it. For one named "Free" the web app speaks of upgrading.',
                        max_length=64,
                    ),
                ),
                (
                    "max_claims",
                    models.PositiveIntegerField(
                        default=1000,
                        help_text="that the person may claim",
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100000),
                        ],
                        verbose_name="sensors",
                    ),
                ),
                (
                    "max_shares",
                    models.PositiveIntegerField(
                        default=10000,
                        help_text="of all sensors together",
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(100000000),
                        ],
                        verbose_name="shares",
                    ),
                ),
                (
                    "max_shares_per_sensor",
                    models.PositiveIntegerField(
                        default=10,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                        verbose_name="shares of one sensor",
                    ),
                ),
                (
                    "max_history_days",
                    models.PositiveIntegerField(
                        default=3650,
                        help_text="that may be read; 0 hides the graphs",
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(36500),
                        ],
                        verbose_name="history, days",
                    ),
                ),
                (
                    "max_resolution_minutes",
                    models.PositiveIntegerField(
                        default=1,
                        help_text="between readings of the history",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(525600),
                        ],
                        verbose_name="resolution, minutes",
                    ),
                ),
                (
                    "push_alert_allowed",
                    models.BooleanField(
                        default=True,
                        help_text="Counts for alerts on sensors that this person owns, whoever set them.",
                        verbose_name="push notifications",
                    ),
                ),
                (
                    "email_alert_allowed",
                    models.BooleanField(default=True, verbose_name="e-mail alerts"),
                ),
                (
                    "telegram_alert_allowed",
                    models.BooleanField(default=False, verbose_name="Telegram alerts"),
                ),
                (
                    "offline_alert_allowed",
                    models.BooleanField(default=True, verbose_name="offline alerts"),
                ),
                (
                    "delayed_alert_allowed",
                    models.BooleanField(default=True, verbose_name="delayed alerts"),
                ),
                (
                    "pdf_export_allowed",
                    models.BooleanField(default=True, verbose_name="PDF export"),
                ),
                (
                    "is_default",
                    models.BooleanField(default=False, editable=False, verbose_name="default"),
                ),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="subscription",
            name="subscription_ends_after_it_starts",
        ),
        migrations.AddField(
            model_name="subscription",
            name="delayed_alert_allowed",
            field=models.BooleanField(default=True, verbose_name="delayed alerts"),
        ),
        migrations.AddField(
            model_name="subscription",
            name="email_alert_allowed",
            field=models.BooleanField(default=True, verbose_name="e-mail alerts"),
        ),
        migrations.AddField(
            model_name="subscription",
            name="max_claims",
            field=models.PositiveIntegerField(
                default=1000,
                help_text="that the person may claim",
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(100000),
                ],
                verbose_name="sensors",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="max_history_days",
            field=models.PositiveIntegerField(
                default=3650,
                help_text="that may be read; 0 hides the graphs",
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(36500),
                ],
                verbose_name="history, days",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="max_resolution_minutes",
            field=models.PositiveIntegerField(
                default=1,
                help_text="between readings of the history",
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(525600),
                ],
                verbose_name="resolution, minutes",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="max_shares",
            field=models.PositiveIntegerField(
                default=10000,
                help_text="of all sensors together",
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(100000000),
                ],
                verbose_name="shares",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="max_shares_per_sensor",
            field=models.PositiveIntegerField(
                default=10,
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(1000),
                ],
                verbose_name="shares of one sensor",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="offline_alert_allowed",
            field=models.BooleanField(default=True, verbose_name="offline alerts"),
        ),
        migrations.AddField(
            model_name="subscription",
            name="pdf_export_allowed",
            field=models.BooleanField(default=True, verbose_name="PDF export"),
        ),
        migrations.AddField(
            model_name="subscription",
            name="telegram_alert_allowed",
            field=models.BooleanField(default=False, verbose_name="Telegram alerts"),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="ends_at",
            field=models.DateTimeField(blank=True, help_text="empty: without end", null=True),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="name",
            field=models.CharField(
                help_text='The apps show it. For one named "Free" the web app speaks of upgrading.',
                max_length=64,
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_at__gte", models.F("starts_at"))),
                name="subscription_ends_after_it_starts",
            ),
        ),
        migrations.AddField(
            model_name="code",
            name="claimed_by",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="claimed_codes",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.UniqueConstraint(fields=("name",), name="plan_name"),
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_default", True)),
                fields=("is_default",),
                name="one_default_plan",
            ),
        ),
        migrations.AddIndex(
            model_name="code",
            index=models.Index(fields=["-created_at"], name="code_newest"),
        ),
        migrations.RunPython(make_default_plan, migrations.RunPython.noop),
    ]
