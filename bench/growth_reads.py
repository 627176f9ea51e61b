"""Pages of history from what `bench.growth` filled, in a process of its own that it starts.

Prints plans if asked for, then one line of JSON: seconds of `/get` the first time (cold), again
(warm), and of the bare minimum, one SELECT and orjson, for the same rows.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import django
import psycopg

PAGE = 5000
BARE = """
    SELECT slot + offset_s, gateway, rssi_dbm, payload FROM sensors_measurement
    WHERE sensor = %s AND slot <= %s ORDER BY slot DESC LIMIT %s
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.growth_reads", description=__doc__)
    parser.add_argument("until", type=int)
    parser.add_argument("sensors", type=json.loads)
    parser.add_argument("--explain", action="store_true")
    options = parser.parse_args()
    django.setup()
    get, bare = _prepare(options.sensors, options.until)
    first, *others = options.sensors
    get(first), bare(first)
    times = {"cold": [_timed(get, sensor) for sensor in others]}
    times["warm"] = [_timed(get, sensor) for sensor in others]
    times["bare"] = [_timed(bare, sensor) for sensor in others]
    if options.explain:
        _explain(others, options.until)
    sys.stdout.write(json.dumps(times) + "\n")


def _query(mac: str, until: int) -> dict[str, str | bytes | int | Iterable[str | bytes | int]]:
    return {"sensor": mac, "limit": PAGE, "until": until}


def _timed(job: Callable[[int], object], sensor: int) -> float:
    start = time.perf_counter()
    job(sensor)
    return time.perf_counter() - start


def _prepare(
    sensors: list[int], until: int
) -> tuple[Callable[[int], object], Callable[[int], object]]:
    import orjson
    from django.db import connection
    from django.test import Client
    from django.test.utils import setup_test_environment
    from django.utils import timezone

    from accounts.models import User
    from accounts.services import issue_token
    from ruuvinet.lib.mac import Mac
    from sensors.models import Sensor
    from sensors.services import claim_sensor

    setup_test_environment()  # for Django's test client
    at = timezone.now()
    alice = User.objects.filter(email="alice@example.com").first()
    alice = alice or User.objects.create_user("alice@example.com")
    owned = set(Sensor.objects.filter(owner=alice).values_list("mac", flat=True))
    for sensor in sensors:
        if Mac(sensor) not in owned:
            claim_sensor(user=alice, mac=Mac(sensor), at=at)
    client = Client(headers={"Authorization": f"Bearer {issue_token(alice, at)}"})

    def get(sensor: int) -> None:
        reply = client.get("/get", _query(str(Mac(sensor)), until))
        rows = bytes(reply.content).count(b'"gwmac"')
        if rows != PAGE:
            sys.stderr.write(f"{rows} rows instead of {PAGE}\n")

    def bare(sensor: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(BARE, [sensor, until, PAGE])
            orjson.dumps(
                [
                    {
                        "gwmac": gateway,
                        "coordinates": "N/A",
                        "rssi": rssi_dbm,
                        "timestamp": measured_at,
                        "data": payload.hex(),
                    }
                    for measured_at, gateway, rssi_dbm, payload in cursor.fetchall()
                ]
            )

    return get, bare


def _explain(sensors: list[int], until: int) -> None:
    """The plans of the hottest statements, as the application sends them, their pages in memory."""
    from django.db import transaction
    from django.utils import timezone

    from alerts.models import EvaluationMark
    from alerts.selectors import unjudged
    from ruuvinet.lib.mac import Mac
    from sensors import storage
    from sensors.history import Page, history
    from sensors.models import Latest, Sensor
    from subscriptions.limits import Limits

    now = int(timezone.now().timestamp())
    some = list(Latest.objects.order_by("sensor").values_list("sensor", flat=True)[:2400])
    before, rows = (
        [storage.Row(int(s), at, 9, -70, bytes(31), 5) for s in some] for at in (now - 60, now)
    )
    page = Page("mixed", 0, until, PAGE, ascending=False)
    with transaction.atomic():
        Sensor.objects.bulk_create((Sensor(mac=mac) for mac in some), ignore_conflicts=True)
        marks = EvaluationMark.objects.bulk_create(
            [EvaluationMark(sensor_id=mac, evaluated_to=now - 120) for mac in some[:100]],
            ignore_conflicts=True,
        )
        sensor = Sensor(mac=Mac(sensors[0]))
        storage.write(before)
        history(sensor, page, limits=Limits(), now=now)
        with _explained():
            storage.write(rows)
            history(sensor, page, limits=Limits(), now=now)
            unjudged(marks, 2000)
        transaction.set_rollback(True)


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever is executed meanwhile is explained first, which executes it as well."""
    execute = psycopg.Cursor.execute

    def explain(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        execute(self, f"EXPLAIN (ANALYZE, BUFFERS) {query}", params, **options)
        plan = "\n".join(line for (line,) in self.fetchall())
        sys.stdout.write(f"{query}\n{plan}\n\n")
        return execute(self, query, params, **options)

    psycopg.Cursor.execute = explain  # type: ignore[method-assign]
    try:
        yield
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
