from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_second_factor"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="wants_notices",
            field=models.BooleanField(
                default=False,
                db_default=False,
                help_text="of gateways and of this installation, if the person may open the console",
                verbose_name="is told of trouble by e-mail",
            ),
        ),
    ]
