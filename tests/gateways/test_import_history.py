"""`manage.py import_history`: files of other systems become history, once."""

import json
import time

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from gateways import decoded
from gateways.management.commands import import_history
from ruuvinet.lib.mac import Mac
from sensors import imports
from sensors.csv_history import app_quantity, read_header
from sensors.decoders import decode_advertisement
from sensors.exports import export
from sensors.models import Latest, Measurement, Sensor, SparseMeasurement
from sensors.services import Reception, store
from tests.gateways.conftest import golden

pytestmark = [pytest.mark.django_db, pytest.mark.storage]
MAC = Mac.parse("F4:1F:0C:28:CB:D6")
AT = (
    1_700_000_000  # 2023-11-14 22:13:20 UTC; long before what the partitions of a new database hold
)
HEADER = "mac,measured_at,temperature_c,humidity_pct,pressure_pa,rssi_dbm\n"


@pytest.fixture(autouse=True)
def _no_place_remembered(settings, tmp_path):
    settings.DATA_DIR = tmp_path / "data"


@pytest.fixture
def sensor():
    return Sensor.objects.create(mac=MAC)


@pytest.fixture
def load(tmp_path, capsys):
    """Import a file with this content; returns what was said."""

    def load(content, **options):
        path = tmp_path / "history"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        call_command("import_history", path, **options)
        said = capsys.readouterr()
        return (said.out + said.err).replace(f"{path}: ", "")

    return load


def line(minute=0, temperature="21.5", mac=MAC, at=None):
    return f"{mac},{at or AT + 60 * minute},{temperature},40.5,101325,-71\n"


def history(mac=MAC):
    found = Measurement.objects.filter(sensor=mac).order_by("slot")
    return [(row.measured_at, row.reading().temperature_c) for row in found]


def reading_of(row):
    reading = decode_advertisement(bytes(row.payload))
    values = {name: getattr(reading, name) for name in reading.__struct_fields__}
    return {name: value for name, value in values.items() if value is not None}


