"""The first post after a start, and the last ones before a stop."""

import os
import signal
import time
from statistics import median

import psutil

from bench.contestants import Contestant
from bench.endurance.posting import LOST, Clients, lost, run, statuses
from bench.endurance.rig import Finding, Rig, say
from bench.servers import settle

STARTS, QUICK_STARTS = 5, 2
FURTHER = 100  # posts that the first one is compared with
CONNECTIONS = 64
POSTING_S = 2.0
STOPPED_S = 10.0


def stopped(rig: Rig) -> list[Finding]:
    return [_stopped(rig, contestant) for contestant in rig.contestants()]


def _stopped(rig: Rig, contestant: Contestant) -> Finding:
    finding = rig.finding("SIGTERM amid posts", contestant.database)
    posts = rig.posts(15_000)
    with rig.arena.running(contestant) as running:
        settle(running)
        server = psutil.Process(running.server_pid)
        clients = Clients(running.port, posts, CONNECTIONS)
        began = time.monotonic()
        told: list[float] = []
        ended: list[float] = []

        def is_over() -> bool:
            now = time.monotonic()
            if not told and now - began > POSTING_S:
                told.append(now)
                os.kill(server.pid, signal.SIGTERM)
            if told and not ended and server.status() == psutil.STATUS_ZOMBIE:
                ended.append(now)
            return bool(ended) or now - began > POSTING_S + STOPPED_S

        run(lambda: clients.closed_loop(is_over))
        missing = lost(posts, clients.answers, running.storage)
    counts = statuses(clients.answers)
    later = statuses(answer for answer in clients.answers if answer.at > told[0])
    took = ended[0] - told[0] if ended else float("inf")
    finding.measured = (
        f"{counts[200]:,} acknowledged, {later.get(200, 0)} of them after the signal, nothing "
        f"lost; {later.get(503, 0)} answered 503; ended after {took:.1f} s"
    )
    say(f"{finding.measured} {counts}")
    finding.expect(not missing, f"{missing} acknowledged posts are not there")
    finding.expect(set(counts) <= {200, 503, LOST}, f"other answers: {counts}")
    finding.expect_fast(took < STOPPED_S, "it did not end")
    return finding


def first_post(rig: Rig) -> list[Finding]:
    return [_first_post(rig, contestant) for contestant in rig.contestants()]


def _first_post(rig: Rig, contestant: Contestant) -> Finding:
    finding = rig.finding("first post after a start", contestant.database)
    firsts: list[float] = []
    others: list[float] = []
    for _ in range(QUICK_STARTS if rig.quick else STARTS):
        posts = rig.posts(500)
        with rig.arena.running(contestant) as running:
            settle(running)
            latencies = []
            for _ in range(FURTHER + 1):
                clients = Clients(running.port, posts, 1)
                run(lambda clients=clients: clients.closed_loop(lambda: bool(clients.answers)))  # type: ignore[misc]
                latencies += [answer.latency_s * 1000 for answer in clients.answers]
            firsts.append(latencies[0])
            others += latencies[1:]
    finding.measured = (
        f"{median(firsts):.1f} ms (at most {max(firsts):.1f}), the next {FURTHER}: "
        f"{median(others):.1f} ms"
    )
    say(f"{finding.measured} {[round(first, 1) for first in firsts]}")
    finding.expect_fast(median(firsts) < 3 * median(others) + 5, "slow")
    return finding
