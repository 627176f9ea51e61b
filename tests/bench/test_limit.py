"""The database alone stores what RuuviNet stores; the bench's own check says so."""

import subprocess
import sys

import pytest

from bench.bodies import Magazine, fleet, head
from bench.peers import bare
from tests.ruuvinet.program import PROJECT

NOW = 1_795_000_000 // 900 * 900


@pytest.fixture
def magazine(tmp_path):
    """Three minutes of four gateways, in two files as for two threads of wrk."""
    gateways = fleet()[:4]
    files = (tmp_path / "0", tmp_path / "1")
    for thread, file in enumerate(files):
        posts = [
            head(gateway, body) + body
            for minute in range(3)
            for gateway in gateways[thread::2]
            for body, _ in [gateway.body(NOW + 60 * minute)]
        ]
        file.write_bytes(b"".join(posts))
    return Magazine(files, len(posts[0]), len(posts))


def batches(magazine, index, count, size):
    posts = bare._posts(magazine.files, magazine.post_bytes, index, count)
    return list(bare._batches(posts, size))


@pytest.fixture(autouse=True)
def four_gateways(monkeypatch):
    monkeypatch.setattr(bare, "GATEWAYS", 4)


def test_every_reading_becomes_a_row(magazine):
    found = {row[:5] for batch in batches(magazine, 0, 1, 5) for row in batch.rows}
    readings = [
        reading
        for gateway in fleet()[:4]
        for minute in range(3)
        for reading in gateway.body(NOW + 60 * minute)[1]
    ]
    assert found == {(r.sensor, r.measured_at, r.gateway, r.rssi_dbm, r.payload) for r in readings}


def test_writers_share_no_gateway(magazine):
    macs = [
        {mac for batch in batches(magazine, index, 2, 5) for mac, _, _ in batch.seen}
        for index in (0, 1)
    ]
    assert [len(each) for each in macs] == [2, 2]
    assert not macs[0] & macs[1]


def test_a_sparse_slot_is_asked_for_once(magazine):
    first, *others = batches(magazine, 0, 1, 4)
    assert all(first.may_be_free)
    assert not any(free for batch in others for free in batch.may_be_free)


@pytest.mark.slow
def test_the_database_alone_stores_exactly_what_it_must():
    checked = subprocess.run(
        [sys.executable, "-m", "bench", "--check", "--only", "limit", "limit-sqlite"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=115,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("stores exactly what it must") == 2
