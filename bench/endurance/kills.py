"""`kill -9` in the middle of posts: what was acknowledged is there, and the rest gets an answer."""

import random
import threading
import time
from collections.abc import Callable
from math import inf

import psutil

from bench.contestants import Contestant
from bench.endurance.posting import (
    LOST,
    PATIENCE_S,
    Answer,
    Clients,
    Posts,
    longest_gap_s,
    lost,
    quantile_ms,
    run,
    statuses,
)
from bench.endurance.rig import Finding, Rig, say, web_workers
from bench.servers import PostgreSQL, Running, settle

POSTS = 20_000
KILLS, QUICK_KILLS = 10, 5
CONNECTIONS = 64
APART_S = 7.0  # sooner, granian takes it for a crash loop and ends
OUTAGE_S = 1.0  # that PostgreSQL stays away
PAUSED_S = 12.0
ANSWERED_S = 3.0  # in an outage; a gateway waits for 15


def web_killed(rig: Rig) -> list[Finding]:
    return [_web_killed(rig, contestant) for contestant in rig.contestants()]


def _web_killed(rig: Rig, contestant: Contestant) -> Finding:
    finding = rig.finding("web process killed", contestant.database)
    posts = rig.posts(POSTS * 5 // 4)
    with rig.arena.running(contestant) as running:
        settle(running)

        def kill() -> None:
            random.choice(wait_for_workers(running)).kill()  # noqa: S311  # no secret

        answers = _post_amid(running, posts, kill, _kills(rig), apart_s=APART_S)
        finding.measured = _told(finding, answers, _kills(rig))
        missing = lost(posts, answers, running.storage)
    finding.expect(not missing, f"{missing} acknowledged posts are not there")
    finding.expect(set(statuses(answers)) <= {200, 429, 503, LOST}, "odd answers")
    return finding


def postgresql_killed(rig: Rig) -> list[Finding]:
    finding = rig.finding("PostgreSQL killed", "postgresql")
    for contestant in rig.contestants():
        if contestant.database == "postgresql":
            _postgresql_killed(rig, contestant, finding)
            return [finding]
    return []


def _postgresql_killed(rig: Rig, contestant: Contestant, finding: Finding) -> None:
    server = rig.arena.postgresql
    posts = rig.posts(POSTS * 5 // 4)
    recoveries: list[float] = []
    with rig.arena.running(contestant) as running:
        settle(running)
        workers = {process.pid for process in web_workers(running)}
        answers = _post_amid(running, posts, lambda: recoveries.append(_crash(server)), _kills(rig))
        missing = lost(posts, answers, running.storage)
        replaced = workers != {process.pid for process in web_workers(running)}
    served_again = [
        min((a.at for a in answers if a.status == 200 and a.at > up), default=float("inf")) - up
        for up in recoveries
    ]
    refused = [answer for answer in answers if answer.status == 503]
    slowest_s = max(answer.latency_s for answer in answers)
    finding.measured = (
        f"{_told(finding, answers, _kills(rig))}; 503 after {quantile_ms(refused, 0.5):.0f} ms (median), "
        f"{quantile_ms(refused, 1):.0f} ms at most; "
        f"200 again {max(served_again):.1f} s after the database is up"
    )
    finding.expect(not missing, f"{missing} acknowledged posts are not there")
    finding.expect(set(statuses(answers)) <= {200, 429, 503}, "odd answers")
    finding.expect(bool(refused), "nobody was answered 503")
    finding.expect_fast(slowest_s < ANSWERED_S, f"an answer took {slowest_s:.1f} s")
    finding.expect_fast(max(served_again) < ANSWERED_S, "it did not recover by itself")
    finding.expect(not replaced, "a web process ended")


def postgresql_paused(rig: Rig) -> list[Finding]:
    """Silent, not gone: nothing closes the connections that wait for it."""
    finding = rig.finding("PostgreSQL paused", "postgresql")
    contestant = next((c for c in rig.contestants() if c.database == "postgresql"), None)
    if contestant is None:
        return []
    posts = rig.posts(POSTS)
    pauses: list[tuple[float, float]] = []
    with rig.arena.running(contestant) as running:
        settle(running)

        def pause() -> None:
            time.sleep(2)
            with rig.arena.postgresql.paused():
                began = time.monotonic()
                time.sleep(PAUSED_S)
                pauses.append((began, time.monotonic()))

        pausing = threading.Thread(target=pause)
        pausing.start()
        clients = Clients(running.port, posts, CONNECTIONS)
        run(
            lambda: clients.closed_loop(
                lambda: bool(pauses) and time.monotonic() > pauses[0][1] + ANSWERED_S
            )
        )
        pausing.join()
        missing = lost(posts, clients.answers, running.storage)
    ((began, ended),) = pauses
    counts = statuses(clients.answers)
    slowest_s = max(answer.latency_s for answer in clients.answers)
    again = [answer.at for answer in clients.answers if answer.status == 200 and answer.at > ended]
    finding.measured = (
        f"for {ended - began:.0f} s: answers {counts}, after {slowest_s:.1f} s at most, nothing "
        f"lost; 200 again {min(again, default=float('inf')) - ended:.1f} s after its end"
    )
    say(finding.measured)
    finding.expect(not missing, f"{missing} acknowledged posts are not there")
    finding.expect(set(counts) <= {200, 429, 503}, "odd answers")
    finding.expect(bool(again), "it did not recover")
    finding.expect_fast(slowest_s < PATIENCE_S, "gateways had given up")
    return [finding]


def _crash(server: PostgreSQL) -> float:
    """A power cut, an outage, and a start with crash recovery; when it was up again."""
    server.kill()
    time.sleep(OUTAGE_S)
    server.start()
    return time.monotonic()


def _post_amid(
    running: Running, posts: Posts, kill: Callable[[], None], kills: int, *, apart_s: float = 0
) -> list[Answer]:
    """POSTS acknowledged posts, evenly interrupted by so many `kills`, `apart_s` apart."""
    clients = Clients(running.port, posts, CONNECTIONS)
    killing_over = threading.Event()
    looked, acknowledged, allowed = 0, 0, 0.0

    def is_over() -> bool:
        nonlocal looked, acknowledged
        acknowledged += sum(1 for answer in clients.answers[looked:] if answer.status == 200)
        looked = len(clients.answers)
        return acknowledged >= POSTS and killing_over.is_set()

    # What is started by a thread ends with it (tests.services), so the kills are in this one.
    posting = threading.Thread(
        target=run, args=[lambda: clients.closed_loop(is_over, lambda: acknowledged > allowed)]
    )
    posting.start()
    try:
        for number in range(kills):
            allowed = POSTS * (number + 1) / kills
            while posting.is_alive() and acknowledged < POSTS * (number + 0.5) / kills:
                time.sleep(0.02)
            time.sleep(random.random() / 10)  # noqa: S311  # anywhere in a transaction
            kill()
            time.sleep(apart_s)
    finally:
        allowed = inf
        killing_over.set()
        posting.join()
    return clients.answers


def _kills(rig: Rig) -> int:
    return QUICK_KILLS if rig.quick else KILLS


def _told(finding: Finding, answers: list[Answer], kills: int) -> str:
    counts = statuses(answers)
    others = ", ".join(
        f"{count:,} {'broken or refused connections' if status == LOST else f'answered {status}'}"
        for status, count in counts.items()
        if status != 200
    )
    text = (
        f"{counts[200]:,} acknowledged, {kills} kills, nothing lost; {others}; "
        f"nobody was answered 200 for {longest_gap_s(answers):.1f} s at most"
    )
    say(f"{finding.fault}, {finding.database}: {text}")
    return text


def wait_for_workers(running: Running) -> list[psutil.Process]:
    """Raises TimeoutError when none is started again."""
    deadline = time.monotonic() + 30
    while not (workers := web_workers(running)):
        if time.monotonic() > deadline:
            raise TimeoutError("no web process is started again")
        time.sleep(0.05)
    return workers
