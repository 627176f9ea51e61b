"""RuuviNet as it runs in production: `python -m bench.ruuvinet prepare KEYS` or `serve`.

The programs are those of `manage.py serve`; `--with-worker` starts all of them. `prepare --watched`
gives the sensors of the first WATCHED gateways owners with a phone, and a rule.
"""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import django
from django.core.management.base import OutputWrapper
from django.db import transaction
from django.utils import timezone

from bench.bodies import fleet

WATCHED = 20  # gateways
LIMIT_C = 30.0  # the bodies of the benchmark stay below


def prepare(keys: Path, *, watched: bool) -> None:
    from gateways.services import whitelist
    from ruuvinet import bootstrap
    from ruuvinet.lib.mac import Mac

    bootstrap.prepare()
    with transaction.atomic():
        for mac, secret in json.loads(keys.read_text()):
            whitelist(mac=Mac(mac), secret=secret, at=timezone.now())
        if watched:
            _watch([sensor for gateway in fleet()[:WATCHED] for sensor in gateway.sensors])


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


def serve(*, with_worker: bool) -> None:
    from ruuvinet import bootstrap

    children = [c for c in bootstrap.programs() if with_worker or c.name == "web"]
    bootstrap.run(children, stdout=OutputWrapper(sys.stdout))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ruuvinet.settings")
    django.setup()
    match sys.argv[1:]:
        case ["prepare", *options, keys]:
            prepare(Path(keys), watched="--watched" in options)
        case ["serve", *options]:
            serve(with_worker="--with-worker" in options)
