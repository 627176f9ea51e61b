"""More posts than can be stored: 429 at once, the rest stored, and no memory of it afterwards."""

import time
from array import array
from pathlib import Path
from statistics import median

from bench.contestants import Contestant
from bench.endurance.posting import Answer, Clients, Posts, lost, quantile_ms, run, statuses
from bench.endurance.rig import Finding, Rig, memory_mb, say
from bench.ruuvinet import TIMED_FOLDER
from bench.servers import Running, settle

TIMES = 3  # what can be stored
SECONDS, QUICK_SECONDS = 60, 10
CONNECTIONS = 64
FLOOD_CONNECTIONS = 3000
REFUSED_MS = 50
LEAK_MB = 10
AFTER_S = 1.0  # full speed again
CALM_S = 5.0


def overloaded(rig: Rig) -> list[Finding]:
    return [_overloaded(rig, contestant) for contestant in rig.contestants()]


def _overloaded(rig: Rig, contestant: Contestant) -> Finding:
    finding = rig.finding("three times more posts than fit", contestant.database)
    seconds = QUICK_SECONDS if rig.quick else SECONDS
    posts = rig.posts(60_000 if rig.quick else 170_000)
    times = rig.folder / f"times-{contestant.name}"
    times.mkdir()
    with rig.arena.running(contestant, {TIMED_FOLDER: str(times)}) as running:
        settle(running)
        _closed(running, posts, 2)  # warm
        before = _closed(running, posts, 4)
        capacity = _rate(before, 4)
        clients = Clients(running.port, posts, FLOOD_CONNECTIONS)
        with memory_mb(running) as memory:
            run(lambda: clients.open_loop(TIMES * capacity, seconds))
        quarter = len(memory) // 4  # the first one touches memory that the process then keeps
        early, late = median(memory[quarter : 2 * quarter]), median(memory[-quarter:])
        time.sleep(AFTER_S)
        after = _rate(_closed(running, posts, 3), 3)
        time.sleep(CALM_S)
        calm = _rate(_closed(running, posts, 3), 3)  # the database has grown since `capacity`
        answers = clients.answers
        missing = lost(posts, [*before, *answers], running.storage)
    counts = statuses(answers)
    refused = [answer for answer in answers if answer.status == 429]
    accepted = [answer for answer in answers if answer.status == 200]
    growth = late - early
    inside_ms = sorted(_times_ms(times))
    p99 = inside_ms[int(0.99 * len(inside_ms))] if inside_ms else 0.0
    offered = len(answers) / seconds
    finding.measured = (
        f"{capacity:.0f} posts/s fit, {offered:.0f} offered for {seconds} s: "
        f"{len(accepted) / seconds:.0f}/s answered 200 (p99 {quantile_ms(accepted, 0.99):.0f} ms), "
        f"{len(refused) / seconds:.0f}/s answered 429 (p99 {p99:.1f} ms after the body was read, at "
        f"most {inside_ms[-1]:.1f} ms; for the generator on the same cores {quantile_ms(refused, 0.5):.0f} "
        f"and {quantile_ms(refused, 0.99):.0f} ms, median and p99); memory {late:.0f} MB, {growth:+.0f} MB "
        f"since the first half minute; {after:.0f} posts/s a second later, {calm:.0f} when calm"
    )
    say(f"{finding.measured}  {counts}, {clients.unsent} unsent")
    finding.expect(not missing, f"{missing} acknowledged posts are not there")
    finding.expect(set(counts) <= {200, 429}, f"other answers: {counts}")
    finding.expect(bool(refused), "nobody was answered 429")
    finding.expect_fast(growth < LEAK_MB, "memory grows")
    finding.expect_fast(after > 0.9 * calm, "slower afterwards")
    finding.expect_fast(p99 < REFUSED_MS, "429 came late")
    return finding


def _times_ms(folder: Path) -> list[float]:
    """What bench.endurance.timed left."""
    times = array("f")
    for file in folder.glob("*.times"):
        times.frombytes(file.read_bytes())
    return times.tolist()


def _closed(running: Running, posts: Posts, seconds: float) -> list[Answer]:
    clients = Clients(running.port, posts, CONNECTIONS)
    end = time.monotonic() + seconds
    run(lambda: clients.closed_loop(lambda: time.monotonic() > end))
    return clients.answers


def _rate(answers: list[Answer], seconds: float) -> float:
    return sum(1 for answer in answers if answer.status == 200) / seconds
