# ruff: noqa: S608  # names are ours

"""Keep the offset from the slot instead of the whole time: a row of history becomes eight bytes less.

Every row is copied, in order: minutes for tens of millions of rows, during which nobody writes.
"""

import time

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from sensors.partitions import TABLES, cover, ensure_partitions, partitions

# PostgreSQL aligns eight bytes: this order has no holes.
PACKED = """
    sensor bigint NOT NULL,
    slot integer NOT NULL,
    offset_s smallint NOT NULL,
    rssi_dbm smallint NOT NULL,
    gateway bigint NOT NULL,
    payload {blob} NOT NULL,
    PRIMARY KEY (sensor, slot)
"""
WHOLE = """
    sensor bigint NOT NULL,
    slot integer NOT NULL,
    measured_at integer NOT NULL,
    gateway bigint NOT NULL,
    rssi_dbm smallint NOT NULL,
    payload {blob} NOT NULL,
    PRIMARY KEY (sensor, slot)
"""


def pack(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _rebuild(
        schema_editor,
        PACKED,
        into="sensor, slot, offset_s, rssi_dbm, gateway, payload",
        of="sensor, slot, measured_at - slot, rssi_dbm, gateway, payload",
    )


def unpack(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _rebuild(
        schema_editor,
        WHOLE,
        into="sensor, slot, measured_at, gateway, rssi_dbm, payload",
        of="sensor, slot, slot + offset_s, gateway, rssi_dbm, payload",
    )


def _rebuild(schema_editor: BaseDatabaseSchemaEditor, columns: str, *, into: str, of: str) -> None:
    postgresql = schema_editor.connection.vendor == "postgresql"
    columns = columns.format(blob="bytea" if postgresql else "BLOB")
    layout = "PARTITION BY RANGE (slot)" if postgresql else "WITHOUT ROWID"
    for table in TABLES:
        old = f"{table}_old"
        for partition in partitions(table):
            schema_editor.execute(f"ALTER TABLE {partition.name} RENAME TO {partition.name}_old")
            schema_editor.execute(
                f"ALTER INDEX {partition.name}_pkey RENAME TO {partition.name}_old_pkey"
            )
        schema_editor.execute(f"ALTER TABLE {table} RENAME TO {old}")
        if postgresql:
            schema_editor.execute(f"ALTER INDEX {table}_pkey RENAME TO {old}_pkey")
        schema_editor.execute(f"CREATE TABLE {table} ({columns}) {layout}")
        if postgresql:
            _cover_all(schema_editor, table, old)
        schema_editor.execute(
            f"INSERT INTO {table} ({into}) SELECT {of} FROM {old} ORDER BY sensor, slot"
        )
        schema_editor.execute(f"DROP TABLE {old}")
    ensure_partitions(int(time.time()))


def _cover_all(schema_editor: BaseDatabaseSchemaEditor, table: str, old: str) -> None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"SELECT min(slot), max(slot) FROM {old}")
        first, last = cursor.fetchone()
    if first is not None:
        cover(table, first, last + 1)


class Migration(migrations.Migration):
    dependencies = [("sensors", "0005_room_for_updates")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                operation
                for model in ("measurement", "sparsemeasurement")
                for operation in (
                    migrations.RemoveField(model_name=model, name="measured_at"),
                    migrations.AddField(
                        model_name=model,
                        name="offset_s",
                        field=models.SmallIntegerField(help_text="from the start of the slot"),
                        preserve_default=False,
                    ),
                )
            ],
            database_operations=[migrations.RunPython(pack, unpack)],
        )
    ]
