from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gateways", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="NetworkRule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "network",
                    models.CharField(
                        help_text="an address, or a network such as 192.0.2.0/24",
                        max_length=43,
                        unique=True,
                    ),
                ),
                (
                    "is_allowed",
                    models.BooleanField(
                        default=False,
                        help_text="although it lies inside a network that is refused",
                        verbose_name="may pass",
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=255)),
                (
                    "expires_at",
                    models.DateTimeField(blank=True, help_text="empty: never", null=True),
                ),
                ("changed_at", models.DateTimeField(auto_now=True)),
            ],
        ),
    ]
