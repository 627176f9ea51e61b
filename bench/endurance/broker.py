"""Redis killed, paused and full: gateways must not notice."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from statistics import median

import redis

from bench.bodies import write_magazine
from bench.endurance.rig import Finding, Rig, say
from bench.load import THREADS, Generator, Load, Mode
from bench.servers import Arena, kill_tree, settle

ROUNDS, SECONDS = 6, 3
QUICK_ROUNDS, QUICK_SECONDS = 1, 2
POSTS_S = 2500  # prepared
TOLERANCE = 0.1


@contextmanager
def _killed(arena: Arena) -> Iterator[None]:
    kill_tree(arena.redis_pid)
    yield
    arena.restart_redis()


@contextmanager
def _paused(arena: Arena) -> Iterator[None]:
    pid = arena.redis_pid
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


@contextmanager
def _full(arena: Arena) -> Iterator[None]:
    with redis.Redis.from_url(arena.redis_url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "4mb")
        with suppress(redis.exceptions.OutOfMemoryError):
            for number in range(1_000_000):
                client.set(f"filler-{number}", bytes(1000))
        yield
        client.config_set("maxmemory", "0")
        client.flushall()


FAULTS: dict[str, Callable[[Arena], AbstractContextManager[None]]] = {
    "killed": _killed,
    "paused (SIGSTOP)": _paused,
    "full (noeviction)": _full,
}


def redis_gone(rig: Rig) -> list[Finding]:
    """Each fault between two normal phases; the medians of all rounds are compared.

    No worker runs: it would take time from the server when Redis is there, and none when not.
    """
    rounds = QUICK_ROUNDS if rig.quick else ROUNDS
    seconds = QUICK_SECONDS if rig.quick else SECONDS
    found = [c for c in rig.contestants() if c.database == "postgresql"]
    if not found:
        return []
    phases = rounds * (len(FAULTS) + 1) + 1
    generator = Generator(
        write_magazine(rig.folder, posts=POSTS_S * seconds * phases, threads=THREADS)
    )
    normal: list[Load] = []
    broken: dict[str, list[Load]] = {name: [] for name in FAULTS}
    with rig.arena.running(found[0].watched()) as running:
        settle(running)
        generator.play(running.port, Mode.KEEP_ALIVE, seconds=seconds)
        for round_ in range(rounds):
            names = list(FAULTS)
            for name in names[round_ % 3 :] + names[: round_ % 3]:
                with FAULTS[name](rig.arena):
                    broken[name].append(_play(generator, running.port, seconds, name))
            normal.append(_play(generator, running.port, seconds, "normal"))
    return [
        _compared(rig.finding(f"Redis {name}", "postgresql"), loads, normal)
        for name, loads in broken.items()
    ]


def _play(generator: Generator, port: int, seconds: int, name: str) -> Load:
    load = generator.play(port, Mode.KEEP_ALIVE, seconds=seconds)
    say(f"{name}: {_rate(load):.0f} posts/s, p99 {load.p99_ms:.0f} ms, {load.errors} errors")
    return load


def _compared(finding: Finding, loads: list[Load], normal: list[Load]) -> Finding:
    rate, rate_normal = median(map(_rate, loads)), median(map(_rate, normal))
    p99, p99_normal = (median(load.p99_ms for load in each) for each in (loads, normal))
    errors = sum(load.errors for load in loads)
    finding.measured = (
        f"{rate:.0f} posts/s, p99 {p99:.0f} ms (without the fault {rate_normal:.0f} and "
        f"{p99_normal:.0f}): {rate / rate_normal - 1:+.0%} and {p99 / p99_normal - 1:+.0%}; "
        f"{errors} refused or unanswered"
    )
    finding.expect(not errors, "gateways were refused")
    finding.expect(rate > 0, "nothing was taken")
    finding.expect_fast(rate > rate_normal * (1 - TOLERANCE), "slower")
    finding.expect_fast(p99 < p99_normal * (1 + TOLERANCE), "later")
    return finding


def _rate(load: Load) -> float:
    return load.accepted / load.duration_s
