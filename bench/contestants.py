"""Who competes, and how each is started."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

RULED = "-ruled"  # ends the name of one with rules
DATABASE_FILE = "ruuvinet.sqlite3"  # in RUUVINET_DATA, where RuuviNet puts its own


class Tables(NamedTuple):
    dense: str
    sparse: str
    latest: str
    gateways: str
    measured_at: str  # an expression: Unix seconds of a row of history


_OURS = Tables("sensors_measurement", "sensors_sparsemeasurement", "sensors_latest",
               "gateways_gateway", "slot + offset_s")  # fmt: skip
_THEIRS = Tables("measurement", "sparse_measurement", "latest", "gateway", "measured_at")


@dataclass(frozen=True)
class Contestant:
    """`prepare` gets the file of keys as its last argument; both are run by this Python.

    They learn PORT, DATABASE_URL, REDIS_URL and RUUVINET_DATA from the environment, or the port
    as `{port}` in their arguments.
    """

    name: str
    title: str
    database: Literal["postgresql", "sqlite"]
    prepare: tuple[str, ...]
    serve: tuple[str, ...]
    tables: Tables
    ruled: float = 0  # the share of the sensors that have an alert rule
    is_limit: bool = False  # no server: bench.limit runs it

    @property
    def has_our_tables(self) -> bool:
        return self.tables is _OURS

    @property
    def is_ours(self) -> bool:
        return self.has_our_tables and not self.is_limit

    def with_worker(self) -> "Contestant":
        return replace(self, serve=(*self.serve, "--with-worker")) if self.is_ours else self

    def watched(self) -> "Contestant":
        """With alert rules on some sensors: bench.ruuvinet."""
        return replace(self, prepare=(*self.prepare, "--watched"))

    def with_rules(self, share: float) -> "Contestant":
        """The same with a worker, and an alert rule on a share of the sensors.

        Its peer is the one without.
        """
        return replace(
            self.with_worker(),
            name=self.name + RULED,
            title=f"{self.title}, {share:.0%} under rules",
            prepare=(*self.prepare, "--ruled", str(share)),
            ruled=share,
        )

    def prepare_command(self, keys: Path) -> list[str]:
        return [sys.executable, "-m", *self.prepare, str(keys)]

    def serve_command(self, port: int) -> list[str]:
        return [sys.executable, "-m", *(word.format(port=port) for word in self.serve)]


_RUUVINET = ("bench.ruuvinet", "prepare"), ("bench.ruuvinet", "serve")
_DRF = (
    ("bench.peers.drf.prepare",),
    ("gunicorn", "--config", "bench/peers/drf/gunicorn.conf.py", "bench.peers.drf.wsgi"),
)
_FASTAPI = (
    ("bench.peers.fastapi_asyncpg.prepare",),
    ("uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log",
     "--log-level", "warning", "--workers", str(os.cpu_count() or 1), "--port", "{port}",
     "bench.peers.fastapi_asyncpg.app:app"),
)  # fmt: skip
_BARE = ("bench.ruuvinet", "prepare"), ("bench.peers.bare",)

CONTESTANTS = (
    Contestant("ruuvinet", "RuuviNet, PostgreSQL", "postgresql", *_RUUVINET, _OURS),
    Contestant("ruuvinet-sqlite", "RuuviNet, SQLite", "sqlite", *_RUUVINET, _OURS),
    Contestant("drf", "DRF + ORM, gunicorn, PostgreSQL", "postgresql", *_DRF, _THEIRS),
    Contestant("drf-sqlite", "DRF + ORM, gunicorn, SQLite", "sqlite", *_DRF, _THEIRS),
    Contestant(
        "fastapi", "FastAPI + asyncpg, uvicorn, PostgreSQL", "postgresql", *_FASTAPI, _THEIRS
    ),
    Contestant("limit", "PostgreSQL alone", "postgresql", *_BARE, _OURS, is_limit=True),
    Contestant("limit-sqlite", "SQLite alone", "sqlite", *_BARE, _OURS, is_limit=True),
)
