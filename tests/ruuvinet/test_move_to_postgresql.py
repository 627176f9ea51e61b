"""A home's SQLite becomes a server's PostgreSQL, and nothing is lost on the way."""

import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from tests.gateways.test_durability import stored
from tests.ruuvinet.installation import database, installation, manage, posting, serving
from tests.services import start_postgresql

pytestmark = pytest.mark.slow

# What gateways do not make: every kind of column, and history of years ago.
FURNISH = """
from datetime import datetime, timedelta, UTC
from django.utils import timezone
from accounts.models import AuditEntry, User
from alerts.models import AlertEvent, AlertRule, EvaluationMark
from gateways.models import Credential, Gateway, GatewayStatus
from sensors.models import Access, Measurement, Sensor, SparseMeasurement
now = timezone.now()
people = [User.objects.create_user(f"person{n}@example.com") for n in range(300)]
people[7].delete()
sensor = Sensor.objects.create(mac=0xAABBCCDDEEFF, owner=people[0], offset_temperature_c=-0.1)
Access.objects.create(user=people[0], sensor=sensor, name="Jääkaappi ☃ 'quoted' \\\\ \\t tab")
AlertRule.objects.create(user=people[0], sensor=sensor, type="temperature", max=1e-7)
EvaluationMark.objects.create(sensor=sensor, evaluated_to=1, judged_ahead=[3, 1, 2])
for address in ("2001:db8::1", "192.0.2.1", None):
    AuditEntry.objects.create(at=now, kind="call", actor="internal", address=address, action="x", result="ok")
gateway = Gateway.objects.create(mac=0xC0FFEE, secret="40:98:A7:78:58:1A:E1:38", whitelisted_at=datetime(2026, 1, 1, tzinfo=UTC))
Credential.objects.create(kind="bearer", digest=bytes(range(32)), gateway=gateway, created_at=now)
GatewayStatus.objects.create(gateway=gateway, received_at=now, esp_firmware="1", nrf_firmware="2", nrf_alive=None, told={"b": [1.5, None], "a": "ä"})
old = int(now.timestamp()) - 3 * 365 * 86400
for model in (Measurement, SparseMeasurement):
    model.objects.bulk_create(model(sensor=7, slot=old + n * 86400, measured_at=old + n * 86400, gateway=1, rssi_dbm=-70, payload=bytes([n % 256, 0])) for n in range(1000))
"""


@pytest.fixture
def home(tmp_path):
    with installation(tmp_path, DATABASE_URL="", REDIS_URL="") as environment:
        assert manage(environment, "migrate", "--verbosity=0").returncode == 0
        furnished = manage(environment, "shell", "-c", FURNISH)
        assert furnished.returncode == 0, furnished.stderr
        yield environment


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL, also where this run is about SQLite."""
    if url := os.environ["DATABASE_URL"]:
        yield url
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ruuvinet-tests-")))
        folder.chmod(0o711)  # PostgreSQL may run as somebody else
        yield start_postgresql(folder, stack)


@pytest.fixture
def target(server):
    with database(server) as url:
        yield url


def sqlite(environment):
    return Path(environment["RUUVINET_DATA"]) / "ruuvinet.sqlite3"


def refusal(told):
    assert told.returncode == 1, told.stdout
    return told.stderr.strip().splitlines()[-1]


def moved_to(target, home):
    return manage(home | {"DATABASE_URL": target}, "move_to_postgresql")


def number_of(url, table):
    with psycopg.connect(url) as there:
        return there.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_a_home_goes_on_as_a_server_with_all_that_it_had(home, target):
    told = moved_to(target, home)
    assert told.returncode == 0, told.stderr
    with closing(sqlite3.connect(sqlite(home))) as old, psycopg.connect(target) as new:
        for (table,) in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            if table not in ("sqlite_sequence", "django_migrations"):
                [count] = old.execute(f"SELECT count(*) FROM {table}").fetchone()
                assert number_of(target, table) == count, table
                assert f"{count:>12}  {table}\n" in told.stdout
        mail = "SELECT email FROM accounts_user ORDER BY id"
        assert list(new.execute(mail)) == list(old.execute(mail))
        whole = "SELECT name, picture FROM sensors_access"
        assert list(new.execute(whole)) == list(old.execute(whole))

    moved = home | {"DATABASE_URL": target}
    seen = manage(moved, "shell", "-c", CHECK)
    assert seen.stdout.split()[-3:] == ["40:98:A7:78:58:1A:E1:38", "ä", "300"], seen.stderr
    before = stored(moved, "sensors_latest")
    with serving(moved), posting(moved) as fleet:
        pass
    assert fleet.statuses == {200}
    assert fleet.acknowledged <= stored(moved, "sensors_latest") - before


CHECK = """
from accounts.models import User
from gateways.models import Gateway, GatewayStatus
print(Gateway.objects.get(mac=0xC0FFEE).secret)
print(GatewayStatus.objects.get().told["a"])
print(User.objects.create_user("next@example.com").pk - User.objects.get(email="person0@example.com").pk)
"""


def test_nothing_is_moved_onto_something(home, target):
    assert moved_to(target, home).returncode == 0
    assert "is not empty" in refusal(moved_to(target, home))


def test_what_postgresql_cannot_hold_stops_all_of_it(home, target):
    with closing(sqlite3.connect(sqlite(home))) as there, there:
        there.execute("UPDATE sensors_access SET name = 'a' || char(0) || 'b'")
    assert "Nothing was moved" in refusal(moved_to(target, home))
    assert number_of(target, "accounts_user") == number_of(target, "sensors_measurement") == 0

    with closing(sqlite3.connect(sqlite(home))) as there, there:
        there.execute("UPDATE sensors_access SET name = 'mended'")
    assert moved_to(target, home).returncode == 0


def test_a_difference_on_arrival_is_noticed(home, target):
    assert manage(home | {"DATABASE_URL": target}, "migrate", "--verbosity=0").returncode == 0
    with psycopg.connect(target, autocommit=True) as there:
        there.execute(
            "CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END'"
        )
        there.execute(
            "CREATE TRIGGER bend BEFORE INSERT ON sensors_access"
            " FOR EACH ROW EXECUTE FUNCTION bend()"
        )
    assert "sensors_access" in refusal(moved_to(target, home))
    assert number_of(target, "accounts_user") == 0


def test_a_running_server_is_not_moved(home, target):
    with serving(home):
        assert "Stop RuuviNet first" in refusal(moved_to(target, home))


def test_other_keys_are_noticed(home, target):
    other = home | {"ENCRYPTION_KEYS": "b3RoZXIgdGhhbiBhdCB0aGUgYmFja3VwLi4uLi4uLi4="}
    assert "ENCRYPTION_KEYS cannot read gateways_gateway" in refusal(moved_to(target, other))
    assert number_of(target, "gateways_gateway") == 0


def test_an_older_schema_is_not_moved(home, target):
    assert manage(home, "migrate", "alerts", "0002").returncode == 0
    assert "another version" in refusal(moved_to(target, home))


def test_without_a_postgresql_nothing_is_moved(home):
    assert "Set DATABASE_URL" in refusal(manage(home, "move_to_postgresql"))
