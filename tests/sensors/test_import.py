"""Production batches: `manage.py import_sensors` and `import_gateways`."""

import io
import json
import signal
import sys
import time

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from gateways.models import Gateway
from gateways.services import whitelist
from ruuvinet.lib.mac import Mac
from sensors import imports
from sensors.models import Sensor
from sensors.services import claim_sensor, register_sensor
from tests.ruuvinet.program import Program, eventually
from tests.sensors.databases import environment_of_this_database

MAC, SECRET = "AA:BB:CC:DD:EE:FF", "DE:AD:BE:EF:00:11:22:33"
OTHER = "DE:AD:BE:EF:00:11:22:34"
KINDS = ["import_sensors", "import_gateways"]


@pytest.fixture(autouse=True)
def _no_place_remembered():
    yield
    for mark in (settings.DATA_DIR / "imports").glob("*"):
        mark.unlink()


@pytest.fixture
def load(tmp_path):
    """Import these lines; what was printed, with the told lines first."""

    def run(command, *lines):
        path = tmp_path / "batch"
        path.write_bytes(
            b"".join(ln if isinstance(ln, bytes) else f"{ln}\n".encode() for ln in lines)
        )
        out, told = io.StringIO(), io.StringIO()
        call_command(command, str(path), stdout=out, stderr=told)
        return [*told.getvalue().splitlines(), out.getvalue().strip()]

    return run


def secret_of(number):
    return f"{number:016X}"


def lines(count):
    return [f"{Mac(number)},{secret_of(number)}" for number in range(count)]


def has(command, mac, secret):
    """Whether it was imported."""
    if command == "import_sensors":
        return Sensor.objects.get(mac=Mac.parse(mac)).has_secret(secret)
    return Gateway.objects.whitelisted().get(mac=Mac.parse(mac)).secret == secret


