"""`python -m bench.faults`: break everything that alerting needs, and count what people are told.

Real PostgreSQL, Redis, web server, workers, timetables, a Firebase emulator and a mail server, each
a process that can be killed. Readings come as gateways send them, in signed posts to `/record`; only
where the clock is set back, or wake-ups are not to be sent, are they stored as ingest does it. In
each run every other sensor breaks its rule while something is broken; when
all is mended and quiet, events and what arrived at Firebase and at the mail server are counted.
Waits are a twentieth of the real ones (bench.quick), so that "ten minutes" are half a minute.

Prints the table of docs/reliability.md; ends with 1 if anything was lost, told wrongly, or twice
without a crash.
"""

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.bodies import spell
from bench.servers import ensure_answers, post
from gateways.signature import sign
from gateways.simulator.gateway import Heard, build_body
from tests.alerts.smtp import MailServer, mail_server
from tests.services import (
    ENVIRONMENT,
    REDIS_SERVER_PATH,
    die_with_parent,
    free_port,
    start,
    start_postgresql,
    stop,
)

SENSORS = 200  # of each fault; every other one breaks its rule
TAG = "0201061BFF990405{temperature:04X}FFFFFFFF800080008000FFFF00FFFFFFFFFFFFFFFF"
PATIENCE_S = 120
GATEWAYS = 10  # which hear the sensors in equal parts
FIRST = 0xC1_00_00_00_00_00
FIRST_GATEWAY = 0xC8_25_2D_00_00_00
SECRET = "00:11:22:33:44:55:66:77"  # noqa: S105  # of gateways that live for minutes


@dataclass
class Result:
    """What was counted after one fault. Each trigger has two destinations: a phone, a mailbox."""

    fault: str
    done: str
    due: int = 0
    events: int = 0
    told: int = 0
    expected: int = 0
    twice: int = 0
    lost: int = 0
    wrong: int = 0
    may_repeat: bool = False
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        exact = self.events == self.due and not self.lost and not self.wrong
        return exact and (self.may_repeat or not self.twice)

    def row(self) -> str:
        cells = (self.fault, self.done, self.due, self.events, self.told, self.twice)
        return "| " + " | ".join(map(str, (*cells, self.lost, self.wrong))) + " |"


HEAD = (
    "| Fault | What was done | Triggers due | Events | Told | Told twice | Lost | Told wrongly |\n"
    "|---|---|---|---|---|---|---|---|"
)


