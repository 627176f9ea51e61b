"""`python -m bench.alerts`: how fast rules are judged and pushes sent, on a PostgreSQL of its own.

Judging: every sensor reports once, and a worker process judges all rules, most of which stay
quiet. Pushes: one worker process empties its outbox into the Firebase emulator, which runs as a
process of its own.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.servers import PostgreSQL, ensure_answers
from tests.services import ENVIRONMENT, free_port, start, start_redis

TYPES = ("temperature", "humidity", "pressure", "dewPoint", "battery")
FIRST = 0xC0_00_00_00_00_00
# 21.45 °C, 36.05 %, 98606 Pa, 3.067 V; outside of one rule in a hundred, see _FILL
TAG = "0201061BFF99040510C23854BDDEFFE800000408B776B83020EF544AE71D9E"

_FILL = """
    INSERT INTO accounts_user (id, email, password, is_superuser, is_staff, is_active, created_at)
    SELECT n, 'user' || n || '@example.com', '', false, false, true, now()
    FROM generate_series(1, {sensors} / 10) n;
    INSERT INTO sensors_sensor (mac, owner_id, public, offset_temperature_c, offset_humidity_pct,
        offset_pressure_pa, secret_hash {more_columns})
    SELECT {first} + n, n %% ({sensors} / 10) + 1, false, 0, 0, 0, '' {more_values}
    FROM generate_series(0, {sensors} - 1) n;
    INSERT INTO alerts_evaluationmark (sensor_id, evaluated_to, judged_ahead)
    SELECT {first} + n, {now} - 60, '[]' FROM generate_series(0, {sensors} - 1) n;
    INSERT INTO alerts_alertrule (user_id, sensor_id, type, enabled, min, max, description,
        delay_s, created_at, updated_at, configured_at, triggered, counter)
    SELECT s.owner_id, s.mac, t.type, true, -1000000,
        CASE WHEN t.n = 1 AND s.mac %% 20 = 0 THEN 20 ELSE 1000000 END, 'check the door', 0,
        now() - interval '1 day', now() - interval '1 day', now() - interval '1 day', false, 0
    FROM sensors_sensor s, unnest(%(types)s::text[]) WITH ORDINALITY t(type, n);
    INSERT INTO alerts_pushtoken (id, user_id, token, platform, name, language, sound_file,
        created_at, last_accessed_at, retired_reason)
    SELECT n, n, 'token-' || n, 'android', '', 'en', 'default', now(), now(), ''
    FROM generate_series(1, {sensors} / 10) n;
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sensors", type=int, default=20_000)
    parser.add_argument("--pushes", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ruuvinet-bench-")))
        folder.chmod(0o711)  # PostgreSQL may have to run as somebody else
        server = PostgreSQL(folder, stack)
        url = stack.enter_context(server.fresh_database("alerts"))
        os.environ |= ENVIRONMENT | {
            "RUUVINET_DATA": str(folder),
            "DATABASE_URL": url,
            "REDIS_URL": start_redis(folder, stack),
            "LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "ruuvinet.settings",
        }
        _emulator(folder, stack)
        import django

        django.setup()
        result = _measure(options)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


def _emulator(folder: Path, stack: ExitStack) -> None:
    """Firebase as a process of its own, and the settings that point to it."""
    port, account = free_port(), folder / "fcm.json"
    start(
        [
            *(sys.executable, "manage.py", "fcm_emulator", "--port", str(port)),
            *("--service-account-file", str(account)),
        ],
        is_ready=lambda: ensure_answers(port),
        not_ready=OSError,
        log=folder / "fcm.log",
        stack=stack,
    )
    os.environ |= {
        "FCM_BASE_URL": f"http://127.0.0.1:{port}",
        "FCM_SERVICE_ACCOUNT_FILE": str(account),
    }


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    _fill(options.sensors)
    rules = options.sensors * len(TYPES)
    judged = [_judge(options.sensors, round_) for round_ in range(options.rounds)]
    best = min(judged, key=lambda each: each["wall_s"])
    pushed = [_push(options.pushes) for _ in range(options.rounds)]
    return {
        "rules": rules,
        "judging": judged,
        "rules_per_s": round(rules / best["wall_s"]),
        "queries_a_round": _queries(),
        "pushing": pushed,
        "pushes_per_s": max(each["pushes_per_s"] for each in pushed),
    }


def _fill(sensors: int) -> None:
    from django.db import connection

    now = int(time.time())
    others = {"mac", "owner_id", "public", "secret_hash"}
    others |= {"offset_temperature_c", "offset_humidity_pct", "offset_pressure_pa"}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_name = 'sensors_sensor' AND is_nullable = 'NO'"
        )
        more = [(name, kind) for name, kind in cursor.fetchall() if name not in others]
        text = {"boolean": "false", "timestamp with time zone": "now()"}
        values = [
            text.get(kind, "''" if "char" in kind or kind == "text" else "0") for _, kind in more
        ]
        filled = _FILL.format(
            sensors=sensors,
            first=FIRST,
            now=now,
            more_columns="".join(f", {name}" for name, _ in more),
            more_values="".join(f", {value}" for value in values),
        )
        cursor.execute(filled, {"types": list(TYPES)})
        cursor.execute("ANALYZE")


