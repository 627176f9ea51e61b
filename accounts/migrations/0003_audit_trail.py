from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_sessions_settings_and_mail"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(db_index=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("call", "call"),
                            ("refused", "wrong secret"),
                            ("console", "console"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "actor",
                    models.CharField(
                        help_text="a person, `internal` or `shop`",
                        max_length=254,
                        verbose_name="who",
                    ),
                ),
                ("address", models.GenericIPAddressField(null=True, verbose_name="from")),
                ("action", models.CharField(max_length=255, verbose_name="what")),
                ("about", models.CharField(blank=True, max_length=255)),
                ("result", models.CharField(max_length=64)),
            ],
            options={
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit trail",
            },
        ),
    ]
