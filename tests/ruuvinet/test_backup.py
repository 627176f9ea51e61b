"""Backups of real installations, taken while gateways post, and brought back to life."""

import json
import os
import stat
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import CommandError

from ruuvinet import dumps
from tests.gateways.test_durability import stored
from tests.ruuvinet.installation import installation, manage, posting, serving, wait_for_posts

pytestmark = pytest.mark.slow
SECRETS = ("SECRET_KEY", "ENCRYPTION_KEYS", "INTERNAL_SECRET", "SHOP_SECRET")
PICTURE = b"any bytes of a picture"


@pytest.fixture
def environment(tmp_path):
    with installation(tmp_path / "old") as environment:
        yield environment


@pytest.fixture
def elsewhere(tmp_path):
    """Another machine, with nothing on it but, on a server, the same keys."""
    with installation(tmp_path / "new") as environment:
        yield environment


@pytest.fixture
def archive(environment, tmp_path):
    """Of a new installation with one picture."""
    assert manage(environment, "migrate", "--verbosity=0").returncode == 0
    pictures = Path(environment["RUUVINET_DATA"]) / "pictures"
    pictures.mkdir(parents=True)
    (pictures / "porch.jpg").write_bytes(PICTURE)
    return backed_up(environment, tmp_path / "backups")


def backed_up(environment, folder, *options):
    told = manage(environment, "backup", folder, *options)
    assert told.returncode == 0, told.stderr
    return max(folder.glob("*.zip"))


def manifest_of(archive):
    with zipfile.ZipFile(archive) as files:
        return json.loads(files.read("manifest.json"))


def said(told):
    """The one line with which a command refused."""
    assert told.returncode == 1, told.stdout
    lines = told.stderr.strip().splitlines()
    assert len(lines) == 1, told.stderr
    return lines[0]


def with_manifest(archive, **changes):
    """A copy of the archive that says something else of itself."""
    copy = archive.with_name("changed.zip")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            if name != "manifest.json":
                new.writestr(name, old.read(name))
        new.writestr("manifest.json", json.dumps(manifest_of(archive) | changes))
    return copy


def test_a_backup_under_load_refuses_no_post_and_has_all_that_was_acknowledged(
    environment, elsewhere, tmp_path
):
    with serving(environment), posting(environment, at_least=200) as fleet:
        before = set(fleet.acknowledged)
        told = manage(environment, "backup", tmp_path / "backups", "--verify")
        assert told.returncode == 0, told.stderr
        assert "every count is the same" in told.stdout
        wait_for_posts(fleet, 50)
    assert fleet.statuses == {200}

    [archive] = (tmp_path / "backups").glob("*.zip")
    restored = manage(elsewhere, "restore", archive)
    assert restored.returncode == 0, restored.stderr
    rows = manifest_of(archive)["rows"]
    assert f"{sum(rows.values())} rows in {len(rows)} tables" in restored.stdout
    for table in ("sensors_measurement", "sensors_latest"):
        there = stored(elsewhere, table)
        assert len(there) == rows[table]
        assert before <= there
    with serving(elsewhere, whitelist=False), posting(elsewhere, at_least=50) as fleet:
        pass
    assert fleet.statuses == {200}


def test_whoever_may_make_no_scratch_database_is_told_the_mend(environment, tmp_path):
    server = urlsplit(environment["DATABASE_URL"])
    if not server.scheme:
        return  # a scratch place of SQLite is a folder
    role = f"frugal_{os.getpid()}"
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'thrift'")
        admin.execute(f"ALTER DATABASE {server.path[1:]} OWNER TO {role}")
    place = server.netloc.rpartition("@")[2]
    frugal = environment | {
        "DATABASE_URL": server._replace(netloc=f"{role}:thrift@{place}").geturl()
    }
    assert manage(frugal, "migrate", "--verbosity=0").returncode == 0
    refusal = said(manage(frugal, "backup", tmp_path / "backups", "--verify"))
    assert f"ALTER ROLE {role} CREATEDB" in refusal
    assert len(list((tmp_path / "backups").glob("*.zip"))) == 1


def test_keys_lie_beside_the_archive_for_their_owner_only_and_never_in_it(archive, environment):
    keys = archive.with_suffix(".keys")
    assert f"ENCRYPTION_KEYS={environment['ENCRYPTION_KEYS']}" in keys.read_text().splitlines()
    assert stat.S_IMODE(keys.stat().st_mode) == stat.S_IMODE(archive.stat().st_mode) == 0o600
    with zipfile.ZipFile(archive) as files:
        whole = b"".join(files.read(name) for name in files.namelist())
    for name in SECRETS:
        assert environment[name].encode() not in whole


