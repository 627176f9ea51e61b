import django.db.models.deletion
from django.db import migrations, models

# The newest one of each gateway is known already.
FILL = """
    INSERT INTO gateways_gatewayrejection (gateway_id, reason, address, first_at, last_at, times)
    SELECT mac, rejection, rejected_address, rejected_at, rejected_at, 1
    FROM gateways_gateway WHERE rejected_at IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [
        ("gateways", "0010_names"),
    ]

    operations = [
        migrations.CreateModel(
            name="GatewayRejection",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("unknown", "not whitelisted"),
                            ("unsigned", "no signature"),
                            ("signature", "wrong signature"),
                            ("no credential", "no credential"),
                            ("credential", "wrong credential"),
                            ("certificate", "no accepted certificate"),
                        ],
                        max_length=16,
                        verbose_name="reason",
                    ),
                ),
                ("address", models.GenericIPAddressField(null=True, verbose_name="address")),
                ("first_at", models.DateTimeField(verbose_name="first")),
                ("last_at", models.DateTimeField(verbose_name="last")),
                (
                    "times",
                    models.PositiveIntegerField(
                        default=1, help_text="counted once a minute at most", verbose_name="times"
                    ),
                ),
                (
                    "gateway",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rejections",
                        to="gateways.gateway",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
