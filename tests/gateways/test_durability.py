"""An acknowledged reading is there, whatever was killed: a real server under real posts."""

import json
import os
import signal
import sqlite3
import sys
import threading
import time
from contextlib import closing
from urllib.parse import urlsplit

import psycopg
import pytest
import requests

from gateways.signature import sign
from ruuvinet.lib.mac import Mac
from tests.ruuvinet.program import Program
from tests.services import free_port

pytestmark = pytest.mark.slow

KEY = "40:98:A7:78:58:1A:E1:38"
DF5 = "0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6"
GATEWAYS = 16
TAGS = 5
POSTS = 1500


@pytest.fixture
def environment(tmp_path):
    """A new installation, on the database that this run is about."""
    ours = os.environ | {"RUUVINET_DATA": str(tmp_path / "data"), "PORT": str(free_port())}
    server = os.environ["DATABASE_URL"]
    if not server:
        yield ours
        return
    name = f"durability_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    yield ours | {"DATABASE_URL": urlsplit(server)._replace(path=f"/{name}").geturl()}
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def serve(environment):
    with Program([sys.executable, "manage.py", "serve"], env=environment) as program:
        program.wait_for(r"ready: ")
        for number in range(GATEWAYS):
            requests.post(
                f"http://127.0.0.1:{environment['PORT']}/whitelist",
                json={"macAddress": str(Mac(number)), "secret": KEY},
                headers={"X-Internal-Secret": environment["INTERNAL_SECRET"]},
                timeout=10,
            ).raise_for_status()
        yield program


class Fleet:
    """Gateways that post as fast as they are answered; every post has sensors of its own."""

    def __init__(self, port: str) -> None:
        self.acknowledged: set[int] = set()
        self.posted = 0
        self.statuses: set[int] = set()
        self._url = f"http://127.0.0.1:{port}/record"
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=[n]) for n in range(GATEWAYS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, gateway: int) -> None:
        while not self._stop.is_set():
            with self._lock:
                first = 1_000_000 + self.posted * TAGS
                self.posted += 1
            sensors = range(first, first + TAGS)
            try:
                status = self._post(gateway, sensors)
            except requests.RequestException:
                time.sleep(0.05)  # it is dead just now
                continue
            with self._lock:
                self.statuses.add(status)
                if status == 200:
                    self.acknowledged.update(sensors)

    def _post(self, gateway: int, sensors: range) -> int:
        now = int(time.time())
        tag = {"rssi": -70, "timestamp": now, "data": DF5}
        tags = {str(Mac(sensor)): tag for sensor in sensors}
        body = json.dumps({"data": {"gw_mac": str(Mac(gateway)), "timestamp": now, "tags": tags}})
        headers = {"Ruuvi-HMAC-SHA256": sign(body.encode(), KEY)}
        return requests.post(self._url, body, headers=headers, timeout=15).status_code


def stored(environment, table: str) -> set[int]:
    sql = f"SELECT sensor FROM {table}"
    if environment["DATABASE_URL"]:
        with psycopg.connect(environment["DATABASE_URL"]) as database:
            return {sensor for (sensor,) in database.execute(sql)}
    path = f"{environment['RUUVINET_DATA']}/ruuvinet.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        return {sensor for (sensor,) in database.execute(sql)}


def missing(environment, acknowledged: set[int]) -> set[int]:
    dense = stored(environment, "sensors_measurement")
    return acknowledged - dense | acknowledged - stored(environment, "sensors_latest")


def wait_for(fleet: Fleet, posts: int) -> None:
    deadline = time.monotonic() + 60
    while len(fleet.acknowledged) < posts * TAGS:
        assert time.monotonic() < deadline, fleet.statuses
        time.sleep(0.01)


def test_stopping_in_the_middle_loses_nothing_acknowledged(serve, environment):
    fleet = Fleet(environment["PORT"])
    try:
        wait_for(fleet, POSTS // 3)
        code = serve.end(signal.SIGINT)
    finally:
        fleet.stop()

    assert code == 0
    assert missing(environment, fleet.acknowledged) == set()
    assert fleet.statuses <= {200, 503}
