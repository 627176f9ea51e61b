"""`manage.py doctor` on installations that are broken, each in its own way."""

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_network
from pathlib import Path
from wsgiref.handlers import format_date_time

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as current
from django.utils import timezone

from accounts.models import User
from alerts.fcm_emulator import FcmEmulator
from alerts.models import AlertRule, PushToken
from gateways.services import whitelist
from operations.models import Heartbeat
from operations.services import note_alive
from ruuvinet import doctor
from ruuvinet.celery import app
from ruuvinet.lib.mac import Mac
from sensors.models import Latest, Sensor
from sensors.partitions import ensure_partitions
from tests.alerts.smtp import mail_server
from tests.ruuvinet.test_health import drop_partitions
from tests.services import free_port

ROOT = Path(__file__).parents[2]


@contextmanager
def web_server(*, status=200, body=b'{"status": "ok"}', clock_ahead_s=0, location=""):
    """Somebody who answers at PUBLIC_URL; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp=None):
            return format_date_time(timezone.now().timestamp() + clock_ahead_s)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# --- In processes of their own ---------------------------------------------------------------
@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    """A data folder whose database is ready and whose console has its user."""
    folder = tmp_path_factory.mktemp("doctor")
    ready = """
import django
django.setup()
from ruuvinet.bootstrap import prepare
from operations.models import Heartbeat
from operations.services import note_alive
from django.utils import timezone
prepare()
for part in Heartbeat.PARTS:
    note_alive(part, timezone.now())
