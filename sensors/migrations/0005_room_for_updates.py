"""Leave room in the pages of Latest, so that a newer reading replaces the row where it is.

Without it nearly every update makes a new entry in each index (PostgreSQL; "HOT" updates).
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def leave_room(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE sensors_latest SET (fillfactor = 50)")


class Migration(migrations.Migration):
    dependencies = [("sensors", "0004_remember_owners")]
    operations = [migrations.RunPython(leave_room, migrations.RunPython.noop)]
