"""`python -m bench.reads`: how fast are `/get` and `/sensors-dense`?

First the whole way of a request, but for the network: Django's middleware, sign-in, throttle, view.
`/get` is compared, in turns, with the bare minimum: one SELECT for the same rows on the same
connection, and orjson for the answer. Then `/sensors-dense` from the web server of
`manage.py serve`, on all cores, with wrk asking for PEOPLE in turns: so many that none of them
reaches the limit of a plan.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.bodies import Magazine, write_keys
from bench.contestants import CONTESTANTS
from bench.load import CONNECTIONS, THREADS, Generator, Mode
from bench.servers import Arena, Running, settle
from bench.system import BenchError, ensure_disk

ROWS, SENSORS, PEOPLE = 5000, 50, 16
STORED = 60 * 24 * 30  # minutes of history
PAYLOAD = bytes.fromhex("0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6")
SWITCHES = ("sharedToMe", "sharedToOthers", "measurements", "alerts", "settings")
DENSE = dict.fromkeys(SWITCHES, "true")
BARE = """
    SELECT slot + offset_s, gateway, rssi_dbm, payload FROM sensors_measurement
    WHERE sensor = %s ORDER BY slot DESC LIMIT %s
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.reads", description=__doc__)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=10, help="of each of three rounds with wrk")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))  # noqa: S108
    options = parser.parse_args()
    name = "ruuvinet-sqlite" if options.database == "sqlite" else "ruuvinet"
    contestant = next(c for c in CONTESTANTS if c.name == name)
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="ruuvinet-reads-", dir=options.folder)
            )
        )
        folder.chmod(0o711)  # PostgreSQL may have to run as somebody else
        ensure_disk(folder)
        keys = folder / "keys.json"
        write_keys(keys)
        running = stack.enter_context(Arena(folder, keys, stack).running(contestant))
        os.environ.update(running.environment())
        tokens = _prepare()
        _measure(options.database, options.rounds, tokens[0])
        generator = Generator(_magazine(folder, tokens))
        _play(generator, running, options.seconds)
    return 0


def _measure(database: str, rounds: int, token: str) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext, setup_test_environment

    setup_test_environment()  # for Django's test client
    get, ask, bare = _requests(token)
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
    connection.close()
    ratios = [mine / least for mine, least in zip(times["get"], times["bare"], strict=True)]
    _say(
        f"{database}, medians of {rounds} rounds",
        f"  SELECT and orjson, {ROWS} rows  {_ms(times['bare'])}",
        f"  /get, the same rows          {_ms(times['get'])}, {len(of_get)} queries, "
        f"{statistics.median(ratios):.2f} times that",
        f"  /sensors-dense, {SENSORS} sensors    {_ms(times['ask'])}, {len(of_ask)} queries",
    )


def _prepare() -> list[str]:
    """Fill the database: everybody has half of SENSORS, and the next one's by shares; their tokens."""
    import django

    django.setup()
    from django.db import connection
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
    people = [User.objects.create_user(f"{number}@example.com") for number in range(PEOPLE)]
    for number in range(PEOPLE * SENSORS // 2):
        mac = Mac(number + 1)
        minutes = 60 if number else STORED
        storage.write(
            [
                storage.Row(int(mac), now - 60 * minute, 9, -70, PAYLOAD, 5)
                for minute in reversed(range(minutes))
            ]
        )
        owner, reader = people[number % PEOPLE], people[number % PEOPLE - 1]
        sensor = claim_sensor(user=owner, mac=mac, name=f"No. {number}", at=at)
        share_sensor(user=owner, mac=mac, email=reader.email, at=at)
        SensorSetting.objects.create(sensor=sensor, type="displayOrder", value="[]", edited_at=at)
        AlertRule.objects.bulk_create(
            AlertRule(user=user, sensor=sensor, type="temperature", min=0, max=90)
            for user in (owner, reader)
        )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    return [issue_token(user, at) for user in people]


def _requests(token: str) -> tuple[Callable[[], Any], Callable[[], Any], Callable[[], Any]]:
    """The two requests, and the bare minimum of the first."""
    import orjson
    from django.db import connection
    from django.test import Client

    from ruuvinet.lib.mac import Mac

    client = Client(headers={"Authorization": f"Bearer {token}"})

    def ask(path: str, query: dict[str, str]) -> bytes:
        reply = client.get(path, query)
        assert reply.status_code == 200  # noqa: S101
        return bytes(reply.content)

    def get() -> bytes:
        return ask("/get", {"sensor": str(Mac(1)), "limit": str(ROWS)})

    def dense() -> bytes:
        return ask("/sensors-dense", DENSE)

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


def _magazine(folder: Path, tokens: Sequence[str]) -> Magazine:
    """A request of everybody, to be asked again and again."""
    width = max(map(len, tokens))  # the generator counts on requests of one length
    requests = [f"Authorization: Bearer {token:{width}}\r\n\r\n" for token in tokens]
    files = tuple(folder / f"requests.{thread}" for thread in range(THREADS))
    for file in files:
        file.write_text("".join(requests), newline="")
    query = "&".join(f"{name}={value}" for name, value in DENSE.items())
    head = f"GET /sensors-dense?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    return Magazine(files, len(requests[0]), len(requests), head=head)


def _play(generator: Generator, running: Running, seconds: int) -> None:
    settle(running)
    generator.play(running.port, Mode.KEEP_ALIVE, seconds=2, may_repeat=True)
    before = running.cpu_s()
    loads = [
        generator.play(running.port, Mode.KEEP_ALIVE, seconds=seconds, may_repeat=True)
        for _ in range(3)
    ]
    cpu_s = {part: after_s - before[part] for part, after_s in running.cpu_s().items()}
    if errors := sum(load.errors for load in loads):
        raise BenchError(f"{errors} requests failed")
    rates = [load.accepted / load.duration_s for load in loads]
    answered = sum(load.accepted for load in loads)
    _say(
        f"  /sensors-dense over HTTP, {CONNECTIONS} connections: {statistics.median(rates):.0f} "
        f"({min(rates):.0f}-{max(rates):.0f}) requests/s, "
        f"p99 {statistics.median(load.p99_ms for load in loads):.0f} ms, CPU a request: "
        + ", ".join(f"{part} {spent / answered * 1000:.1f} ms" for part, spent in cpu_s.items())
    )


def _ms(times: list[float]) -> str:
    return f"{statistics.median(times) * 1000:5.1f} ms"


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