@dataclass
class Rig:
    """The processes, and the sensors of the present fault."""

    folder: Path
    stack: ExitStack
    mail: MailServer
    redis_port: int
    fcm_url: str
    web_port: int
    first: int = FIRST
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    beats: list[subprocess.Popen[bytes]] = field(default_factory=list)
    redis: Any = None

    # --- Processes -------------------------------------------------------------------------
    def start_redis(self) -> None:
        import redis

        url = f"redis://127.0.0.1:{self.redis_port}/0"
        self.redis = start(
            [
                *(REDIS_SERVER_PATH, "--bind", "127.0.0.1", "--port", str(self.redis_port)),
                *("--save", "", "--appendonly", "no"),
            ],
            is_ready=lambda: redis.Redis.from_url(url).ping(),
            not_ready=redis.ConnectionError,
            log=self.folder / "redis.log",
            stack=self.stack,
            cwd=self.folder,
        )

    def flush_redis(self) -> None:
        import redis

        with redis.Redis(port=self.redis_port) as client:
            client.flushall()

    def start_web(self) -> None:
        """The web server of `manage.py serve`, and gateways that it knows."""
        from django.utils import timezone

        from gateways.services import whitelist
        from ruuvinet import bootstrap
        from ruuvinet.lib.mac import Mac

        for number in range(GATEWAYS):
            whitelist(mac=Mac(FIRST_GATEWAY + number), secret=SECRET, at=timezone.now())
        start(
            next(child.argv for child in bootstrap.programs() if child.name == "web"),
            is_ready=lambda: ensure_answers(self.web_port),
            not_ready=OSError,
            log=self.folder / "web.log",
            stack=self.stack,
        )

    def start_worker(self) -> subprocess.Popen[bytes]:
        worker = self._celery("worker", "--pool", "threads", "--concurrency", "8")
        self.workers.append(worker)
        return worker

    def start_beat(self) -> None:
        schedule = self.folder / f"beat-{time.monotonic_ns()}"
        self.beats.append(self._celery("beat", "--pidfile", "", "--schedule", str(schedule)))

    def _celery(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  # our own program, no shell
                [sys.executable, "-m", "celery", "--quiet", "-A", "bench.quick", *arguments],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.stack.callback(_end, process)
        return process

    def kill_worker(self) -> None:
        worker = self.workers.pop(0)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()

    def one_of_each(self) -> None:
        """Back to one worker, one timetable and a Redis that answers."""
        for extra in [*self.workers[1:], *self.beats[1:]]:
            _end(extra)
        del self.workers[1:], self.beats[1:]
        if not self.workers:
            self.start_worker()

    def behave(self, mode: str, **more: Any) -> None:
        _http(self.fcm_url + "/behaviour", {"mode": mode, **more})

    def set_clock(self, offset_s: float) -> None:
        from bench.quick import CLOCK_FILE

        CLOCK_FILE.write_text(str(offset_s))

    # --- Sensors ---------------------------------------------------------------------------
    @property
    def macs(self) -> list[int]:
        return list(range(self.first, self.first + SENSORS))

    def prepare(self) -> None:
        """New people with a sensor, a rule and a phone each, and nothing told yet."""
        from django.utils import timezone

        from accounts.models import User
        from alerts.models import AlertRule, EvaluationMark, PushToken
        from sensors.models import Sensor

        self.first += 10_000
        self.mail.mails.clear()
        self.mail.refuse = ""
        _http(self.fcm_url + "/messages", method="DELETE")
        before = timezone.now() - timedelta(hours=2)
        users = User.objects.bulk_create(User(email=f"{mac}@example.com") for mac in self.macs)
        Sensor.objects.bulk_create(
            Sensor(mac=mac, owner=user) for mac, user in zip(self.macs, users, strict=True)
        )
        AlertRule.objects.bulk_create(
            AlertRule(user=user, sensor_id=mac, type="temperature", max=8, configured_at=before)
            for mac, user in zip(self.macs, users, strict=True)
        )
        mark = int(before.timestamp())
        EvaluationMark.objects.bulk_create(
            EvaluationMark(sensor_id=mac, evaluated_to=mark) for mac in self.macs
        )
        PushToken.objects.bulk_create(
            PushToken(user=user, token=f"token-{mac}", platform="ios")
            for mac, user in zip(self.macs, users, strict=True)
        )

    def hear(self) -> None:
        """Every sensor reports through a gateway; every other one is too warm."""
        at = int(time.time())
        for number in range(GATEWAYS):
            heard = [
                Heard(
                    mac=spell(mac),
                    rssi_dbm=-70,
                    received_at=at,
                    ble_phy="1M",
                    ble_chan=37,
                    ble_tx_power_dbm=None,
                    data=_payload(mac),
                )
                for mac in self.macs[number::GATEWAYS]
            ]
            gateway = spell(FIRST_GATEWAY + number)
            body = build_body(coordinates="", timestamp=at, nonce=at, gw_mac=gateway, heard=heard)
            head = f"Content-Length: {len(body)}\r\nRuuvi-HMAC-SHA256: {sign(body, SECRET)}"
            status = post(self.web_port, head.encode(), body)
            if status != 200:
                raise SystemExit(f"a gateway was answered {status}")

    def store(self, *, offset_s: float = 0, good: bool = False, wake: bool = True) -> None:
        """As `hear`, but past the web server, with a clock that is off; all is well if `good`."""
        from alerts.services import wake as wake_up
        from ruuvinet.lib.mac import Mac
        from sensors.services import Reception, store

        at = int(time.time() + offset_s)
        store(Reception(mac, at, 1, -70, _payload(mac, good=good)) for mac in self.macs)
        if wake:
            for begin in range(0, SENSORS, 20):  # as posts come in: not all at once
                wake_up([Mac(mac) for mac in self.macs[begin : begin + 20]])

    def pushes(self) -> Counter[str]:
        """How often each phone was pushed."""
        kept = _http(self.fcm_url + "/messages")
        return Counter(each["message"]["token"] for each in kept)

    def mails(self) -> Counter[str]:
        return Counter(str(mail["To"]) for mail in list(self.mail.mails))

    def wait_until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            if time.monotonic() > deadline:
                raise SystemExit(f"nothing more happens; see {self.folder}")
            time.sleep(0.005)

    def wait_quiet(self) -> None:
        """Until all is judged and every delivery has ended."""
        from django.utils import timezone

        from alerts.models import AlertEvent, Delivery
        from alerts.selectors import sensors_behind

        def quiet() -> bool:
            time.sleep(0.2)
            mine = AlertEvent.objects.filter(sensor__in=self.macs)
            waiting = Delivery.objects.filter(event__in=mine, status="pending")
            judged = mine.count() >= SENSORS // 2 and not sensors_behind(timezone.now(), limit=1)
            return judged and not waiting.exists()

        self.wait_until(quiet)
        time.sleep(1)  # what is told once too often comes now

    def count(self, result: Result, *, phones_dead: bool = False) -> None:
        from alerts.models import AlertEvent

        due = [mac for mac in self.macs if mac % 2]
        result.due = len(due)
        result.events = AlertEvent.objects.filter(sensor__in=self.macs).count()
        told = self.mails() + self.pushes()
        wanted = {f"{mac}@example.com" for mac in due}
        wanted |= set() if phones_dead else {f"token-{mac}" for mac in due}
        result.expected = len(wanted)
        result.told = len(told)
        result.twice = sum(told.values()) - len(told)
        result.lost = len(wanted - told.keys())
        result.wrong = len(told.keys() - wanted)


def _payload(mac: int, *, good: bool = False) -> bytes:
    temperature_c = 9.5 if mac % 2 and not good else 5.0
    return bytes.fromhex(TAG.format(temperature=round(temperature_c / 0.005)))


# --- The faults ----------------------------------------------------------------------------
def nothing(rig: Rig) -> None:
    rig.hear()


def redis_killed(rig: Rig) -> None:
    stop(rig.redis)
    rig.hear()
    time.sleep(3)
    rig.start_redis()


def redis_flushed(rig: Rig) -> None:
    (worker,) = rig.workers
    os.kill(worker.pid, signal.SIGSTOP)
    rig.hear()
    rig.flush_redis()
    os.kill(worker.pid, signal.SIGCONT)


def killed_judging(rig: Rig) -> None:
    from alerts.models import AlertEvent

    mine = AlertEvent.objects.filter(sensor__in=rig.macs)
    threading.Thread(target=rig.hear).start()
    for part in (1, 2):
        rig.wait_until(lambda part=part: mine.count() >= part)  # type: ignore[misc]
        rig.kill_worker()
        rig.start_worker()
        time.sleep(0.3)


def killed_sending(rig: Rig) -> None:
    threading.Thread(target=rig.hear).start()
    for part in (1, 3):
        rig.wait_until(lambda part=part: rig.pushes().total() >= part * SENSORS // 10)  # type: ignore[misc]
        rig.kill_worker()
        rig.start_worker()


def twice_of_all(rig: Rig) -> None:
    rig.start_worker()
    rig.start_beat()
    time.sleep(3)
    for _ in range(3):
        rig.hear()


def _firebase(mode: str, wait_s: float, **more: Any) -> Callable[[Rig], None]:
    def fault(rig: Rig) -> None:
        rig.behave(mode, **more)
        rig.hear()
        time.sleep(wait_s)
        rig.behave("ok")

    return fault


def phones_gone(rig: Rig) -> None:
    rig.behave("unregistered")
    rig.hear()
    rig.wait_quiet()
    rig.behave("ok")


def mail_refused(rig: Rig) -> None:
    rig.mail.refuse = "451 try again later"
    rig.hear()
    time.sleep(10)
    rig.mail.refuse = ""


def clock_set_back(rig: Rig) -> None:
    rig.set_clock(3600)
    rig.store(offset_s=3600, good=True)
    time.sleep(4)
    rig.set_clock(0)
    rig.store()


def deployed(rig: Rig) -> None:
    """Messages of the code before and of the code after, and a worker that is replaced."""
    from celery import current_app

    rig.store(wake=False)
    current_app.send_task("alerts.deliver", kwargs={"delivery_id": 1})
    for mac in rig.macs:
        current_app.send_task(
            "alerts.evaluate_sensors", kwargs={"sensor_ids": [mac], "of_tomorrow": True}
        )
    rig.start_worker()
    time.sleep(0.3)
    _end(rig.workers.pop(0))


@dataclass(frozen=True)
class Fault:
    name: str
    done: str
    make: Callable[[Rig], None]
    may_repeat: bool = False
    phones_dead: bool = False


FAULTS = (
    Fault("none", "for comparison", nothing),
    Fault("Redis killed", "down for a minute, back empty", redis_killed),
    Fault("Redis flushed", "with every wake-up in it", redis_flushed),
    Fault("worker killed, judging", "`kill -9` twice, after 1 and 2 events", killed_judging, True),
    Fault("worker killed, sending", "`kill -9` twice, amid pushes", killed_sending, True),
    Fault("two workers, two timetables", "each reading announced three times", twice_of_all),
    Fault("Firebase answers 500", "for ten minutes", _firebase("internal", 30)),
    Fault(
        "Firebase answers 429",
        "for three minutes, Retry-After 2 s",
        _firebase("quota", 9, retry_after_s=2),
    ),
    Fault("Firebase hangs", "for four minutes", _firebase("hang", 12, hang_s=30), True),
    Fault("Firebase answers 404", "phones unregistered: retired, mails go out", phones_gone,
          phones_dead=True),
    Fault("mail server refuses", "451 for three minutes", mail_refused),
    Fault("clock set back", "by an hour, after readings of the later hour", clock_set_back),
    Fault("deploy", "old and newer messages, worker replaced meanwhile", deployed),
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", help="a fault, by its name")
    options = parser.parse_args()
    chosen = [fault for fault in FAULTS if not options.only or fault.name in options.only]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ruuvinet-faults-")))
        results = list(run(chosen, folder, stack))
    sys.stdout.write("\n".join([HEAD, *(result.row() for result in results), ""]))
    return 0 if all(result.is_good for result in results) else 1


def run(faults: list[Fault], folder: Path, stack: ExitStack) -> list[Result]:
    """Make each of `faults` on processes that are started in `folder` and end with `stack`."""
    folder.chmod(0o711)  # PostgreSQL may have to run as somebody else
    (folder / "data").mkdir()
    redis_port, fcm_port, web_port = free_port(), free_port(), free_port()
    mail, mail_port = stack.enter_context(mail_server())
    account = folder / "fcm.json"
    os.environ |= ENVIRONMENT | {
        "DJANGO_SETTINGS_MODULE": "ruuvinet.settings",
        "RUUVINET_DATA": str(folder / "data"),
        "DATABASE_URL": start_postgresql(folder, stack),
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "FCM_BASE_URL": f"http://127.0.0.1:{fcm_port}",
        "FCM_SERVICE_ACCOUNT_FILE": str(account),
        "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}",
        "PORT": str(web_port),
    }
    rig = Rig(folder, stack, mail, redis_port, os.environ["FCM_BASE_URL"], web_port)
    rig.start_redis()
    start(
        [
            *(sys.executable, "manage.py", "fcm_emulator", "--port", str(fcm_port)),
            *("--service-account-file", str(account)),
        ],
        is_ready=lambda: ensure_answers(fcm_port),
        not_ready=OSError,
        log=folder / "fcm.log",
        stack=stack,
    )
    import django

    django.setup()
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    from django.core.management import call_command

    import bench.quick  # noqa: F401  # its clock, and the broker of the settings
    from sensors.partitions import ensure_partitions

    call_command("migrate", verbosity=0)
    ensure_partitions(int(time.time()))
    rig.start_web()
    rig.start_worker()
    rig.start_beat()
    time.sleep(4)
    return [_one(rig, fault) for fault in faults]


def _one(rig: Rig, fault: Fault) -> Result:
    from django.db import connection

    result = Result(fault.name, fault.done, may_repeat=fault.may_repeat)
    began = time.monotonic()
    rig.prepare()
    fault.make(rig)
    rig.wait_quiet()
    rig.count(result, phones_dead=fault.phones_dead)
    rig.one_of_each()
    connection.close()
    result.seconds = round(time.monotonic() - began, 1)
    sys.stderr.write(f"{result.row()} {result.seconds} s{'' if result.is_good else '  WRONG'}\n")
    return result


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _http(url: str, body: object = None, method: str = "") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method or None)  # noqa: S310  # our own
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
        return json.load(reply)


if __name__ == "__main__":
    sys.exit(main())
