"""RuuviNet as it runs in production: `python -m bench.ruuvinet prepare KEYS` or `serve`.

The programs are those of `manage.py serve`; `--with-worker` starts all of them.
"""

import json
import os
import sys
from pathlib import Path

import django
from django.core.management.base import OutputWrapper
from django.db import transaction
from django.utils import timezone


def prepare(keys: Path) -> None:
    from gateways.services import whitelist
    from ruuvinet import bootstrap
    from ruuvinet.lib.mac import Mac

    bootstrap.prepare()
    with transaction.atomic():
        for mac, secret in json.loads(keys.read_text()):
            whitelist(mac=Mac(mac), secret=secret, at=timezone.now())


def serve(*, with_worker: bool) -> None:
    from ruuvinet import bootstrap

    children = [c for c in bootstrap.programs() if with_worker or c.name == "web"]
    bootstrap.run(children, stdout=OutputWrapper(sys.stdout))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ruuvinet.settings")
    django.setup()
    match sys.argv[1:]:
        case ["prepare", keys]:
            prepare(Path(keys))
        case ["serve", *options]:
            serve(with_worker="--with-worker" in options)