class TestPlain:
    def test_a_line_becomes_an_advertisement_of_that_time(self, sensor, load):
        assert load(HEADER + line()) == "1 readings, 0 bad lines skipped.\n"
        row = Measurement.objects.get()
        assert (row.sensor, row.measured_at, row.rssi_dbm) == (MAC, AT, -71)
        assert reading_of(row) == {
            "data_format": 5, "temperature_c": 21.5, "humidity_pct": 40.5, "pressure_pa": 101325,
            "mac": str(MAC),
        }  # fmt: skip

    def test_dense_and_sparse_history_are_filled(self, sensor, load):
        load(HEADER + "".join(line(minute) for minute in range(60)))
        assert Measurement.objects.count() == 60
        assert SparseMeasurement.objects.count() in (4, 5)

    def test_air_becomes_format_e1(self, sensor, load):
        load(f"mac,measured_at,co2_ppm,luminosity_lx,voc_index\n{MAC},{AT},612,130.25,101\n")
        reading = decode_advertisement(bytes(Measurement.objects.get().payload))
        assert reading.data_format == 0xE1
        assert (reading.co2_ppm, reading.luminosity_lx, reading.voc_index) == (612, 130.25, 101)
        assert reading.temperature_c is None

    @pytest.mark.parametrize(
        ("text", "zone", "seconds"),
        [
            ("1700000000", "UTC", AT),
            ("2023-11-14T22:13:20Z", "Europe/Helsinki", AT),
            ("2023-11-14 22:13:20", "UTC", AT),
            ("2023-11-15T00:13:20", "Europe/Helsinki", AT),
            ("2023-11-15T00:13:20.9+02:00", "UTC", AT),
        ],
    )
    def test_times_are_unix_seconds_or_iso_8601(self, sensor, load, text, zone, seconds):
        load(HEADER + line(at=text), timezone=zone)
        assert [at for at, _ in history()] == [seconds]

    def test_the_same_file_twice_changes_nothing(self, sensor, load):
        content = HEADER + "".join(line(minute, temperature=minute) for minute in range(30))
        load(content)
        before = history()
        assert load(content) == "30 readings, 0 bad lines skipped.\n"
        assert history() == before
        assert len(before) == 30

    def test_what_is_stored_wins(self, sensor, load):
        load(HEADER + line(temperature=20))
        load(HEADER + line(temperature=25) + line(1, temperature=25))
        assert history() == [(AT, 20), (AT + 60, 25)]

    def test_neither_latest_nor_alerts_hear_of_the_past(self, sensor, load):
        load(HEADER + line())
        assert not Latest.objects.exists()

    def test_bad_lines_are_told_by_number_and_cost_no_other(self, sensor, load):
        said = load(
            HEADER.encode()
            + line(0).encode()
            + b"F4:1F:0C:28:CB:D6,1700000060\n"
            + line(2, temperature="warm").encode()
            + line(3, temperature="900").encode()
            + b"\xff\xfe\n\n"
            + line(5, mac="F4-1F").encode()
            + line(6, at="yesterday").encode()
            + line(7, at="1300000000").encode()
            + line(8, at="99999999999").encode()
            + b"F4:1F:0C:28:CB:D6,1700000540,,,,-70\n"
            + line(9, mac="AA:BB:CC:DD:EE:FF").encode()
            + b'F4:1F:0C:28:CB:D6,1700000600,"21.5\n'
            + line(10).encode()
        )
        assert [at for at, _ in history()] == [AT, AT + 600]
        assert said.splitlines() == [
            "2 readings, 11 bad lines skipped.",
            "line 3: 2 fields instead of 6",
            "line 4: temperature_c is no number: 'warm'",
            "line 5: temperature_c cannot be 900",
            "line 6: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
            "line 8: a MAC address looks like AA:BB:CC:DD:EE:FF",
            "line 9: not a time: 'yesterday'",
            "line 10: the time is before 2016",
            "line 11: the time is in the future",
            "line 12: nothing is known",
            "line 13: AA:BB:CC:DD:EE:FF is not known: --register adds it",
            "line 14: unexpected end of data",
        ]

    @pytest.mark.parametrize("rssi", ["-129", "128", "inf", "1e99"])
    def test_an_impossible_signal_is_refused(self, sensor, load, rssi):
        load(HEADER + line().replace("-71", rssi) + line(1))
        assert [at for at, _ in history()] == [AT + 60]

    def test_quotes_and_spaces_do_no_harm(self, sensor, load):
        load(HEADER + line().replace("21.5", '" 21.5 "') + line(1).replace(str(MAC), f" {MAC} "))
        assert history() == [(AT, 21.5), (AT + 60, 21.5)]

    def test_unknown_sensors_are_added_where_asked_for(self, load):
        load(HEADER + line(), register=True)
        assert Sensor.objects.get().owner is None
        assert len(history()) == 1

    def test_a_column_that_is_not_known_is_told(self, sensor, load):
        assert "left out: dew_point" in load(
            f"mac,measured_at,temperature_c,dew_point\n{MAC},{AT},20,1\n"
        )

    def test_pressure_in_hectopascal_under_our_name_is_refused(self, sensor, load):
        assert "pressure_pa cannot be 1013.25" in load(HEADER + line().replace("101325", "1013.25"))

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("", "the first line names no quantity that is known"),
            ("mac,measured_at\n", "the first line names no quantity that is known"),
            ("mac,measured_at,rssi_dbm\n", "the first line names no quantity that is known"),
            ("Date,Temperature (°C)\n", "use --sensor"),
            ("{" + " \n" * 600_000, "one answer of a gateway, or one in each line, is expected"),
        ],
    )
    def test_a_file_that_says_nothing_is_refused(self, load, capsys, content, reason):
        with pytest.raises(CommandError, match="could not be read"):
            load(content)
        assert reason in capsys.readouterr().err

    def test_one_file_that_is_missing_does_not_stop_the_others(self, sensor, tmp_path):
        (tmp_path / "good").write_text(HEADER + line())
        with pytest.raises(CommandError, match="1 files could not be read"):
            call_command("import_history", tmp_path / "missing", tmp_path / "good")
        assert len(history()) == 1

    def test_a_time_zone_that_is_none_is_refused(self, tmp_path):
        with pytest.raises(CommandError, match="no time zone"):
            call_command("import_history", tmp_path / "x", timezone="Europe/Atlantis")

    def test_a_batch_costs_as_many_queries_as_a_line(
        self, sensor, load, django_assert_max_num_queries
    ):
        load(HEADER + line())  # makes the partitions
        with django_assert_max_num_queries(40 if connection.vendor == "postgresql" else 8):
            load(HEADER + "".join(line(minute) for minute in range(900)))


