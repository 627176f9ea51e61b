"""Make the tables, and whitelist the gateways of the JSON file that is named."""

import json
import os
import sys
from pathlib import Path

import django
from django.core.management import call_command
from django.utils import timezone

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.peers.drf.settings")
django.setup()

from bench.peers.drf.models import Gateway  # noqa: E402  # needs the line above

call_command("migrate", run_syncdb=True, verbosity=0)
Gateway.objects.bulk_create(
    Gateway(mac=mac, secret=secret, whitelisted_at=timezone.now())
    for mac, secret in json.loads(Path(sys.argv[1]).read_text())
)
