"""`/health`: a balancer sends nobody to a server whose database is not ready."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

ROOT = Path(__file__).parents[2]
# What a server with these settings would answer.
ASK = """
import django
django.setup()
from django.test import Client
reply = Client(headers={"host": "localhost"}).get("/health")
print(reply.status_code, reply.json()["status"], sep=": ")
"""


@pytest.mark.storage
@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "head"])
def test_migrated_database_is_healthy(method):
    reply = getattr(Client(), method)("/health")

    assert reply.status_code == 200
    if method == "get":
        assert reply.json() == {"status": "ok"}


@pytest.mark.storage
@pytest.mark.django_db
@pytest.mark.parametrize("app", ["gateways", "sensors", "alerts", "accounts", "axes"])
def test_unapplied_migration_is_not(app):
    MigrationRecorder.Migration.objects.filter(app=app).latest("id").delete()
    reply = Client().get("/health")

    assert (reply.status_code, reply.json()) == (503, {"status": "database not migrated"})


@pytest.mark.django_db
def test_migration_of_newer_code_does_no_harm():
    MigrationRecorder.Migration.objects.create(app="sensors", name="9999_from_the_future")

    assert Client().get("/health").status_code == 200


@pytest.mark.django_db
def test_probing_costs_few_queries(django_assert_max_num_queries):
    Client().get("/health")

    with django_assert_max_num_queries(3):
        Client().get("/health")


@pytest.mark.parametrize(
    ("database_url", "said"),
    [
        ("postgres://nobody@127.0.0.1:1/none", "503: database unreachable"),
        ("sqlite:///{folder}/missing/db.sqlite3", "503: database unreachable"),
        ("sqlite:///{folder}/empty.sqlite3", "503: database not migrated"),
    ],
)
@pytest.mark.storage
def test_server_without_its_database_says_so(database_url, said, tmp_path):
    told = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "ruuvinet.settings",
            "DATABASE_URL": database_url.format(folder=tmp_path),
            "RUUVINET_DATA": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert told.stdout.strip() == said, told.stderr