"""
    environment = environment_of(folder)
    subprocess.run([sys.executable, "-c", ready], cwd=ROOT, env=environment, check=True)
    return folder


def environment_of(folder: Path, **more: str) -> dict[str, str]:
    """As an operator with an embedded set-up has it, in which the secrets were made for them."""
    made = {"SECRET_KEY", "ENCRYPTION_KEYS", "INTERNAL_SECRET", "SHOP_SECRET"}
    return {
        **{name: value for name, value in os.environ.items() if name not in made},
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "DJANGO_SETTINGS_MODULE": "ruuvinet.settings",
        "RUUVINET_DATA": str(folder),
        **more,
    }


@pytest.fixture
def doctor_says(migrated, tmp_path):
    """What `manage.py doctor` says of an installation that differs from a good one by `wrong`."""

    def say(*, expected_code=1, **wrong) -> dict[str, str]:
        folder = tmp_path / "data"
        shutil.copytree(migrated, folder)
        process = subprocess.run(
            [sys.executable, "manage.py", "doctor", "--json"],
            cwd=ROOT,
            env=environment_of(folder, **wrong),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert "Traceback" not in process.stderr
        assert process.returncode == expected_code, process.stdout + process.stderr
        return {found["check"]: found["problem"] for found in json.loads(process.stdout)["wrong"]}

    return say


@pytest.mark.slow
def test_of_a_good_installation_nothing_is_said(doctor_says):
    with web_server() as url:
        assert doctor_says(PUBLIC_URL=url, expected_code=0) == {}


@pytest.mark.slow
def test_nothing_runs_and_nothing_was_prepared(tmp_path):
    process = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=ROOT,
        env=environment_of(tmp_path / "new", PORT=str(free_port())),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert process.returncode == 1
    assert "WRONG  migrations: Database not migrated.\n       Mend: Run" in process.stdout
    assert "WRONG  public url: Nobody answers at" in process.stdout
    assert "ok     disk" in process.stdout


@pytest.mark.slow
def test_database_server_that_is_not_there(doctor_says):
    secrets = {"SECRET_KEY": "k3Y-" * 15, "ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    with web_server() as url:
        wrong = doctor_says(
            DATABASE_URL=f"postgres://u:very-private@127.0.0.1:{free_port()}/n",
            PUBLIC_URL=url,
            **secrets,
        )

    assert wrong.keys() == {"secrets", "database"}
    assert "refused" in wrong["database"]
    assert "private" not in wrong["database"]


@pytest.mark.slow
def test_broker_that_is_not_there(doctor_says):
    with web_server() as url:
        wrong = doctor_says(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0", PUBLIC_URL=url)

    assert wrong == {"broker": "The broker cannot be reached: alerts and mails wait for it."}


@pytest.mark.slow
def test_mail_server_that_refuses_the_password(doctor_says):
    with mail_server() as (_, port), web_server() as url:
        wrong = doctor_says(EMAIL_URL=f"smtp://user:very-private@127.0.0.1:{port}", PUBLIC_URL=url)

    assert wrong.keys() == {"mail"}
    assert "cannot be used" in wrong["mail"]
    assert "private" not in wrong["mail"]


@pytest.mark.slow
def test_firebase_that_refuses_the_account(doctor_says, tmp_path):
    with FcmEmulator() as emulator, FcmEmulator() as other, web_server() as url:
        file = other.service_account_file(tmp_path / "account.json")
        account = json.loads(file.read_text()) | {"token_uri": emulator.token_uri}
        file.write_text(json.dumps(account))  # whose key the first emulator does not know
        wrong = doctor_says(
            FCM_BASE_URL=emulator.base_url, FCM_SERVICE_ACCOUNT_FILE=str(file), PUBLIC_URL=url
        )

    assert wrong.keys() == {"push"}
    assert wrong["push"].startswith("Pushes cannot be sent: ")


@pytest.mark.slow
def test_secrets_of_an_example_that_serve_twice(doctor_says):
    same = "0123456789abcdef0123456789abcdef"
    with web_server() as url:
        wrong = doctor_says(
            INTERNAL_SECRET=same, SHOP_SECRET=same, METRICS_TOKEN="metrics", PUBLIC_URL=url
        )

    assert wrong.keys() == {"secrets"}
    assert (
        wrong["secrets"]
        == "SHOP_SECRET and INTERNAL_SECRET are the same: whoever is given one has both."
    )


@pytest.mark.slow
def test_a_clock_that_is_an_hour_off(doctor_says):
    with web_server(clock_ahead_s=3600) as url:
        wrong = doctor_says(PUBLIC_URL=url)

    assert wrong.keys() == {"public clock"}
    assert any(f"differ by {off_s} s" in wrong["public clock"] for off_s in range(3595, 3606))


# --- In this process -------------------------------------------------------------------------
@pytest.fixture
def well(db, settings):
    """Whatever the checks look at is as it should be; undone with the test."""
    now = timezone.now()
    ensure_partitions(int(now.timestamp()))
    for part in Heartbeat.PARTS:
        note_alive(part, now)
    User.objects.create_superuser("admin@example.com", "very-private")
    settings.SECRET_KEY = "Zx9" + "kq7Wm2" * 9
    settings.INTERNAL_SECRET, settings.SHOP_SECRET = "a1b2c3d4e5f6g7h8i9j0", "q1w2e3r4t5y6u7i8o9p0"
    with web_server() as settings.PUBLIC_URL:
        yield


def wrong() -> dict[str, str]:
    return {name: found[0].problem for name, found in doctor.examine() if found}


@pytest.mark.storage
def test_nothing_is_wrong_where_all_is_well(well):
    assert wrong() == {}


@pytest.mark.storage
def test_workers_that_died(well):
    note_alive(Heartbeat.WORKER, timezone.now() - timedelta(minutes=10))

    assert wrong()["jobs"].startswith(
        "The worker that judges alerts does not work: last seen at work 60"
    )


@pytest.mark.storage
def test_readings_that_nobody_judges(well, alice):
    sensor = Sensor.objects.create(mac=Mac(1), owner=alice)
    AlertRule.objects.create(user=alice, sensor=sensor, type="temperature", max=8)
    an_hour_ago = int(timezone.now().timestamp()) - 3600
    Latest.objects.create(
        sensor=sensor.mac, measured_at=an_hour_ago, gateway=1, rssi_dbm=-70, payload=b""
    )

    assert wrong()["judging"].startswith("Readings of 1 sensors wait for their rules")


@pytest.mark.storage
def test_a_queue_that_only_grows(well, monkeypatch):
    monkeypatch.setattr(doctor, "MANY_MESSAGES", 2)
    for _ in range(3):
        app.send_task("operations.note_alive", kwargs={"part": "worker"})

    assert wrong()["broker"].startswith("3 messages wait in the queue celery")


@pytest.mark.storage
def test_partitions_that_nobody_made(well):
    for table in ("sensors_measurement",) if not current.EMBEDDED_DATABASE else ():
        drop_partitions(table)

    assert wrong().keys() == (set() if current.EMBEDDED_DATABASE else {"partitions"})


@pytest.mark.storage
def test_a_lost_encryption_key(well, settings):
    whitelist(mac=Mac(1), secret="40:98:A7:78:58:1A:E1:38", at=timezone.now())
    assert wrong() == {}
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    assert wrong().keys() == {"stored secrets"}


def test_phones_without_firebase(well, alice):
    PushToken.objects.create(user=alice, token="t", platform="ios")

    assert wrong().keys() == {"phones"}


def test_nobody_who_may_use_the_console(well):
    User.objects.filter(is_superuser=True).update(is_active=False)

    assert wrong() == {"console": "Nobody can use the console."}


def test_a_disk_that_is_nearly_full(well, monkeypatch):
    monkeypatch.setattr(doctor, "FREE_BYTES", 10**18)

    assert "GB are left on the disk of" in wrong()["disk"]


def test_a_proxy_that_is_not_trusted(well, settings):
    settings.PUBLIC_URL = settings.PUBLIC_URL.replace("http:", "https:")

    assert "no proxy is trusted" in wrong()["proxies"]


def test_everybody_who_is_trusted(well, settings):
    settings.TRUSTED_PROXIES = [ip_network("0.0.0.0/0")]

    assert "anybody may invent" in wrong()["proxies"]


@pytest.mark.parametrize(
    "answer",
    [
        {"body": b"It works!"},
        {"status": 301, "location": "https://example.com/"},
        {"status": 502, "body": b"Bad gateway"},
    ],
    ids=["another site", "a redirect", "a proxy that leads nowhere"],
)
def test_a_public_url_that_leads_elsewhere(answer, well, settings):
    with web_server(**answer) as settings.PUBLIC_URL:
        assert "somebody else answers" in wrong()["public url"]


def test_a_name_without_its_certificate(well, settings):
    settings.PUBLIC_URL = settings.PUBLIC_URL.replace("http:", "https:")

    assert wrong()["public url"].startswith(("Nobody answers", settings.PUBLIC_URL))


def test_debug_on_a_network(well, settings):
    settings.DEBUG, settings.HOST = True, "0.0.0.0"

    assert "DEBUG is on" in wrong()["debug"]


def test_secrets_that_others_may_read(well, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    (tmp_path / "secrets.env").touch(mode=0o600)
    assert wrong() == {}
    (tmp_path / "secrets.env").chmod(0o644)

    assert "others may read it" in wrong()["secret files"]


def test_a_check_that_fails_keeps_no_other_from_looking(well, monkeypatch):
    def fail():
        raise ZeroDivisionError("oh")
        yield

    monkeypatch.setitem(doctor.CHECKS, "disk", fail)

    assert wrong() == {"disk": "This could not be looked at: ZeroDivisionError('oh')."}


def test_system_checks_are_asked_too(well, settings):
    settings.GATEWAY_RATE_S = 0

    assert wrong() == {"settings": "GATEWAY_RATE_S is 0; gateways ignore it."}