@pytest.mark.storage
@pytest.mark.django_db
@pytest.mark.parametrize("command", KINDS)
class TestFile:
    @pytest.mark.parametrize(
        "line",
        [
            f"{MAC},{SECRET}",
            f'"{MAC}","{SECRET}"',
            f"{MAC.lower().replace(':', '-')},{SECRET}",
            json.dumps({"macAddress": MAC, "secret": SECRET}),
            json.dumps({"secret": SECRET, "macAddress": MAC, "line": 7}),
            f"\ufeff{MAC},{SECRET}",
            f"{MAC},{SECRET}\r",
        ],
    )
    def test_a_line_is_csv_or_json(self, command, line, load):
        assert load(command, line)[-1].startswith("1 ")
        assert has(command, MAC, SECRET)

    def test_header_and_empty_lines_are_no_entries(self, command, load):
        printed = load(command, "macAddress,secret", "", f"{MAC},{SECRET}", " ")

        assert len(printed) == 1
        assert printed[0].endswith("0 bad lines skipped.")

    def test_the_last_line_needs_no_end(self, command, load):
        assert load(command, f"{MAC},{SECRET}".encode())[-1].startswith("1 ")

    def test_bad_lines_are_told_by_number_and_skipped(self, command, load):
        bad = [
            "AA:BB:CC:DD:EE,1234567812345678",
            "no comma",
            f"{MAC},{SECRET},more",
            f"{MAC},",
            '{"macAddress": 1}',
            "{",
            b"\xff\xfe,\n",
            f'{MAC},"{SECRET}',
            "macAddress,secret",
        ]
        good = lines(2)
        printed = load(command, good[0], *bad, good[1])

        assert [line.partition(":")[0] for line in printed[:-1]] == [
            f"line {number}" for number in range(2, 11)
        ]
        assert printed[-1].startswith("2 ")
        assert printed[-1].endswith("9 bad lines skipped.")

    def test_another_secret_is_a_bad_line_and_changes_nothing(self, command, load):
        load(command, f"{MAC},{SECRET}")
        printed = load(command, f"{Mac(1)},{SECRET}", f"{MAC},{OTHER}")

        assert printed[0] == f"line 2: {MAC} is known with another secret"
        assert printed[1].startswith("1 ")
        assert has(command, MAC, SECRET)

    def test_two_secrets_in_one_file_leave_the_first(self, command, load):
        printed = load(command, f"{MAC},{SECRET}", f"{MAC},{SECRET}", f"{MAC},{OTHER}")

        assert printed[0] == f"line 3: {MAC} is listed with two secrets"
        assert has(command, MAC, SECRET)

    def test_the_same_file_again_changes_nothing(self, command, load):
        assert load(command, *lines(3)) == load(command, *lines(3))

    def test_no_secret_is_printed(self, command, load):
        printed = load(command, f"{MAC},{SECRET}", f"{MAC},{OTHER}", f"x,{SECRET}")

        assert not [line for line in printed if "DE:AD" in line]

    def test_an_unreadable_file_is_one_line(self, command, tmp_path):
        with pytest.raises(CommandError, match="No such file"):
            call_command(command, str(tmp_path / "missing"))

    def test_queries_grow_with_batches_not_with_lines(
        self, command, load, django_assert_max_num_queries
    ):
        with django_assert_max_num_queries(40):
            load(command, *lines(imports.BATCH * 2))

    def test_killed_in_the_middle_it_goes_on_where_it_stopped(self, command, load, monkeypatch):
        text = lines(imports.BATCH * 2 + 1)
        text[1] = "bad"
        written = imports._write_place

        def write_and_die(mark, place):
            written(mark, place)
            raise KeyboardInterrupt

        monkeypatch.setattr(imports, "_write_place", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            load(command, *text)
        monkeypatch.undo()
        printed = load(command, *text)

        assert printed[0] == f"going on after line {imports.BATCH}"
        assert printed[1].startswith(f"{imports.BATCH * 2} ")
        assert printed[1].endswith("1 bad lines skipped.")

    def test_a_changed_file_begins_anew(self, command, load, monkeypatch):
        monkeypatch.setattr(imports, "BATCH", 1)
        monkeypatch.setattr(type(imports.Path()), "unlink", lambda *_, **__: None)
        load(command, *lines(2))
        monkeypatch.undo()

        assert len(load(command, *lines(3))) == 1


@pytest.mark.django_db
class TestSensors:
    def test_a_claimed_sensor_gets_its_secret(self, load, alice):
        claim_sensor(user=alice, mac=Mac.parse(MAC))
        load("import_sensors", f"{MAC},{SECRET}")
        sensor = Sensor.objects.get()

        assert (sensor.owner, sensor.has_secret(SECRET)) == (alice, True)

    def test_what_the_factory_line_registered_is_the_same(self, load):
        register_sensor(mac=Mac.parse(MAC), secret=SECRET.lower())

        assert load("import_sensors", f"{MAC},{SECRET}")[0].startswith("1 sensors")


@pytest.mark.django_db
class TestGateways:
    def test_the_fallback_key_is_a_bad_line(self, load):
        printed = load("import_gateways", f"{MAC},FF:FF:FF:FF:FF:FF:FF:FF")

        assert "fallback key" in printed[0]
        assert not Gateway.objects.exists()

    def test_a_secret_is_taken_literally(self, load):
        load("import_gateways", f'{MAC},"1,2 "')

        assert Gateway.objects.get().secret == "1,2 "

    def test_when_one_was_whitelisted_is_kept(self, load):
        before = whitelist(mac=Mac.parse(MAC), secret=SECRET, at=timezone.now()).whitelisted_at
        load("import_gateways", f"{MAC},{SECRET}")

        assert Gateway.objects.get().whitelisted_at == before


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", KINDS)
def test_100_000_lines_take_less_than_a_minute_also_when_killed_in_the_middle(command, tmp_path):
    path = tmp_path / "batch.csv"
    path.write_text("\n".join(["macAddress,secret", *lines(100_000)]))
    model = {"import_sensors": Sensor, "import_gateways": Gateway}[command]
    environment = environment_of_this_database()
    argv = [sys.executable, "manage.py", command, str(path)]

    started = time.monotonic()
    with Program(argv, env=environment) as program:
        assert eventually(lambda: model.objects.count() > 30_000)
        program.end(signal.SIGKILL)
    assert model.objects.count() < 100_000
    with Program(argv, env=environment) as program:
        assert program.end() == 0, program.output
    took_s = time.monotonic() - started

    assert program.find(r"going on after line \d{5}")
    assert program.lines[-1].startswith("100000 ")
    assert model.objects.count() == 100_000
    assert took_s < 60
