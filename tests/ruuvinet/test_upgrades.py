"""From one version to the next, without a refused post and with a way back."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from ruuvinet import __version__
from tests.gateways.test_durability import missing
from tests.ruuvinet.installation import installation, manage, posting, serving, wait_for_posts
from tests.ruuvinet.program import PROJECT, Program

ROOMS = (
    "ruuvinet", "gateways", "alerts", "sensors", "subscriptions", "accounts", "operations",
)  # fmt: skip

# What a next version may do to the tables that posts are written to, as docs/upgrading.md says.
NEXT_VERSION = {
    "gateways": """
        migrations.AddField("gateway", "site", models.CharField(max_length=32, null=True)),
        migrations.AddField("gateway", "floor", models.IntegerField(db_default=0)),
    """,
    "alerts": """
        migrations.AddField("alertrule", "note", models.TextField(db_default="")),
        migrations.AddIndex("alertevent", models.Index(fields=["sensor"], name="later_index")),
    """,
    "sensors": """
        migrations.AddField("sensor", "colour", models.CharField(max_length=9, db_default="")),
        migrations.AddField("latest", "heard_by", models.IntegerField(null=True)),
    """,
}
MIGRATION = """
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = [("{app}", "{newest}")]
    operations = [{operations}]
"""


@pytest.fixture
def environment(tmp_path):
    with installation(tmp_path) as environment:
        yield environment


@pytest.fixture
def next_version(tmp_path):
    """A copy of this code with one migration more in each room that takes part in a post."""
    copy = tmp_path / "next"
    for room in ROOMS:
        shutil.copytree(PROJECT / room, copy / room)
    shutil.copy(PROJECT / "manage.py", copy)
    for app, operations in NEXT_VERSION.items():
        folder = copy / app / "migrations"
        newest = max(folder.glob("0*.py")).stem
        (folder / "9999_next.py").write_text(
            MIGRATION.format(app=app, newest=newest, operations=operations)
        )
    return copy


def upgrade(folder, environment):
    return Program([sys.executable, "manage.py", "migrate"], env=environment, cwd=folder)


@pytest.mark.slow
def test_no_post_is_refused_while_the_next_version_migrates(environment, next_version):
    with serving(environment), posting(environment) as fleet:
        with upgrade(next_version, environment) as upgrading:
            assert upgrading.end() == 0, upgrading.output
            assert len(upgrading.find("Applying .*9999_next.* OK")) == len(NEXT_VERSION)
        wait_for_posts(fleet, 300)
    assert fleet.statuses == {200}
    assert missing(environment, fleet.acknowledged) == set()


@pytest.mark.slow
def test_migrations_go_back_and_forth_under_posts(environment):
    """Those of the newest version that ingest does not read."""
    back = [("alerts", "0002"), ("subscriptions", "0002")]
    with serving(environment), posting(environment) as fleet:
        undone = 0
        for app, name in back:
            told = manage(environment, "migrate", app, name)
            assert told.returncode == 0, told.stderr
            undone += told.stdout.count(" OK")
        assert undone >= len(back)
        wait_for_posts(fleet, 100)
        told = manage(environment, "migrate")
        assert told.stdout.count(" OK") == undone, told.stdout + told.stderr
        wait_for_posts(fleet, 100)
    assert fleet.statuses == {200}
    assert missing(environment, fleet.acknowledged) == set()


@pytest.mark.slow
def test_a_long_read_stops_a_migration_for_a_while_and_posts_never(environment, next_version):
    if not environment["DATABASE_URL"]:
        return  # readers of SQLite are in nobody's way
    with serving(environment), posting(environment) as fleet:
        with psycopg.connect(environment["DATABASE_URL"]) as reader:
            reader.execute("SELECT count(*) FROM gateways_gateway, sensors_latest")
            upgrading = upgrade(next_version, environment)
            upgrading.wait_for("Somebody uses a table that is to be changed", times=3)
            wait_for_posts(fleet, 100)
        with upgrading:
            assert upgrading.end() == 0, upgrading.output
        wait_for_posts(fleet, 100)
    assert fleet.statuses == {200}
    assert missing(environment, fleet.acknowledged) == set()


@pytest.mark.slow
def test_an_older_data_folder_is_upgraded_and_its_copy_kept(tmp_path):
    with installation(tmp_path, DATABASE_URL="", REDIS_URL="") as home:
        assert manage(home, "migrate", "--verbosity=0").returncode == 0
        data = Path(home["RUUVINET_DATA"])
        assert not list(data.glob("*before-upgrade"))  # nothing to keep at the first start
        assert manage(home, "migrate", "alerts", "0002", "--verbosity=0").returncode == 0
        with serving(home) as server, posting(home) as fleet:
            said = server.find(r"The data as it was before this upgrade: (.+)$")
            copy = Path(said[0][1])
        assert fleet.statuses == {200}
    assert copy == data / "ruuvinet.sqlite3.before-upgrade"
    newest = ("alerts", "0003_events_by_end")
    assert newest in applied(data / "ruuvinet.sqlite3")
    assert newest not in applied(copy)


# Data folders of `make run` with the tests' secrets: two gateways of `manage.py simulate`, a person
# with a rule, its alert and a phone. Each release leaves one more.
RELEASES = sorted((PROJECT / "tests/golden/releases").glob("*.zip"))
KEPT = (
    "SELECT email, password, is_superuser FROM accounts_user",
    "SELECT mac, secret, whitelisted_at FROM gateways_gateway",
    "SELECT sensor, slot, rssi_dbm, gateway, payload FROM sensors_measurement",
    "SELECT sensor, slot, rssi_dbm, gateway, payload FROM sensors_sparsemeasurement",
    "SELECT mac, owner_id FROM sensors_sensor",
    "SELECT sensor_id, user_id, name FROM sensors_access",
    "SELECT id, sensor_id, user_id, type, max FROM alerts_alertrule",
    "SELECT id, rule_id, sensor, value, opened_at FROM alerts_alertevent",
    "SELECT user_id, token, platform FROM alerts_pushtoken",
)


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
def test_a_data_folder_of_each_release_is_whole_after_its_upgrade(release, tmp_path):
    never = {"DENSE_RETENTION_DAYS": "36500", "SPARSE_RETENTION_DAYS": "36500"}
    with installation(tmp_path, DATABASE_URL="", REDIS_URL="", **never) as home:
        data = Path(home["RUUVINET_DATA"])
        shutil.unpack_archive(release, data)
        before = all_of(data / "ruuvinet.sqlite3")
        assert all(before.values())
        with serving(home, whitelist=False) as server:
            assert server.find("The data as it was before this upgrade")
            url = f"http://127.0.0.1:{home['PORT']}/record"
            posted = ("simulate", "--url", url, "--gateways", "2", "--posts", "1", "--spread", "0")
            told = manage(home, *posted)  # by keys that only the old secrets can read
            assert told.returncode == 0, told.stderr
        after = all_of(data / "ruuvinet.sqlite3")
    assert [query for query, rows in before.items() if rows - after[query]] == []


def all_of(path):
    with closing(sqlite3.connect(path)) as database:
        return {query: set(database.execute(query)) for query in KEPT}


def applied(path):
    with closing(sqlite3.connect(path)) as database:
        return set(database.execute("SELECT app, name FROM django_migrations"))


def test_the_version_is_said_in_one_place_and_the_changelog_knows_it():
    told = subprocess.run(
        [sys.executable, "manage.py", "version"], cwd=PROJECT, capture_output=True, text=True
    )
    assert told.stdout == f"RuuviNet {__version__}\n"
    changelog = (PROJECT / "CHANGELOG.md").read_text()
    newest = next(line for line in changelog.splitlines() if line.startswith("## "))
    assert newest.split()[1] == __version__
