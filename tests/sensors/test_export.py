"""Exports of a sensor's history: decoded, streamed, as large as a part and not as the history."""

import csv
import io
import json
import tracemalloc

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.models import AuditEntry
from ruuvinet.lib.mac import Mac
from sensors import exports
from sensors.decoders import decode_advertisement, frames
from sensors.exports import export
from sensors.models import DENSE_INTERVAL_S, Measurement, Sensor
from sensors.storage import write_past
from tests.sensors.conftest import AIR, DF5, GATEWAY, NOW, PORCH

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
UNKNOWN = bytes.fromhex("0201060AFF9904FF01020304FF05")


@pytest.fixture
def porch():
    return Sensor.objects.create(mac=PORCH)


def text_of(sensor, kind, **options):
    return b"".join(part.text for part in export(sensor, kind, **options)).decode()


def rows_of(sensor, **options):
    return list(csv.DictReader(io.StringIO(text_of(sensor, "csv", **options), newline="")))


def items_of(sensor, **options):
    return [json.loads(line) for line in text_of(sensor, "jsonl", **options).splitlines()]


def expected(payload):
    reading = decode_advertisement(payload)
    return {n: v for n in frames.FIELDS if (v := getattr(reading, n, None)) is not None}


def test_json_lines_hold_what_the_decoders_say(porch, hear_all):
    hear_all({NOW: DF5, NOW + 60: AIR, NOW + 120: UNKNOWN})
    reception = {"mac": str(PORCH), "gateway": str(GATEWAY), "rssi_dbm": -76}
    times = ["2026-04-01T18:51:15Z", "2026-04-01T18:52:15Z", "2026-04-01T18:53:15Z"]
    assert items_of(porch) == [
        {**reception, "measured_at": time, **expected(payload)}
        for time, payload in zip(times, (DF5, AIR, UNKNOWN), strict=True)
    ]


def test_csv_holds_the_same(porch, hear_all):
    hear_all({NOW: DF5, NOW + 60: AIR, NOW + 120: UNKNOWN})
    filled = [{n: v for n, v in row.items() if v} for row in rows_of(porch)]
    assert filled == [
        {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in item.items()}
        for item in items_of(porch)
    ]


def test_every_csv_has_the_same_columns(porch, hear_all):
    names = ["mac", "measured_at", "gateway", "rssi_dbm", *frames.FIELDS]
    assert text_of(porch, "csv") == ",".join(names) + "\r\n"
    hear_all({NOW: DF5})
    assert list(rows_of(porch)[0]) == names


def test_all_parts_together_are_the_whole(porch, hear_all, monkeypatch):
    times = [NOW + 61 * n for n in range(25)]
    hear_all(dict.fromkeys(times, DF5))
    whole = items_of(porch)
    monkeypatch.setattr(exports, "PART", 4)
    assert [part.rows for part in export(porch, "jsonl")] == [0, 4, 4, 4, 4, 4, 4, 1]
    assert items_of(porch) == whole
    assert len(whole) == 25


def test_sparse_history_comes_where_dense_was_dropped(porch, hear_all, monkeypatch):
    hear_all({NOW + 60 * n: DF5 for n in range(60)})
    Measurement.objects.filter(slot__lt=NOW + 1800).delete()
    whole = rows_of(porch)
    times = [row["measured_at"] for row in whole]
    assert times == sorted(set(times))
    assert len(times) - Measurement.objects.count() in (2, 3)
    monkeypatch.setattr(exports, "PART", 7)
    assert rows_of(porch) == whole


def test_bounds_count_as_inside(porch, hear_all):
    hear_all({NOW + 60 * n: DF5 for n in range(5)})
    assert len(rows_of(porch, since=NOW + 60, until=NOW + 180)) == 3


def test_what_was_measured_for_an_earlier_owner_stays_out(porch, hear_all):
    hear_all({NOW: DF5, NOW + 60: DF5})
    porch.handed_over_at = NOW
    assert [row["measured_at"] for row in rows_of(porch)] == ["2026-04-01T18:52:15Z"]


def test_offsets_are_applied_where_asked_for(porch, hear_all):
    porch.offset_temperature_c, porch.offset_pressure_pa = -1.05, 12.5
    hear_all({NOW: DF5, NOW + 60: UNKNOWN})
    assert items_of(porch)[0]["temperature_c"] == 27.445
    calibrated = items_of(porch, calibrated=True)
    assert (calibrated[0]["temperature_c"], calibrated[0]["pressure_pa"]) == (26.395, 100553.5)
    assert "temperature_c" not in calibrated[1]


