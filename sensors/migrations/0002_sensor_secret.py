from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sensors", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="sensor",
            name="secret_hash",
            field=models.CharField(blank=True, default="", editable=False, max_length=64),
        ),
    ]
