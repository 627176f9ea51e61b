"""RuuviNet as it runs in production: `python -m bench.ruuvinet prepare KEYS` or `serve`.

The programs are those of `manage.py serve`; `--with-worker` starts all of them. `prepare --watched`
gives the sensors of the first WATCHED gateways owners with a phone, and a rule. With `--ruled 0.1`
every tenth sensor of the fleet has an alert rule, which nothing breaks.
"""

import json
import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import django
from django.core.management.base import OutputWrapper
from django.db import transaction
from django.utils import timezone

from bench.bodies import fleet

WATCHED = 20  # gateways
LIMIT_C = 30.0  # the bodies of the benchmark stay below
TIMED_FOLDER = "BENCH_TIMED_FOLDER"  # where bench.endurance.timed, which then serves, leaves times


def prepare(keys: Path, *, watched: bool = False, ruled: float = 0) -> None:
    from gateways.services import whitelist
    from ruuvinet import bootstrap
    from ruuvinet.lib.mac import Mac

    bootstrap.prepare()
    with transaction.atomic():
        for mac, secret in json.loads(keys.read_text()):
            whitelist(mac=Mac(mac), secret=secret, at=timezone.now())
        if watched:
            _watch([sensor for gateway in fleet()[:WATCHED] for sensor in gateway.sensors])
        if ruled:
            _make_rules(round(1 / ruled))


def _watch(sensors: list[int]) -> None:
    """Somebody with a phone for each of `sensors`, and a rule."""
    from accounts.models import User
    from alerts.models import AlertRule, EvaluationMark, PushToken
    from sensors.models import Sensor

    since = timezone.now() - timedelta(hours=2)
    marked = int(since.timestamp())
    users = User.objects.bulk_create(User(email=f"{sensor}@example.com") for sensor in sensors)
    owned = list(zip(sensors, users, strict=True))
    Sensor.objects.bulk_create(Sensor(mac=sensor, owner=user) for sensor, user in owned)
    AlertRule.objects.bulk_create(
        AlertRule(user=user, sensor_id=sensor, type="temperature", max=LIMIT_C, configured_at=since)
        for sensor, user in owned
    )
    EvaluationMark.objects.bulk_create(
        EvaluationMark(sensor_id=sensor, evaluated_to=marked) for sensor in sensors
    )
    PushToken.objects.bulk_create(
        PushToken(user=user, token=f"token-{sensor}", platform="ios") for sensor, user in owned
    )


def _make_rules(every: int) -> None:
    """A temperature rule on one of `every` sensors, none of which was judged yet."""
    from accounts.models import User
    from alerts.models import AlertRule, EvaluationMark
    from sensors.models import Sensor

    long_ago = timezone.now() - timedelta(days=30)  # longer than any run reaches back
    owner = User.objects.create(email="owner@example.com")
    # Of each gateway some, since they take turns.
    macs = sorted(sensor for gateway in fleet() for sensor in gateway.sensors)[::every]
    Sensor.objects.bulk_create(Sensor(mac=mac, owner=owner) for mac in macs)
    mark = int(long_ago.timestamp())
    EvaluationMark.objects.bulk_create(
        EvaluationMark(sensor_id=mac, evaluated_to=mark) for mac in macs
    )
    AlertRule.objects.bulk_create(
        AlertRule(
            user=owner, sensor_id=mac, type="temperature", min=-40, max=85, configured_at=long_ago
        )
        for mac in macs
    )


def serve(*, with_worker: bool) -> None:
    from ruuvinet import bootstrap

    children = [c for c in bootstrap.programs() if with_worker or c.name == "web"]
    if TIMED_FOLDER in os.environ:
        web = replace(
            children[0], argv=[*children[0].argv[:-1], "bench.endurance.timed:application"]
        )
        children[0] = web
    bootstrap.run(children, stdout=OutputWrapper(sys.stdout))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ruuvinet.settings")
    django.setup()
    match sys.argv[1:]:
        case ["prepare", "--ruled", share, keys]:
            prepare(Path(keys), ruled=float(share))
        case ["prepare", *options, keys]:
            prepare(Path(keys), watched="--watched" in options)
        case ["serve", *options]:
            serve(with_worker="--with-worker" in options)