def test_memory_does_not_grow_with_history(porch, monkeypatch):
    """Ten times the rows, and no more in memory than a part of them."""
    monkeypatch.setattr(exports, "PART", 500)  # measuring takes ten times as long as the export
    begin, rows, few = NOW - 20 * 86400, 10_000, 1_000
    times = range(begin, begin + rows * DENSE_INTERVAL_S, DENSE_INTERVAL_S)
    write_past([int(PORCH)] * rows, times, [1] * rows, [-70] * rows, [DF5] * rows)
    peaks = {}
    for until, count in ((few, few), (few, few), (rows, rows)):
        tracemalloc.start()
        found = export(porch, "csv", until=begin + (until - 1) * DENSE_INTERVAL_S)
        assert sum(part.rows for part in found) == count
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[rows] < 1.2 * peaks[few]
    assert peaks[rows] < 3_000_000


def test_a_part_is_one_query(porch, hear_all, django_assert_num_queries):
    hear_all({NOW + 60 * n: DF5 for n in range(5)})
    with django_assert_num_queries(2):  # the rows, and that there are no more
        text_of(porch, "csv")


class TestCommand:
    def test_it_writes_a_file(self, porch, hear_all, tmp_path):
        hear_all({NOW: DF5, NOW + 60: DF5})
        file = tmp_path / "porch.csv"
        bounds = "--since", "2026-04-01T18:52:00", "--until", str(NOW + 60)
        call_command("export_history", str(PORCH), *bounds, output=file)
        assert file.read_bytes().decode() == text_of(porch, "csv", since=NOW + 1)
        assert file.read_bytes().count(b"\r\n") == 2

    def test_it_writes_to_standard_output(self, porch, hear_all, capfdbinary):
        hear_all({NOW: DF5})
        call_command("export_history", str(PORCH), format="jsonl")
        assert json.loads(capfdbinary.readouterr().out) == items_of(porch)[0]

    def test_a_sensor_that_is_only_heard_is_exported(self, hear_all, tmp_path):
        hear_all({NOW: DF5})
        call_command("export_history", str(PORCH), output=tmp_path / "it", format="jsonl")
        assert len((tmp_path / "it").read_text().splitlines()) == 1

    def test_a_file_that_cannot_be_written_is_said(self, porch, tmp_path):
        with pytest.raises(CommandError, match="No such file"):
            call_command("export_history", str(PORCH), output=tmp_path / "none" / "it")


class TestConsole:
    @pytest.fixture
    def address(self):
        def address(kind, mac=PORCH):
            return reverse("admin:sensors_sensor_export", args=[str(mac), kind])

        return address

    @pytest.mark.parametrize("kind", exports.KINDS)
    def test_the_page_of_a_sensor_leads_to_a_download(
        self, admin_client, porch, hear_all, kind, address
    ):
        hear_all({NOW: DF5})
        page = admin_client.get(reverse("admin:sensors_sensor_change", args=[str(PORCH)]))
        assert address(kind) in page.content.decode()
        reply = admin_client.get(address(kind))
        assert b"".join(reply.streaming_content).decode() == text_of(porch, kind)
        assert reply["Content-Disposition"] == f'attachment; filename="F41F0C28CBD6.{kind}"'
        assert reply["Content-Type"] == exports.KINDS[kind].content_type

    def test_a_download_is_in_the_audit_trail(self, admin_client, porch, address):
        admin_client.get(address("csv"))
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.about) == ("sensor: Exported history as csv.", str(PORCH))

    def test_what_is_not_there_is_not_found(self, admin_client, porch, address):
        assert admin_client.get(address("xlsx")).status_code == 404
        assert admin_client.get(address("csv", Mac(5))).status_code == 404

    def test_who_may_not_see_sensors_gets_none(self, client, alice, porch, address):
        alice.is_staff = True
        alice.save()
        client.force_login(alice)
        assert client.get(address("csv")).status_code == 403
        assert not AuditEntry.objects.exists()

    def test_who_has_not_signed_in_gets_none(self, client, porch, address):
        assert client.get(address("csv")).status_code == 302

    def test_adding_a_sensor_offers_no_download(self, admin_client, porch):
        page = admin_client.get(reverse("admin:sensors_sensor_add"))
        assert b"export" not in page.content
