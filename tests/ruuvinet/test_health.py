"""`/health`: that a process lives. `/health/ready`: that gateways may be sent to it."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from kombu import Connection

from operations.models import Heartbeat
from operations.services import note_alive
from ruuvinet import health
from ruuvinet.celery import app
from ruuvinet.health import HEARTBEAT_LATE
from sensors.partitions import TABLES, ensure_partitions
from tests.gateways.doors import FastLaneClient
from tests.ruuvinet.asgi_server import AsgiServer
from tests.services import free_port

ROOT = Path(__file__).parents[2]
# What a server with these settings would answer.
ASK = """
import django
django.setup()
from django.test import Client
for path in ("/health", "/health/ready"):
    reply = Client(headers={"host": "localhost"}).get(path)
    told = reply.json()
    print(reply.status_code, told.get("parts", {}).get("database", told["status"]), sep=": ")
"""
TICK = timedelta(seconds=60)


@pytest.fixture
def alive(db):
    """Partitions are there, and everybody was seen at work just now."""
    now = timezone.now()
    ensure_partitions(int(now.timestamp()))
    for part in Heartbeat.PARTS:
        note_alive(part, now)


def ready(client=None):
    reply = (client or Client()).get("/health/ready")
    told = reply.json()
    wrong = {part: text for part, text in told["parts"].items() if text != "ok"}
    return reply.status_code, told["status"], wrong


# --- Live ------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/health", "/health/"])
@pytest.mark.parametrize("method", ["get", "head"])
def test_a_process_that_answers_is_live_without_a_database(path, method):
    reply = getattr(Client(), method)(path)  # without the mark django_db a query is an error

    assert reply.status_code == 200
    assert reply.content == (b"" if method == "head" else b'{"status": "ok"}')


@pytest.mark.django_db(transaction=True)
def test_the_server_answers_for_its_health_at_each_path(alive):
    with AsgiServer() as FastLaneClient.server:
        client = FastLaneClient()
        for path in ("/health", "/health/", "/health/ready", "/health/ready/"):
            reply = client.get(path, headers={"host": "10.0.0.5"})
            assert (path, reply.status_code, reply.json()["status"]) == (path, 200, "ok")
        assert client.head("/health").content == b""


# --- Ready -----------------------------------------------------------------------------------
@pytest.mark.storage
def test_an_installation_at_work_is_ready(alive):
    assert ready() == (200, "ok", {})
    assert Client().head("/health/ready").status_code == 200


@pytest.mark.storage
@pytest.mark.parametrize("app", ["gateways", "sensors", "alerts", "accounts", "axes"])
def test_an_unapplied_migration_is_unready(app, alive):
    MigrationRecorder.Migration.objects.filter(app=app).latest("id").delete()

    assert ready() == (503, "unready", {"database": "database not migrated"})


def test_a_migration_of_newer_code_does_no_harm(alive):
    MigrationRecorder.Migration.objects.create(app="sensors", name="9999_from_the_future")

    assert ready() == (200, "ok", {})


@pytest.mark.storage
@pytest.mark.parametrize("part", ["worker", "delivery worker"])
def test_a_lost_worker_is_told_and_posts_are_taken(part, alive):
    note_alive(part, timezone.now() - HEARTBEAT_LATE - TICK)
    status, said, wrong = ready()

    assert (status, said, list(wrong)) == (200, "impaired", [part])
    assert wrong[part].startswith("last seen at work 21")


def test_of_workers_nothing_is_known_while_beat_is_away(alive):
    for part in Heartbeat.PARTS:
        note_alive(part, timezone.now() - HEARTBEAT_LATE - TICK)

    _, said, wrong = ready()
    assert said == "impaired"
    assert wrong["beat"].startswith("last seen")
    assert wrong["worker"] == wrong["delivery worker"] == "unknown while beat is away"


def test_who_was_never_seen_at_work_is_told(alive):
    Heartbeat.objects.filter(part="worker").delete()

    assert ready() == (200, "impaired", {"worker": "not seen at work yet"})


@pytest.mark.storage
def test_an_unreachable_broker_is_told_and_posts_are_taken(alive, monkeypatch):
    url = f"redis://127.0.0.1:{free_port()}/0"
    monkeypatch.setattr(app, "connection_for_read", lambda: Connection(url))

    assert ready() == (200, "impaired", {"broker": "broker unreachable"})


@pytest.mark.storage
def test_without_a_partition_for_now_posts_cannot_be_taken(alive):
    for table in TABLES if not settings.EMBEDDED_DATABASE else ():
        drop_partitions(table)

    missing = {"partitions": "the next partition of the history is missing"}
    assert ready() == ((200, "ok", {}) if settings.EMBEDDED_DATABASE else (503, "unready", missing))


def drop_partitions(table):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = %s::regclass", [table]
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE {name}")


@pytest.mark.storage
def test_partitions_that_soon_end_are_told_and_posts_are_taken(monkeypatch, alive):
    monkeypatch.setattr(health, "AHEAD_WANTED_S", 100 * 7 * 86400)

    assert ready()[:2] == (200, "ok" if settings.EMBEDDED_DATABASE else "impaired")


def test_probing_costs_few_queries(django_assert_max_num_queries, alive):
    ready()

    with django_assert_max_num_queries(5):
        ready()


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

    assert told.stdout.splitlines() == ["200: ok", said], told.stderr
