"""One contestant under load, and what it cost."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from bench.bodies import READINGS, Magazine
from bench.contestants import Contestant
from bench.limit import BATCH, NO_HTTP, Writers, writers
from bench.load import Generator, Mode
from bench.servers import Arena, Storage, responder, settle
from bench.system import BenchError, cpu_s, machine_cpu_s

WARM_UP_S = 2


@dataclass(frozen=True, slots=True)
class Result:
    """One contestant in one round in one mode. CPU in seconds of one core."""

    contestant: str
    round: int
    mode: str
    requests_s: float
    readings_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: int
    accepted: int
    duration_s: float
    cpu_server_s: float
    cpu_database_s: float
    cpu_broker_s: float
    cpu_generator_s: float
    cpu_others_s: float  # programs that have nothing to do with this: they make it noisy
    batch_posts: float = 0  # in a transaction, on average, of those that say it
    judged: int = 0  # sensors whose alert rules the worker got to


@dataclass(frozen=True, slots=True)
class GeneratorLimit:
    """What the load generator can do when the server does nothing."""

    requests_s: float
    cpu_us_per_request: float
    p99_ms: float


def measure(
    arena: Arena, contestant: Contestant, generator: Generator, *, round_: int, seconds: int
) -> list[Result]:
    """Warm up, then both modes. Raises BenchError if acknowledged readings are not stored."""
    generator.rewind()
    results: list[Result] = []
    accepted = sent = 0
    with arena.running(contestant) as running:
        settle(running)
        for mode in Mode:
            loads = [generator.play(running.port, mode, seconds=WARM_UP_S)]
            before, machine_before = running.cpu_s(), machine_cpu_s()
            load = generator.play(running.port, mode, seconds=seconds)
            after, machine_after = running.cpu_s(), machine_cpu_s()
            cpu = {part: after[part] - before[part] for part in after}
            loads.append(load)
            accepted += sum(load.accepted for load in loads)
            sent += sum(load.sent for load in loads)
            results.append(
                Result(
                    contestant=contestant.name,
                    round=round_,
                    mode=mode,
                    requests_s=load.accepted / load.duration_s,
                    readings_s=load.accepted * READINGS / load.duration_s,
                    p50_ms=load.p50_ms,
                    p99_ms=load.p99_ms,
                    max_ms=load.max_ms,
                    errors=load.errors,
                    accepted=load.accepted,
                    duration_s=load.duration_s,
                    cpu_server_s=cpu["server"],
                    cpu_database_s=cpu["database"],
                    cpu_broker_s=cpu["broker"],
                    cpu_generator_s=load.cpu_s,
                    cpu_others_s=max(
                        0.0, machine_after - machine_before - sum(cpu.values()) - load.cpu_s
                    ),
                )
            )
        time.sleep(1)  # what the generator hung up on is still being stored
        stored, rest = divmod(running.storage.count_dense(), READINGS)
        if contestant.is_ours:
            batch_posts = _mean_batch(running.storage)
            judged = _judged(running.storage)
            results = [replace(r, batch_posts=batch_posts, judged=judged) for r in results]
    # Posts in flight when the generator stopped may or may not be stored, but whole or not at all.
    if rest or not accepted <= stored <= sent:
        raise BenchError(
            f"{contestant.name} acknowledged {accepted} of {sent} bodies and stored {stored} of "
            f"them, and {rest} readings"
        )
    return results


def measure_limit(
    arena: Arena,
    contestant: Contestant,
    magazine: Magazine,
    *,
    batch: int | None,
    round_: int,
    seconds: int,
) -> Result:
    """The same for the database alone, with so many posts in a transaction."""
    batch = batch or BATCH[contestant.database]
    most = magazine.posts * len(magazine.files) // (2 if contestant.database == "sqlite" else 1)
    with (
        arena.prepared(contestant) as (storage, _),
        writers(contestant, storage, magazine, batch=batch, most=most) as running,
    ):
        posts = running.write(WARM_UP_S).posts
        before, machine_before = _cpu_s(arena, contestant, running), machine_cpu_s()
        written = running.write(seconds)
        after, machine_after = _cpu_s(arena, contestant, running), machine_cpu_s()
        posts += written.posts
        stored, rest = divmod(storage.count_dense(), READINGS)
    if rest or stored != posts:
        raise BenchError(f"{contestant.name} committed {posts} bodies and stored {stored}")
    cpu_server_s, cpu_database_s = (b - a for a, b in zip(before, after, strict=True))
    return Result(
        contestant=contestant.name,
        round=round_,
        mode=NO_HTTP,
        requests_s=written.posts / written.duration_s,
        readings_s=written.posts * READINGS / written.duration_s,
        p50_ms=written.percentile_ms(50),
        p99_ms=written.percentile_ms(99),
        max_ms=written.took_ms[-1],
        errors=0,
        accepted=written.posts,
        duration_s=written.duration_s,
        cpu_server_s=cpu_server_s,
        cpu_database_s=cpu_database_s,
        cpu_broker_s=0,
        cpu_generator_s=0,
        cpu_others_s=max(0.0, machine_after - machine_before - cpu_server_s - cpu_database_s),
        batch_posts=batch,
    )


def _cpu_s(arena: Arena, contestant: Contestant, running: Writers) -> tuple[float, float]:
    on_server = contestant.database == "postgresql"
    return running.cpu_s(), cpu_s(arena.postgresql.pid) if on_server else 0


def _mean_batch(storage: Storage) -> float:
    """Posts of a transaction, as the web processes count them every ten seconds; 0 before."""
    ((posts, commits),) = storage.rows(
        "SELECT sum(CASE WHEN name = 'batch_sum' THEN value END), "
        "sum(CASE WHEN name = 'batch' THEN value END) FROM operations_total"
    )
    return float(posts / commits) if commits else 0.0


def _judged(storage: Storage) -> int:
    """Sensors whose mark has moved since bench.ruuvinet set it."""
    long_ago = int(time.time()) - 29 * 86400
    ((count,),) = storage.rows(
        f"SELECT count(*) FROM alerts_evaluationmark WHERE evaluated_to > {long_ago}"  # noqa: S608
    )
    return int(count)


def measure_generator(generator: Generator, folder: Path) -> GeneratorLimit:
    generator.rewind()
    with responder(folder) as port:
        load = generator.play(port, Mode.KEEP_ALIVE, seconds=2, may_repeat=True)
    return GeneratorLimit(
        requests_s=load.accepted / load.duration_s,
        cpu_us_per_request=load.cpu_s / load.accepted * 1e6,
        p99_ms=load.p99_ms,
    )
