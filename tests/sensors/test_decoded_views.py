"""The SQL views for Grafana say what the decoders say (PostgreSQL; SQLite has no views)."""

import json
from importlib import import_module
from pathlib import Path

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from ruuvinet.lib.mac import Mac
from sensors import migrations
from sensors.decoders import decode_advertisement
from sensors.models import Access, Latest, Measurement, Sensor
from sensors.partitions import ensure_partitions

pytestmark = pytest.mark.django_db
VECTORS = json.loads((Path(__file__).parents[1] / "golden" / "vectors.json").read_text())["vectors"]
DECODED = {5, 6, 0xC5, 0xE1}
NOW = 1775069475
MAC = Mac.parse("F4:1F:0C:28:CB:D6")
DF5 = bytes.fromhex("0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6")


def advertisement(vector) -> bytes:
    raw = bytes.fromhex(vector["raw_hex"])
    return bytes([len(raw) + 3, 0xFF, 0x99, 0x04]) + raw if vector["kind"] == "payload" else raw


def ask(sql, *given):
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def agree(data: bytes) -> None:
    (told,) = ask("SELECT * FROM ruuvi_decode(%s)", data)
    reading = decode_advertisement(data)
    if reading is None or reading.data_format not in DECODED:
        assert set(told.values()) == {None}
        return
    expected = {name: getattr(reading, name) for name in told}
    assert told.pop("luminosity_lx") == pytest.approx(expected.pop("luminosity_lx"), abs=0.02)
    assert told == expected


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_each_published_vector_reads_as_in_python(vector):
    if vector["kind"] != "url_fragment":
        agree(advertisement(vector))


def test_whatever_the_bytes_sql_and_python_agree():
    heads = st.sampled_from([bytes([number]) for number in sorted({*DECODED, 3, 8, 0xE0})])

    @given(st.binary(max_size=4), heads, st.binary(max_size=45))
    def agree_about(before, head, rest):
        known = head + rest
        agree(before + bytes([len(known) + 3, 0xFF, 0x99, 0x04]) + known)
        agree(b"\x02\x01\x06" + bytes([len(known) + 3, 0xFF, 0x99, 0x04]) + known + before)

    agree_about()


@pytest.fixture
def stored(alice):
    ensure_partitions(NOW)
    row = {"measured_at": NOW, "gateway": Mac(0xC8252D8E9C2C), "rssi_dbm": -70, "payload": DF5}
    Measurement.objects.create(sensor=MAC, slot=NOW - NOW % 60, **row)
    Latest.objects.create(sensor=MAC, **row)
    Sensor.objects.create(mac=MAC, owner=alice, offset_temperature_c=0.5)
    Access.objects.create(user=alice, sensor_id=MAC, name="Freezer")


def test_the_views_show_a_reading_in_plain_columns(stored):
    for view in ("ruuvi_dense", "ruuvi_latest"):
        (row,) = ask(f"SELECT * FROM {view} WHERE sensor = ruuvi_mac(%s)", str(MAC))
        assert (row["mac"], row["gateway"], row["rssi_dbm"]) == (
            str(MAC), "C8:25:2D:8E:9C:2C", -70,
        )  # fmt: skip
        assert row["measured_at"].timestamp() == NOW
        assert (row["temperature_c"], row["battery_mv"]) == (27.445, 3048)
    assert ask("SELECT name, mac, offset_temperature_c FROM ruuvi_sensors") == [
        {"name": "Freezer", "mac": str(MAC), "offset_temperature_c": 0.5}
    ]


def test_a_sensor_without_a_name_has_that_of_the_apps(stored):
    Access.objects.all().delete()
    assert [row["name"] for row in ask("SELECT name FROM ruuvi_sensors")] == ["Ruuvi CBD6"]


def test_a_chart_reads_one_partition_by_its_key(stored):
    plan = "\n".join(
        row["QUERY PLAN"]
        for row in ask(
            "EXPLAIN SELECT measured_at, temperature_c FROM ruuvi_dense"
            " WHERE sensor = ruuvi_mac(%s) AND slot BETWEEN %s AND %s",
            *(str(MAC), NOW - 3600, NOW),
        )
    )
    scanned = [line for line in plan.splitlines() if "Scan" in line and "sensors_" in line]
    assert len(scanned) == 1, plan
    assert "Append" not in plan


def test_a_role_that_may_read_the_views_reads_nothing_else(stored):
    ask("SELECT 1")
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE tests_grafana")
        cursor.execute("GRANT SELECT ON ruuvi_dense, ruuvi_latest, ruuvi_sensors TO tests_grafana")
        cursor.execute("SET LOCAL ROLE tests_grafana")
        cursor.execute("SELECT temperature_c FROM ruuvi_dense")
        assert cursor.fetchall() == [(27.445,)]
        cursor.execute("SELECT has_table_privilege('accounts_user', 'SELECT')")
        assert cursor.fetchone() == (False,)
        cursor.execute("RESET ROLE")


def test_the_views_can_be_taken_back_and_made_again():
    (file,) = Path(migrations.__file__).parent.glob("*_decoded_views.py")
    migration = import_module(f"sensors.migrations.{file.stem}")
    with connection.schema_editor() as editor:
        migration.drop(None, editor)
        assert ask("SELECT to_regclass('ruuvi_dense') AS found") == [{"found": None}]
        migration.make(None, editor)
    assert ask("SELECT * FROM ruuvi_dense") == []
