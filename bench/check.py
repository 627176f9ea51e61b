"""Does a contestant do the work? Otherwise its speed means nothing."""

import time

from bench.bodies import Gateway, Reading, fleet, head
from bench.contestants import Contestant
from bench.servers import Arena, Running, post
from bench.system import BenchError

DENSE_INTERVAL_S = 60
SPARSE_INTERVAL_S = 900


def check(arena: Arena, contestant: Contestant) -> None:
    """Post good, repeated, late and forged bodies. Raises BenchError unless all is as it must be."""
    now = int(time.time()) // SPARSE_INTERVAL_S * SPARSE_INTERVAL_S
    first, second = fleet()[:2]
    stored: list[Reading] = []
    with arena.running(contestant) as running:
        for title, gateway, time_s, repeat in (
            ("a good body", first, now - 600, False),
            ("the same once more", first, now - 600, True),
            ("a body of another gateway", second, now - 540, False),
            ("a newer body", first, now - 300, False),
            ("a body that comes late", first, now - 1800, False),
        ):
            body, readings = gateway.body(time_s)
            _expect(running, title, head(gateway, body), body, accepted=True)
            stored += [] if repeat else readings
            _compare(running, title, stored)
        body, _ = first.body(now - 60)
        stranger = Gateway(number=0, mac=0xC0FFEE, secret=first.secret, sensors=first.sensors)
        unknown, _ = stranger.body(now - 60)
        for title, forged_head, forged in (
            ("a body signed by another", head(second, body), body),
            ("a body changed afterwards", head(first, body), body.replace(b"1M", b"2M", 1)),
            ("a body without a signature", b"Accept: */*", body),
            ("a body of an unknown gateway", head(stranger, unknown), unknown),
        ):
            _expect(running, title, forged_head, forged, accepted=False)
            _compare(running, title, stored)
        seen = running.storage.rows(
            "SELECT count(*) FROM {gateways} WHERE first_seen_at IS NOT NULL "
            "AND connected_at IS NOT NULL AND last_seen_at >= first_seen_at "
            "AND last_address IS NOT NULL"
        )
        if seen[0][0] != 2:
            raise BenchError(f"{contestant.name}: {seen[0][0]} gateways were noted instead of 2")


def _expect(running: Running, title: str, head_: bytes, body: bytes, *, accepted: bool) -> None:
    status = post(running.port, head_, body)
    if (status == 200) != accepted or status >= 500:
        name = running.storage.contestant.name
        raise BenchError(f"{name} answers {status} to {title}")


def _compare(running: Running, title: str, stored: list[Reading]) -> None:
    """The database holds `stored` and nothing else, and the newest of each sensor as latest."""
    name = running.storage.contestant.name
    for table, interval_s in (("dense", DENSE_INTERVAL_S), ("sparse", SPARSE_INTERVAL_S)):
        expected: dict[tuple[int, int], Reading] = {}
        for reading in stored:  # the first reception of a slot stays
            slot = reading.measured_at // interval_s * interval_s
            expected.setdefault((reading.sensor, slot), reading)
        if running.storage.history(table) != expected:
            raise BenchError(f"{name}: after {title} the {table} history is wrong")
    newest: dict[int, tuple[Reading, int | None]] = {}
    for reading in sorted(stored, key=lambda r: r.measured_at):
        newest[reading.sensor] = (reading, 5)
    if running.storage.latest() != newest:
        raise BenchError(f"{name}: after {title} the latest readings are wrong")
