"""From an empty folder to running programs: what `manage.py serve` and `demo` share."""

import contextlib
import errno
import os
import resource
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.db import OperationalError, connections

from accounts.models import User
from ruuvinet.supervisor import Child, HealthProbe, WhenReady, hand_over
from sensors.partitions import ensure_partitions

ADMIN = "admin@ruuvinet.local"
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not bound
CONNECTIONS = 16_000  # to each web process
OTHER_FILES = 384  # of a process: databases, logs, libraries

_PASSWORD_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # noqa: S105  # none that look alike


def ensure_free(host: str, port: int, *, advice: str) -> None:
    """Raise CommandError, in one line that ends with `advice`, if the port is in use."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            server.bind((address[0], port, *address[2:]))
    except OverflowError as error:  # a port above 65535
        raise CommandError(f"Cannot listen on {host}:{port}: {error}") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(f"Port {port} is in use. {advice}") from error
        raise CommandError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error


def another_port(command: str, name: str, port: int) -> str:
    """The advice when `port`, which the variable `name` sets for `make command`, is in use."""
    return f"Choose another, for example: {name}={port + 1} make {command}"


def prepare() -> str:
    """Make the data folder and the database ready; returns what the operator should read.

    The first start makes an administrator. Its password is told in that text and nowhere else.
    """
    for folder in _folders():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(PermissionError):  # a mounted volume may belong to another
            folder.chmod(0o700)
    try:
        call_command("migrate", verbosity=0)
    except OperationalError as error:
        raise CommandError(f"The database cannot be used: {error}") from error
    ensure_partitions(int(time.time()))  # it may have been off for months
    lines = [
        ("console", f"{_shown_url()}/admin/"),
        ("gateways", f"{_shown_url()}/record"),
    ]
    if not User.objects.filter(is_superuser=True).exists():
        lines += _first_admin()
    return "\n".join(["RuuviNet", *(f"  {name:9} {value}" for name, value in lines)])


def programs() -> list[Child]:
    """What runs: the web server, the worker and its timetable."""
    # In a container root is usual, and what makes root dangerous to Celery, pickle, is not used.
    unafraid = ["-W", "ignore:You're running the worker with superuser privileges"]
    celery = [sys.executable, *unafraid, "-m", "celery", "--quiet", "-A", "ruuvinet"]
    # Three channels may hang at once, each with a thread; judging has the others.
    worker = ["--pool", "threads", "--concurrency", "8", "--loglevel", "info"]
    # One worker has nobody to gossip with, and on the filesystem transport every word is a file.
    alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return [
        Child("web", _web_server()),
        Child("worker", [*celery, "worker", *worker, *alone]),
        # No pid file: one that a kill -9 left behind would keep beat from starting.
        Child("beat", [*celery, "beat", "--loglevel", "warning", "--pidfile", ""]),
    ]


def run(
    children: Sequence[Child], *, later: Sequence[Child] = (), stdout: OutputWrapper
) -> NoReturn:
    """Become the supervisor of `children`, and of `later` once the web server answers."""
    probe = HealthProbe(local_host(), settings.PORT, "/health/ready")
    # Started from another folder, granian and Celery would not find the project.
    path = [str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    _allow_connections()
    connections.close_all()
    stdout.flush()
    hand_over(children, when_ready=WhenReady(probe, f"ready: {_shown_url()}", later))


def local_host() -> str:
    """Where programs on this machine reach the web server."""
    return LOOPBACK.get(settings.HOST, settings.HOST)


def _connections() -> int:
    """How many each web process may hold: as many as wanted, or as this system lets it open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if hard == resource.RLIM_INFINITY else min(CONNECTIONS, hard - OTHER_FILES)


def _allow_connections() -> None:
    """What systems grant at first, often 1024 open files, strangers could use up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _connections() + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _folders() -> Iterator[Path]:
    yield settings.DATA_DIR
    for name, value in settings.CELERY_BROKER_TRANSPORT_OPTIONS.items():
        if name in {"data_folder_in", "data_folder_out", "control_folder"}:
            yield Path(str(value))


def _first_admin() -> list[tuple[str, str]]:
    password = "-".join(
        "".join(secrets.choice(_PASSWORD_LETTERS) for _ in range(4)) for _ in range(4)
    )
    User.objects.create_superuser(ADMIN, password)
    lines = [
        ("user", ADMIN),
        ("password", f"{password}  (shown only now)"),
        ("change it", f".venv/bin/python manage.py changepassword {ADMIN}"),
    ]
    made = settings.DATA_DIR / "secrets.env"
    return lines if settings.DATABASE_URL else [*lines, ("secrets", str(made))]


def _shown_url() -> str:
    """PUBLIC_URL, or if it is no address that others can reach, one that they probably can."""
    host = urlsplit(settings.PUBLIC_URL).hostname
    if host not in LOOPBACK:
        return str(settings.PUBLIC_URL)
    return f"http://{_outward_address()}:{settings.PORT}"


def _outward_address() -> str:
    """This machine's address on its network. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # any address outside; this one belongs to nobody
        except OSError:
            return socket.gethostname()  # no network at present
        return str(probe.getsockname()[0])


def _web_server() -> list[str]:
    # SQLite: two writing processes would wait for each other. Threads are made when needed, and
    # a home's clients that keep theirs busy doing nothing must not use them up. PostgreSQL: a
    # process for each core; each thread may hold a connection.
    workers = 1 if settings.EMBEDDED_DATABASE else os.cpu_count() or 1
    options = {
        "interface": "asgi",
        "host": settings.HOST,
        "port": settings.PORT,
        "http": "1",
        "workers": workers,
        "backlog": 4096,
        # Connections, also idle ones, of each process. What is more waits to be accepted, so
        # there must be more than strangers easily hold.
        "backpressure": _connections(),
        "http1-header-read-timeout": 10_000,  # ms
        "workers-kill-timeout": 5,  # s; less than the supervisor's patience
        "respawn-interval": 1,  # s
        "log-level": "error",  # one warning is that 256 threads are many
    }
    flags = ["--no-ws", "--respawn-failed-workers"]
    named = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "granian", *named, *flags, "ruuvinet.asgi:application"]