def _report(sensors: int, at: int) -> None:
    """Every sensor reports once, as ingest stores it."""
    from sensors.partitions import ensure_partitions
    from sensors.services import Reception, store

    ensure_partitions(at)
    payload = bytes.fromhex(TAG)
    for begin in range(0, sensors, 2000):
        macs = range(FIRST + begin, FIRST + min(begin + 2000, sensors))
        store(Reception(mac, at, 1, -70, payload) for mac in macs)


def _judge(sensors: int, round_: int) -> dict[str, float]:
    from datetime import UTC, datetime

    from alerts import evaluation, tasks

    at = int(time.time()) + 60 * round_
    _report(sensors, at)
    ids = list(range(FIRST, FIRST + sensors))
    wall, cpu, opened = time.perf_counter(), time.process_time(), 0
    now = datetime.fromtimestamp(at, UTC)
    for begin in range(0, sensors, tasks.ROUND_SENSORS):
        together = ids[begin : begin + tasks.ROUND_SENSORS]
        opened += len(evaluation.evaluate_sensors(sensors=together, now=now).opened)
    return {
        "wall_s": round(time.perf_counter() - wall, 3),
        "worker_cpu_s": round(time.process_time() - cpu, 3),
        "events": opened,
    }


def _queries() -> dict[str, int]:
    """How many statements one round takes, with one rule a sensor and with all."""
    from datetime import UTC, datetime

    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from alerts import evaluation, tasks
    from alerts.models import AlertRule

    counted, at = {}, int(time.time()) + 3600
    for name, enabled in (("all rules", TYPES), ("a fifth of the rules", TYPES[:1])):
        AlertRule.objects.exclude(type__in=enabled).update(enabled=False)
        at += 60
        _report(tasks.ROUND_SENSORS, at)
        with CaptureQueriesContext(connection) as context:
            evaluation.evaluate_sensors(
                sensors=list(range(FIRST, FIRST + tasks.ROUND_SENSORS)),
                now=datetime.fromtimestamp(at, UTC),
            )
        counted[name] = len(context)
    return counted


def _push(count: int) -> dict[str, float]:
    from datetime import timedelta

    from django.utils import timezone

    from alerts.delivery import drain
    from alerts.models import AlertEvent, Delivery

    Delivery.objects.all().delete()
    now = timezone.now()
    events = AlertEvent.objects.bulk_create(
        AlertEvent(
            user_id=n % 1000 + 1,
            sensor=FIRST + n,
            sensor_name="Freezer",
            type="temperature",
            trigger="over",
            value=9.5,
            threshold=8,
            opened_at=now - timedelta(seconds=1),
        )
        for n in range(count)
    )
    Delivery.objects.bulk_create(
        Delivery(
            event=event,
            channel="push",
            address=f"token-{event.user_id}",
            created_at=now,
            next_attempt_at=now,
        )
        for event in events
    )
    wall, cpu = time.perf_counter(), time.process_time()
    drain("push")
    took = time.perf_counter() - wall
    sent = Delivery.objects.filter(status="sent").count()
    if sent != count:
        left = Delivery.objects.exclude(status="sent").values_list("status", "outcome")
        raise SystemExit(f"only {sent} of {count} pushes were sent: {list(left[:5])}")
    return {
        "pushes_per_s": round(count / took),
        "wall_s": round(took, 3),
        "worker_cpu_s": round(time.process_time() - cpu, 3),
    }


if __name__ == "__main__":
    sys.exit(main())
