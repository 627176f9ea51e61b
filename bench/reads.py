"""`python -m bench.reads`: how fast are `/get` and `/sensors-dense`?

The whole way of a request, but for the network: Django's middleware, sign-in, throttle, view.
`/get` is compared, in turns, with the bare minimum: one SELECT for the same rows on the same
connection, and orjson for the answer.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.services import ENVIRONMENT, start_postgresql

ROWS, SENSORS = 5000, 50
STORED = 60 * 24 * 30  # minutes of history
PAYLOAD = bytes.fromhex("0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6")
SWITCHES = ("sharedToMe", "sharedToOthers", "measurements", "alerts", "settings")
BARE = """
    SELECT slot + offset_s, gateway, rssi_dbm, payload FROM sensors_measurement
    WHERE sensor = %s ORDER BY slot DESC LIMIT %s
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.reads", description=__doc__)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ruuvinet-reads-")))
        folder.chmod(0o711)  # PostgreSQL may have to run as somebody else
        url = start_postgresql(folder, stack) if options.database == "postgresql" else ""
        os.environ.update(ENVIRONMENT)
        os.environ.update(DATABASE_URL=url, REDIS_URL="", RUUVINET_DATA=str(folder / "data"))
        os.environ["DJANGO_SETTINGS_MODULE"] = "ruuvinet.settings"
        _measure(options.database, options.rounds)
    return 0


def _measure(database: str, rounds: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test.utils import CaptureQueriesContext, setup_test_environment

    call_command("migrate", verbosity=0)
    setup_test_environment()  # for Django's test client
    get, ask, bare = _prepare()
    for _ in range(5):
        get(), ask(), bare()
    times: dict[str, list[float]] = {"bare": [], "get": [], "ask": []}
    for _ in range(rounds):
        for name, job in (("bare", bare), ("get", get), ("ask", ask)):
            start = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - start)
    with CaptureQueriesContext(connection) as of_get:
        get()
    with CaptureQueriesContext(connection) as of_ask:
        ask()
    ratios = [mine / least for mine, least in zip(times["get"], times["bare"], strict=True)]
    _say(
        f"{database}, medians of {rounds} rounds",
        f"  SELECT and orjson, {ROWS} rows  {_ms(times['bare'])}",
        f"  /get, the same rows          {_ms(times['get'])}, {len(of_get)} queries, "
        f"{statistics.median(ratios):.2f} times that",
        f"  /sensors-dense, {SENSORS} sensors    {_ms(times['ask'])}, {len(of_ask)} queries",
    )


def _prepare() -> tuple[Callable[[], Any], Callable[[], Any], Callable[[], Any]]:
    """Fill the database; the two requests, and the bare minimum of the first."""
    import orjson
    from django.db import connection
    from django.test import Client
    from django.utils import timezone

    from accounts.models import User
    from accounts.services import issue_token
    from alerts.models import AlertRule
    from ruuvinet.lib.mac import Mac
    from sensors import storage
    from sensors.models import SensorSetting
    from sensors.partitions import WEEK_S, ensure_partitions
    from sensors.services import claim_sensor
    from sensors.sharing import share_sensor

    at = timezone.now()
    now = int(at.timestamp())
    for week in range(6):
        ensure_partitions(now - week * WEEK_S)
    alice, bob = (User.objects.create_user(f"{name}@example.com") for name in ("alice", "bob"))
    for number in range(1, SENSORS + 1):
        minutes = STORED if number == 1 else 60
        storage.write(
            [
                storage.Row(number, now - 60 * minute, 9, -70, PAYLOAD, 5)
                for minute in reversed(range(minutes))
            ]
        )
        owner, reader = (alice, bob) if number % 2 else (bob, alice)
        sensor = claim_sensor(user=owner, mac=Mac(number), name=f"No. {number}", at=at)
        share_sensor(user=owner, mac=Mac(number), email=reader.email, at=at)
        SensorSetting.objects.create(sensor=sensor, type="displayOrder", value="[]", edited_at=at)
        AlertRule.objects.create(user=alice, sensor=sensor, type="temperature", min=0, max=90)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    client = Client(headers={"Authorization": f"Bearer {issue_token(alice, at)}"})

    def ask(path: str, **query: str | int) -> bytes:
        reply = client.get(path, query)
        assert reply.status_code == 200  # noqa: S101
        return bytes(reply.content)

    def get() -> bytes:
        return ask("/get", sensor=str(Mac(1)), limit=ROWS)

    def dense() -> bytes:
        return ask("/sensors-dense", **dict.fromkeys(SWITCHES, "true"))

    def bare() -> bytes:
        with connection.cursor() as cursor:
            cursor.execute(BARE, [1, ROWS])
            rows = [
                {
                    "gwmac": gateway,
                    "coordinates": "N/A",
                    "rssi": rssi_dbm,
                    "timestamp": measured_at,
                    "data": payload.hex(),
                }
                for measured_at, gateway, rssi_dbm, payload in cursor.fetchall()
            ]
        return bytes(orjson.dumps(rows))

    assert get().count(b'"gwmac"') == ROWS  # noqa: S101
    assert dense().count(b'"subscription"') == SENSORS  # noqa: S101
    return get, dense, bare


def _ms(times: list[float]) -> str:
    return f"{statistics.median(times) * 1000:5.1f} ms"


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