def test_pictures_come_back(archive, elsewhere):
    assert manage(elsewhere, "restore", archive).returncode == 0
    assert (Path(elsewhere["RUUVINET_DATA"]) / "pictures/porch.jpg").read_bytes() == PICTURE


def test_a_restore_loses_nothing_unasked(archive, environment):
    assert "not empty" in said(manage(environment, "restore", archive))
    assert manage(environment, "restore", archive, "--replace").returncode == 0
    assert manage(environment, "migrate", "--check").returncode == 0


def test_a_failed_restore_leaves_everything_as_it_was(archive, environment, tmp_path):
    rows = manifest_of(archive)["rows"]
    wrong = with_manifest(archive, rows=rows | {"accounts_user": 7})
    assert "accounts_user has 0 rows and not 7" in said(
        manage(environment, "restore", wrong, "--replace")
    )
    assert manifest_of(backed_up(environment, tmp_path / "after"))["rows"] == rows


def test_a_backup_of_a_newer_version_is_refused(archive, elsewhere):
    newer = with_manifest(archive, version="9.0.0", migrations=["sensors.9999_from_the_future"])
    refusal = said(manage(elsewhere, "restore", newer))
    assert "9.0.0" in refusal
    assert "9999_from_the_future" in refusal


def test_a_backup_is_not_restored_beside_running_programs(archive, environment):
    with serving(environment):
        refusal = said(manage(environment, "restore", archive, "--replace"))
    assert "Stop RuuviNet first" in refusal


def test_a_backup_of_an_older_schema_is_brought_up_to_date(environment, elsewhere, tmp_path):
    assert manage(environment, "migrate", "--verbosity=0").returncode == 0
    assert manage(environment, "migrate", "alerts", "0002").returncode == 0
    archive = backed_up(environment, tmp_path / "backups")
    assert manage(elsewhere, "restore", archive).returncode == 0
    assert manage(elsewhere, "migrate", "--check").returncode == 0


def test_other_keys_are_noticed_before_anything_is_done(archive, elsewhere):
    other = elsewhere | {"ENCRYPTION_KEYS": "b3RoZXIgdGhhbiBhdCB0aGUgYmFja3VwLi4uLi4uLi4="}
    assert "keys" in said(manage(other, "restore", archive)).lower()
    assert "accounts.0001_initial" in manage(elsewhere, "migrate", "--plan").stdout


def test_a_new_machine_takes_over_the_keys(tmp_path):
    embedded = {"DATABASE_URL": "", "REDIS_URL": "", **dict.fromkeys(SECRETS)}
    with (
        installation(tmp_path / "a", **embedded) as old,
        installation(tmp_path / "b", **embedded) as new,
    ):
        assert manage(old, "migrate", "--verbosity=0").returncode == 0
        archive = backed_up(old, tmp_path / "backups")
        keys = archive.with_suffix(".keys")

        assert "name their file with --keys" in said(manage(new, "restore", archive))
        assert manage(new, "restore", archive, "--keys", keys).returncode == 0
        made = Path(new["RUUVINET_DATA"]) / "secrets.env"
        assert made.read_text() == keys.read_text()
        assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_what_is_damaged_is_no_backup(archive, elsewhere):
    content = bytearray(archive.read_bytes())
    content[len(content) // 3] ^= 0xFF
    archive.write_bytes(content)
    assert manage(elsewhere, "restore", archive).returncode == 1
    archive.write_bytes(content[: len(content) // 2])
    assert "is not a backup, or is damaged" in said(manage(elsewhere, "restore", archive))


def test_nothing_is_no_backup(environment, tmp_path):
    assert "empty" in said(manage(environment, "backup", tmp_path / "backups"))
    assert not (tmp_path / "backups").exists()


def test_a_database_out_of_reach_is_said(environment, archive):
    nowhere = environment | {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}
    told = manage(nowhere, "backup", archive.parent)
    assert told.returncode == 1
    assert told.stderr.startswith("CommandError: The backup cannot be written: connection failed")


def test_old_backups_go_when_asked(environment, archive, tmp_path):
    for name in ("20250101-000000", "20250102-000000"):
        for suffix in (".zip", ".keys"):
            (archive.parent / f"ruuvinet-{name}{suffix}").touch()
    newest = backed_up(environment, archive.parent, "--keep", "2")
    left = {path.stem for path in archive.parent.iterdir()}
    assert left == {archive.stem, newest.stem}


def test_programs_that_are_older_than_the_server_are_said_to_be_missing(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CommandError, match="apt install postgresql-client-99"):
        dumps._program("pg_dump", 99)
