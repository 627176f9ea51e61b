"""What lies in deploy/: read by the tools that judge such files, and tried process by process."""

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from gateways.signature import sign
from ruuvinet.lib.mac import Mac
from tests.gateways.test_durability import DF5, KEY
from tests.ruuvinet.installation import database
from tests.ruuvinet.program import PATIENCE_S, PROJECT, Program
from tests.services import free_port, start_postgresql, start_redis

DEPLOY = PROJECT / "deploy"
TEMPLATE = DEPLOY / "ruuvinet.env.example"
UNITS = sorted((DEPLOY / "systemd").iterdir())
BIN = Path(sys.executable).parent
INSTALLED = "/opt/ruuvinet"
EXPOSURE = 2.0  # of 10, as systemd-analyze counts; a service without any hardening has 9.6


def program(name):
    found = shutil.which(name, path=f"{BIN}:/usr/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def said(*argv):
    """What a tool says; it must be content."""
    told = subprocess.run(argv, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout + told.stderr


# --- What tools say --------------------------------------------------------------------------
def test_the_compose_file_is_one_by_its_schema():
    said(program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec",
         DEPLOY / "compose.yaml")  # fmt: skip


def test_the_containerfile_has_no_fault_that_hadolint_knows():
    assert said(program("hadolint"), DEPLOY / "Containerfile") == ""


@pytest.fixture
def units(tmp_path):
    """The units as on a machine where this project is installed."""
    for unit in UNITS:
        text = unit.read_text().replace(f"{INSTALLED}/.venv/bin/python", sys.executable)
        (tmp_path / unit.name).write_text(text.replace(INSTALLED, str(PROJECT)))
    shutil.copy(tmp_path / "ruuvinet@.service", tmp_path / "ruuvinet@web.service")
    return tmp_path


@pytest.mark.slow
def test_systemd_understands_the_units(units):
    checked = [path for path in units.iterdir() if path.name != "ruuvinet@.service"]
    assert said(program("systemd-analyze"), "verify", *checked) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", [unit.name for unit in UNITS if unit.suffix == ".service"])
def test_a_unit_may_do_little_else_than_its_work(name, units):
    table = said(program("systemd-analyze"), "security", "--offline=true", units / name)
    assert float(re.search(r"exposure level for \S+ ([\d.]+)", table)[1]) <= EXPOSURE


def test_the_template_has_every_setting_with_the_default_of_its_documentation():
    rows = (PROJECT / "docs/settings.md").read_text()
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| `?(.+?)`? \|", rows, re.M))
    lines = re.findall(r"^(#?)([A-Z_]+)=(.*)$", TEMPLATE.read_text(), re.M)
    assert sorted(name for _, name, _ in lines) == sorted(documented)
    shown = {name: value for hidden, name, value in lines if hidden and value}
    assert shown == {name: documented[name] for name in shown}


def test_the_container_has_what_runs_and_no_secret():
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    kept = {line[1:] for line in ignored if line.startswith("!")}
    rooms = {path.parent.name for path in PROJECT.glob("[!.]*/__init__.py")} - {"tests", "bench"}
    assert rooms | {"templates", "manage.py", "requirements.txt"} <= kept
    assert not kept & {"var", ".env", "deploy", ".git"}


# --- The way of systemd and nginx, process by process -------------------------------------------
@pytest.fixture(scope="module")
def servers():
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ruuvinet-tests-")))
        folder.chmod(0o711)  # PostgreSQL may run as somebody else
        yield (
            os.environ["DATABASE_URL"] or start_postgresql(folder, stack),
            os.environ["REDIS_URL"] or start_redis(folder, stack),
        )


@pytest.fixture
def environment(servers, tmp_path):
    """What systemd gives the units: the filled template, and nothing of a shell."""
    postgresql, redis = servers
    with database(postgresql) as url:
        filled = {
            "DATABASE_URL": url,
            "REDIS_URL": redis,
            "PORT": str(free_port()),
            "PUBLIC_URL": "https://localhost",
            "RUUVINET_DATA": str(tmp_path / "data"),
            **{name: os.environ[name] for name in
               ("SECRET_KEY", "ENCRYPTION_KEYS", "INTERNAL_SECRET", "SHOP_SECRET")},
        }  # fmt: skip
        template = dict(re.findall(r"^([A-Z_]+)=(.*)$", TEMPLATE.read_text(), re.M))
        assert [name for name, value in template.items() if not value] == [
            "SECRET_KEY", "ENCRYPTION_KEYS", "INTERNAL_SECRET", "SHOP_SECRET"
        ]  # fmt: skip
        yield {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **template, **filled}


def started(unit, environment, instance=""):
    text = (DEPLOY / "systemd" / unit).read_text()
    command = re.search(r"^ExecStart=(.+)$", text, re.M)[1].replace("%i", instance).split()
    assert command[0] == f"{INSTALLED}/.venv/bin/python"
    assert f"WorkingDirectory={INSTALLED}\n" in text
    return Program([sys.executable, *command[1:]], env=environment, cwd=PROJECT)


@pytest.fixture
def nginx(environment, tmp_path):
    """Debian's nginx with the configuration that we ship; gives its port."""
    name, port, certificates = program("nginx"), free_port(), tmp_path / "certificates"
    made = subprocess.run(
        [sys.executable, "manage.py", "make_certificate", "server", "localhost",
         "--folder", certificates], cwd=PROJECT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    client = [sys.executable, "manage.py", "make_certificate", "client", str(Mac(1))]
    subprocess.run([*client, "--folder", certificates], cwd=PROJECT, env=environment, check=True)
    text = (DEPLOY / "nginx/ruuvinet.conf").read_text()
    text = text.replace("/etc/ruuvinet", str(certificates))
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{environment['PORT']}")
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/nginx.pid; error_log stderr; events {{}}"
        f"http {{ access_log off; {folders} {text} }}"
    )
    argv = [name, "-c", tmp_path / "nginx.conf", "-p", tmp_path, "-e", "stderr"]
    assert "syntax is ok" in said(*argv, "-t")
    with Program([str(word) for word in argv]):
        yield port


def call(port, tmp_path, path, body=None, **headers):
    """Status and body of what the world is answered, through TLS."""
    trusted = ssl.create_default_context(cafile=str(tmp_path / "certificates/server.crt"))
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        f"https://localhost:{port}{path}", body, {"Content-Type": "application/json"} | sent
    )
    try:
        with urllib.request.urlopen(request, timeout=20, context=trusted) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.slow
def test_the_units_behind_nginx_take_a_signed_post(environment, nginx, tmp_path):
    with started("ruuvinet-migrate.service", environment) as migrate:
        assert migrate.end() == 0, migrate.output
    with (
        started("ruuvinet@.service", environment, "web"),
        started("ruuvinet@.service", environment, "worker") as worker,
        started("ruuvinet@.service", environment, "beat") as beat,
    ):
        worker.wait_for(r"celery@\S+ ready")
        deadline = time.monotonic() + PATIENCE_S
        while call(nginx, tmp_path, "/health")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        key = {"macAddress": str(Mac(1)), "secret": KEY}
        whitelisted = call(nginx, tmp_path, "/whitelist", json.dumps(key).encode(),
                           X_Internal_Secret=environment["INTERNAL_SECRET"])  # fmt: skip
        assert whitelisted[0] == 200, whitelisted
        tags = {str(Mac(7)): {"rssi": -70, "timestamp": int(time.time()), "data": DF5}}
        body = json.dumps({"data": {"gw_mac": str(Mac(1)), "tags": tags}}).encode()
        assert call(nginx, tmp_path, "/record", body)[0] == 403
        signed = call(nginx, tmp_path, "/record", body, Ruuvi_HMAC_SHA256=sign(body, KEY))
        assert signed[0] == 200, signed
        with psycopg.connect(environment["DATABASE_URL"]) as stored:
            assert stored.execute("SELECT sensor FROM sensors_latest").fetchall() == [(7,)]
            [address] = stored.execute("SELECT host(last_address) FROM gateways_gateway").fetchone()
        assert address == "127.0.0.1"
        for unit in (worker, beat):
            assert unit.process.poll() is None, unit.output
        assert beat.end(signal.SIGTERM) == 0, beat.output
