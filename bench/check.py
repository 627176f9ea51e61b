"""Does a contestant do the work? Otherwise its speed means nothing."""

import time
from collections.abc import Iterator
from pathlib import Path

from bench.bodies import Gateway, Magazine, Reading, fleet, head
from bench.contestants import Contestant
from bench.limit import writers
from bench.servers import Arena, Running, Storage, post
from bench.system import BenchError

DENSE_INTERVAL_S = 60
SPARSE_INTERVAL_S = 900
SEEN = """
    SELECT count(*) FROM {gateways} WHERE first_seen_at IS NOT NULL
    AND connected_at IS NOT NULL AND last_seen_at >= first_seen_at AND last_address IS NOT NULL
"""


def check(arena: Arena, contestant: Contestant, folder: Path) -> None:
    """Post good, repeated, late and forged bodies. Raises BenchError unless all is as it must be.

    The database alone gets the good ones, written to `folder`: it verifies nothing.
    """
    now = int(time.time()) // SPARSE_INTERVAL_S * SPARSE_INTERVAL_S
    if contestant.is_limit:
        with arena.prepared(contestant) as (storage, _):
            for title, gateway, body, stored in _good(now):
                file = folder / "one"
                file.write_bytes(whole := head(gateway, body) + body)
                with writers(
                    contestant, storage, Magazine((file,), len(whole), 1), batch=1, most=1
                ) as one:
                    one.write(seconds=60, may_run_out=True)
                _compare(storage, title, stored)
            _compare_seen(storage)
        return
    with arena.running(contestant) as running:
        for title, gateway, body, stored in _good(now):
            _expect(running, title, head(gateway, body), body, accepted=True)
            _compare(running.storage, title, stored)
        for title, forged_head, forged in _forged(now):
            _expect(running, title, forged_head, forged, accepted=False)
            _compare(running.storage, title, stored)
        _compare_seen(running.storage)


def _good(now: int) -> Iterator[tuple[str, Gateway, bytes, list[Reading]]]:
    """What it is, whose, the body, and all that must be stored after it."""
    first, second = fleet()[:2]
    stored: list[Reading] = []
    for title, gateway, time_s, repeat in (
        ("a good body", first, now - 600, False),
        ("the same once more", first, now - 600, True),
        ("a body of another gateway", second, now - 540, False),
        ("a newer body", first, now - 300, False),
        ("a body that comes late", first, now - 1800, False),
    ):
        body, readings = gateway.body(time_s)
        stored += [] if repeat else readings
        yield title, gateway, body, stored


def _forged(now: int) -> Iterator[tuple[str, bytes, bytes]]:
    first, second = fleet()[:2]
    body, _ = first.body(now - 60)
    stranger = Gateway(number=0, mac=0xC0FFEE, secret=first.secret, sensors=first.sensors)
    unknown, _ = stranger.body(now - 60)
    yield "a body signed by another", head(second, body), body
    yield "a body changed afterwards", head(first, body), body.replace(b"1M", b"2M", 1)
    yield "a body without a signature", b"Accept: */*", body
    yield "a body of an unknown gateway", head(stranger, unknown), unknown


def _expect(running: Running, title: str, head_: bytes, body: bytes, *, accepted: bool) -> None:
    status = post(running.port, head_, body)
    if (status == 200) != accepted or status >= 500:
        name = running.storage.contestant.name
        raise BenchError(f"{name} answers {status} to {title}")


def _compare_seen(storage: Storage) -> None:
    ((count,),) = storage.rows(SEEN)
    if count != 2:
        raise BenchError(f"{storage.contestant.name}: {count} gateways were noted instead of 2")


def _compare(storage: Storage, title: str, stored: list[Reading]) -> None:
    """The database holds `stored` and nothing else, and the newest of each sensor as latest."""
    name = storage.contestant.name
    for table, interval_s in (("dense", DENSE_INTERVAL_S), ("sparse", SPARSE_INTERVAL_S)):
        expected: dict[tuple[int, int], Reading] = {}
        for reading in stored:  # the first reception of a slot stays
            slot = reading.measured_at // interval_s * interval_s
            expected.setdefault((reading.sensor, slot), reading)
        if storage.history(table) != expected:
            raise BenchError(f"{name}: after {title} the {table} history is wrong")
    newest: dict[int, tuple[Reading, int | None]] = {}
    for reading in sorted(stored, key=lambda r: r.measured_at):
        newest[reading.sensor] = (reading, 5)
    if storage.latest() != newest:
        raise BenchError(f"{name}: after {title} the latest readings are wrong")