class TestRoundTrip:
    def test_an_export_can_be_imported(self, sensor, load):
        load(HEADER + "".join(line(minute, temperature=minute / 7) for minute in range(20)))
        exported = b"".join(part.text for part in export(sensor, "csv"))
        before = list(Measurement.objects.order_by("slot").values())
        Measurement.objects.all().delete()
        SparseMeasurement.objects.all().delete()
        load(exported)
        after = list(Measurement.objects.order_by("slot").values())
        assert after == before

    def test_an_export_of_air_can_be_imported(self, sensor, load):
        air = bytes.fromhex("2BFF9904E1" + "17" * 27 + "07" + "FF" * 5) + int(MAC).to_bytes(6)
        now = int(time.time())
        store([Reception(int(MAC), now, 5, -70, air + b"\x03\x03\x98\xfc")])
        exported = b"".join(part.text for part in export(sensor, "csv"))
        before = Measurement.objects.values().get()
        Measurement.objects.all().delete()
        SparseMeasurement.objects.all().delete()
        load(exported)
        assert Measurement.objects.values().get() == before


class TestApps:
    ENGLISH = (
        "Date,Temperature (°C),Humidity (%),Pressure (hPa),RSSI (dBm),Acceleration X (g),"
        "Acceleration Y (g),Acceleration Z (g),Voltage (V),Movement Counter,"
        "Measurement Sequence Number,TX Power (dBm)\n"
        "2023-11-15 00:13:20,21.5,40.5,1013.25,-71,-0.016,0.008,0.996,3.048,7,1234,4\n"
    )
    FINNISH = (
        "Päivämäärä;Lämpötila (°C);Kosteus (%);Ilmanpaine (hPa);RSSI (dBm);Kiihtyvyys X (g);"
        "Kiihtyvyys Y (g);Kiihtyvyys Z (g);Jännite (V);Liikelaskuri;Mittauksen järjestysnumero;"
        "Lähetysteho (dBm)\n"
        "2023-11-15 00:13:20;21,5;40,5;1013,25;-71;-0,016;0,008;0,996;3,048;7;1234;4\n"
    )

    @pytest.mark.parametrize("content", [ENGLISH, FINNISH], ids=["commas", "semicolons"])
    def test_an_export_is_read_by_its_units(self, sensor, load, content):
        load("\ufeff" + content, sensor=MAC, timezone="Europe/Helsinki")
        row = Measurement.objects.get()
        assert (row.measured_at, row.rssi_dbm) == (AT, -71)
        assert reading_of(row) == {
            "data_format": 5, "temperature_c": 21.5, "humidity_pct": 40.5, "pressure_pa": 101325,
            "acceleration_x_mg": -16, "acceleration_y_mg": 8, "acceleration_z_mg": 996,
            "battery_mv": 3048, "movement_counter": 7, "sequence": 1234, "tx_power_dbm": 4,
            "mac": str(MAC),
        }  # fmt: skip

    def test_units_are_converted(self, sensor, load):
        load(
            f"Date,ISO8601,Temperature (°F),Pressure (inHg)\nwhenever,{AT},70.7,29.9213\n",
            sensor=MAC,
        )
        reading = decode_advertisement(bytes(Measurement.objects.get().payload))
        assert (reading.temperature_c, reading.pressure_pa) == (21.5, 101325)

    def test_the_dew_point_is_not_taken_for_the_temperature(self, sensor, load):
        said = load(f"Date,Lämpötila (°C),Kastepiste (°C)\n{AT},21,9\n", sensor=MAC)
        assert history() == [(AT, 21)]
        assert "left out: Kastepiste (°C)" in said

    def test_dashes_stand_for_nothing(self, sensor, load):
        load(f"Date,Temperature (°C),Humidity (%)\n{AT},21,-\n{AT + 60},,N/A\n", sensor=MAC)
        assert history() == [(AT, 21)]

    @pytest.mark.parametrize(
        ("name", "field", "factor"),
        [
            ("CO₂ (ppm)", "co2_ppm", 1),
            ("CO2 (ppm)", "co2_ppm", 1),
            ("PM1.0 (µg/m³)", "pm1_0_ug_m3", 1),
            ("PM 2,5 (μg/m3)", "pm2_5_ug_m3", 1),
            ("PM4.0 (µg/m³)", "pm4_0_ug_m3", 1),
            ("PM10 (µg/m³)", "pm10_0_ug_m3", 1),
            ("VOC", "voc_index", 1),
            ("NOX (index)", "nox_index", 1),
            ("Valoisuus (lx)", "luminosity_lx", 1),
            ("Sound Average (dBA)", "sound_average_dba", 1),
            ("Hetkellinen ääni (dB(A))", "sound_instant_dba", 1),
            ("Sound peak (dB)", "sound_peak_db_spl", 1),
            ("Sändningseffekt (dBm)", "tx_power_dbm", 1),
            ("RSSI", "rssi_dbm", 1),
            ("Luftdruck (hPa)", "pressure_pa", 100),
            ("Batteriespannung (V)", "battery_mv", 1000),
            ("Acceleration Z (mg)", "acceleration_z_mg", 1),
        ],
    )
    def test_a_column_is_known(self, name, field, factor):
        assert app_quantity(name)[:2] == (field, factor)

    @pytest.mark.parametrize(
        "name",
        ["Absolute humidity (g/m³)", "AQI", "", "Comment", "Total acceleration (g)", "PM (µg/m³)"],
    )
    def test_a_column_that_we_do_not_store_is_left_out(self, name):
        assert app_quantity(name) is None

    def test_the_delimiter_is_found(self):
        assert read_header("Date\tTemperature (°C)\n").delimiter == "\t"


