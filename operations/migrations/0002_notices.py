from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("operations", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "what",
                    models.CharField(
                        choices=[
                            ("silent", "silent gateway"),
                            ("refused", "gateway refused again and again"),
                            ("restarts", "gateway that restarts too often"),
                            ("part", "part of the installation"),
                            ("queue", "queue that does not move"),
                        ],
                        max_length=16,
                        verbose_name="what",
                    ),
                ),
                ("about", models.CharField(max_length=64, verbose_name="about")),
                ("since", models.DateTimeField(help_text="its first sign", verbose_name="since")),
                (
                    "told_at",
                    models.DateTimeField(
                        help_text="empty: it may still pass by itself",
                        null=True,
                        verbose_name="told",
                    ),
                ),
                ("over_at", models.DateTimeField(db_index=True, null=True, verbose_name="over")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("over_at", None)),
                        fields=("what", "about"),
                        name="one_open_notice_of_a_kind",
                    )
                ],
            },
        ),
    ]
