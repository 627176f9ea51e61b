"""More posts than can be stored: 429 at once, the rest stored, and no memory of it afterwards."""

import time
from statistics import median

from bench.contestants import Contestant
from bench.endurance.posting import Answer, Clients, Posts, lost, quantile_ms, run, statuses
from bench.endurance.rig import Finding, Rig, memory_mb, say
from bench.servers import Running, settle

TIMES = 3  # what can be stored
SECONDS, QUICK_SECONDS = 60, 10
CONNECTIONS = 64
FLOOD_CONNECTIONS = 3000
REFUSED_MS = 50
LEAK_MB = 10
AFTER_S = 1.0  # full speed again


def overloaded(rig: Rig) -> list[Finding]:
    return [_overloaded(rig, contestant) for contestant in rig.contestants()]


def _overloaded(rig: Rig, contestant: Contestant) -> Finding:
    finding = rig.finding("three times more posts than fit", contestant.database)
    seconds = QUICK_SECONDS if rig.quick else SECONDS
    posts = rig.posts(60_000 if rig.quick else 170_000)
    with rig.arena.running(contestant) as running:
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
        answers = clients.answers
        missing = lost(posts, [*before, *answers], running.storage)
    counts = statuses(answers)
    refused = [answer for answer in answers if answer.status == 429]
    accepted = [answer for answer in answers if answer.status == 200]
    growth = late - early
    p99 = quantile_ms(refused, 0.99)
    offered = len(answers) / seconds
    finding.measured = (
        f"{capacity:.0f} posts/s fit, {offered:.0f} offered for {seconds} s: "
        f"{len(accepted) / seconds:.0f}/s answered 200 (p99 {quantile_ms(accepted, 0.99):.0f} ms), "
        f"{len(refused) / seconds:.0f}/s answered 429 (median {quantile_ms(refused, 0.5):.0f} ms, "
        f"p99 {p99:.0f} ms, at most {quantile_ms(refused, 1):.0f} ms); memory "
        f"{late:.0f} MB, {growth:+.0f} MB since the first half minute; {after:.0f} posts/s a second later"
    )
    say(f"{finding.measured}  {counts}, {clients.unsent} unsent")
    finding.expect(not missing, f"{missing} acknowledged posts are not there")
    finding.expect(set(counts) <= {200, 429}, f"other answers: {counts}")
    finding.expect(bool(refused), "nobody was answered 429")
    finding.expect_fast(growth < LEAK_MB, "memory grows")
    finding.expect_fast(after > 0.8 * capacity, "slower afterwards")
    finding.expect_fast(p99 < REFUSED_MS, "429 came late")
    return finding


def _closed(running: Running, posts: Posts, seconds: float) -> list[Answer]:
    clients = Clients(running.port, posts, CONNECTIONS)
    end = time.monotonic() + seconds
    run(lambda: clients.closed_loop(lambda: time.monotonic() > end))
    return clients.answers


def _rate(answers: list[Answer], seconds: float) -> float:
    return sum(1 for answer in answers if answer.status == 200) / seconds
