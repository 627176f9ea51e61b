from django.db import migrations
from django.db.models import F
from django.utils import timezone


def remember_owners(apps, schema_editor):
    owned = apps.get_model("sensors", "Sensor").objects.filter(owner__isnull=False)
    owned.update(last_owner=F("owner"), claimed_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [("sensors", "0003_profiles_and_shares")]

    operations = [migrations.RunPython(remember_owners, migrations.RunPython.noop)]