class TestAnswersOfGateways:
    def stored(self):
        rows = Measurement.objects.order_by("sensor", "slot")
        return {
            (str(row.sensor), row.measured_at): bytes(row.payload).hex().upper() for row in rows
        }

    def test_an_answer_is_stored_as_it_came(self, load):
        tags = json.loads(golden("raw"))["data"]["tags"]
        said = load(golden("raw"), register=True)
        assert said == f"{len(tags)} readings, 0 bad lines skipped.\n"
        assert self.stored() == {(mac, t["timestamp"]): t["data"] for mac, t in tags.items()}
        assert {str(row.gateway) for row in Measurement.objects.all()} == {"C8:25:2D:8E:9C:2C"}

    def test_a_decoded_answer_is_encoded_as_posts_are(self, load):
        load(golden("decoded_only"), register=True)
        tags = json.loads(golden("decoded_only"))["data"]["tags"]
        expected = {
            (mac, tag["timestamp"]): decoded.encode(tag).hex().upper() for mac, tag in tags.items()
        }
        assert self.stored() == {key: data for key, data in expected.items() if data}

    def test_each_line_may_be_an_answer(self, load):
        body = json.loads(golden("raw"))
        lines = []
        for minute in range(3):
            for tag in body["data"]["tags"].values():
                tag["timestamp"] += 60 * minute
            lines.append(json.dumps(body))
        said = load("\n".join([*lines, "", "{no json", lines[0]]) + "\n", register=True)
        assert len(self.stored()) == 3 * len(body["data"]["tags"])
        assert "line 5: The body is not valid JSON." in said

    def test_a_bad_tag_costs_no_other(self, load):
        body = json.loads(golden("raw"))
        (first, good), (second, _), *_ = body["data"]["tags"].items()
        without_time = {name: good[name] for name in ("rssi", "data")}
        body["data"]["tags"] = {first: good, second: without_time, "x": good, "y": {"rssi": "far"}}
        said = load(json.dumps(body), register=True)
        assert set(self.stored()) == {(first, good["timestamp"])}
        assert f"line 1: {second}: without a time; x: a MAC address" in said


class TestInterrupted:
    def test_it_goes_on_where_it_stopped(self, sensor, load, monkeypatch):
        monkeypatch.setattr(import_history, "batch_size", lambda: 10)
        content = HEADER + "".join(line(minute) for minute in range(35))
        written = []

        def fail_at_third(mark, place):
            written.append(place.line)
            if len(written) == 3:
                raise KeyboardInterrupt
            keep(mark, place)

        keep = imports._write_place
        monkeypatch.setattr(imports, "_write_place", fail_at_third)
        with pytest.raises(KeyboardInterrupt):
            load(content)
        assert len(history()) == 29  # the third batch is stored, and its place was not noted
        monkeypatch.setattr(imports, "_write_place", keep)
        said = load(content)
        assert "going on after line 20" in said
        assert "35 readings, 0 bad lines skipped." in said
        assert len(history()) == 35

    def test_another_sensor_or_zone_begins_anew(self, sensor, load, monkeypatch):
        monkeypatch.setattr(imports.Path, "unlink", lambda *a, **k: None)  # as if never finished
        content = f"Date,Temperature (°C)\n{AT},21\n"
        load(content, sensor=MAC)
        other = Mac(5)
        load(content, sensor=other, register=True)
        assert history(other) == [(AT, 21)]
