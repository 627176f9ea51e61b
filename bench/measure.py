"""One contestant under load, and what it cost."""

import time
from dataclasses import dataclass
from pathlib import Path

from bench.bodies import READINGS
from bench.contestants import Contestant
from bench.load import Generator, Mode
from bench.servers import Arena, responder, settle
from bench.system import BenchError, machine_cpu_s

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
    # Posts in flight when the generator stopped may or may not be stored, but whole or not at all.
    if rest or not accepted <= stored <= sent:
        raise BenchError(
            f"{contestant.name} acknowledged {accepted} of {sent} bodies and stored {stored} of "
            f"them, and {rest} readings"
        )
    return results


def measure_generator(generator: Generator, folder: Path) -> GeneratorLimit:
    generator.rewind()
    with responder(folder) as port:
        load = generator.play(port, Mode.KEEP_ALIVE, seconds=2, may_repeat=True)
    return GeneratorLimit(
        requests_s=load.accepted / load.duration_s,
        cpu_us_per_request=load.cpu_s / load.accepted * 1e6,
        p99_ms=load.p99_ms,
    )
