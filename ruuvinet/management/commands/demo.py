"""`manage.py demo`: RuuviNet with simulated gateways and a Firebase of its own, to look at."""

import sys
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import User
from alerts.fcm_emulator import FcmEmulator
from alerts.models import AlertRule, PushToken
from alerts.services import configure_rule, register_push_token
from gateways.simulator.world import freezer_mac
from ruuvinet.bootstrap import ADMIN, another_port, ensure_free, local_host, prepare, programs, run
from ruuvinet.lib.mac import Mac
from ruuvinet.supervisor import Child
from sensors.services import claim_sensor

PERSON = "demo@ruuvinet.local"
SEED = 1
FREEZER_LIMIT_C = -10
ELSEWHERE = "The demo wants throw-away data and a Firebase emulator. Start it with: make demo"
MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]

# Twice real time, and posts every five real seconds: the freezer's door opens after ten seconds
# and its air passes the limit some 18 s later. A physics much faster would look like a defect.
SPEED = 2
PERIOD_S = 10
DOOR_OPENS_AFTER_S = 20


class Command(BaseCommand):
    help = "Serve throw-away data with simulated gateways and pushes printed here: make demo."

    def handle(self, *args: Any, **options: Any) -> None:
        emulator = urlsplit(settings.FCM_BASE_URL)
        if settings.DATABASE_URL or emulator.hostname is None or emulator.port is None:
            raise CommandError(ELSEWHERE)
        ensure_free(
            settings.HOST, settings.PORT, advice=another_port("demo", "PORT", settings.PORT)
        )
        ensure_free(
            emulator.hostname, emulator.port, advice=another_port("demo", "FCM_PORT", emulator.port)
        )
        self.stdout.write(prepare())
        _refuse_real_data()
        _furnish(timezone.now())
        # The worker reads the account when it first sends; the emulator takes over this one.
        FcmEmulator(public_url=settings.FCM_BASE_URL).service_account_file(
            settings.FCM_SERVICE_ACCOUNT_FILE
        )
        self.stdout.write(
            f"  demo      {PERSON} is told when the freezer is above {FREEZER_LIMIT_C} °C"
        )
        fcm = Child("fcm", _fcm_emulator(emulator.hostname, emulator.port))
        sim = Child("sim", _simulator())
        run([*_lively_programs(), fcm], later=[sim], stdout=self.stdout)


def _refuse_real_data() -> None:
    """A person whom this command did not make must not find simulated sensors in the house."""
    if User.objects.exclude(email__in=[ADMIN, PERSON]).exists():
        raise CommandError(ELSEWHERE)


def _furnish(at: datetime) -> None:
    """A person with two phones, whose freezer must stay cold. May be repeated."""
    person = User.objects.filter(email=PERSON).first() or User.objects.create_user(PERSON)
    freezer = claim_sensor(user=person, mac=Mac.parse(freezer_mac(SEED)), name="Freezer")
    wanted = {"user": person, "sensor": freezer, "type": AlertRule.Type.TEMPERATURE}
    rule = AlertRule.objects.filter(**wanted).first() or AlertRule(**wanted)
    rule.max = FREEZER_LIMIT_C
    rule.description = "Is the door of the freezer open?"
    configure_rule(rule, at=at)
    for platform in PushToken.Platform:
        register_push_token(
            user=person, token=f"demo-{platform.value}", platform=platform, name=str(platform.label)
        )


def _lively_programs() -> list[Child]:
    """Those of `serve`, with a server that asks gateways for more than a reading a minute."""
    return [replace(child, env={"GATEWAY_RATE_S": str(PERIOD_S)}) for child in programs()]


def _fcm_emulator(host: str, port: int) -> list[str]:
    account = settings.FCM_SERVICE_ACCOUNT_FILE
    where = ["--host", host, "--port", str(port), "--service-account-file", account]
    return [*MANAGE, "fcm_emulator", *where]


def _simulator() -> list[str]:
    options = {
        "url": f"http://{local_host()}:{settings.PORT}/record",
        "seed": SEED,
        "speed": SPEED,
        "period": PERIOD_S,
        "warm-up-after": DOOR_OPENS_AFTER_S,
    }
    named = [f"--{name}={value}" for name, value in options.items()]
    return [*MANAGE, "simulate", "--whitelist", *named]
