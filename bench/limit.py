"""The database's own limit, measured beside the others: bench.peers.bare, started and timed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.bodies import Magazine
from bench.contestants import Contestant
from bench.servers import Storage
from bench.system import BenchError, cpu_s

NO_HTTP = "no HTTP"  # in the place of a connection's mode
BATCH = {"postgresql": 15, "sqlite": 30}  # posts, where RuuviNet was not measured before


@dataclass(frozen=True, slots=True)
class Writing:
    """What all writers did together; times of single transactions."""

    posts: int
    duration_s: float
    took_ms: list[float]  # in the order of length

    def percentile_ms(self, percent: int) -> float:
        return self.took_ms[len(self.took_ms) * percent // 100]


class Writers:
    """Ready to write: a process with a connection for each core; one on SQLite."""

    def __init__(self, name: str, processes: list["subprocess.Popen[str]"]) -> None:
        self._name = name
        self._processes = processes

    def cpu_s(self) -> float:
        return sum(cpu_s(process.pid) for process in self._processes)

    def write(self, seconds: float, *, may_run_out: bool = False) -> Writing:
        """Commit for so long. Raises BenchError when the posts run out before."""
        for process in self._processes:
            assert process.stdin is not None  # noqa: S101  # asked for below
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
        found = [json.loads(_line(self._name, process)) for process in self._processes]
        if any(each["ran_out"] for each in found) and not may_run_out:
            raise BenchError("The prepared posts ran out: raise --posts.")
        return Writing(
            posts=sum(each["posts"] for each in found),
            duration_s=max(each["seconds"] for each in found),
            took_ms=sorted(took for each in found for took in each["took_ms"]),
        )


@contextmanager
def writers(
    contestant: Contestant, storage: Storage, magazine: Magazine, *, batch: int, most: int
) -> Iterator[Writers]:
    """Writers that have at most the first `most` posts of `magazine` at hand."""
    count = 1 if contestant.database == "sqlite" else min(os.cpu_count() or 1, most)
    with ExitStack() as stack:
        processes = []
        for index in range(count):
            command = [sys.executable, "-m", *contestant.serve, f"--batch={batch}"]
            command += [f"--share={index}/{count}", f"--most={most // count}"]
            command += [storage.url or str(storage.file), str(magazine.post_bytes)]
            process = subprocess.Popen(  # noqa: S603  # our own program, no shell
                command + [str(file) for file in magazine.files],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.terminate)
            processes.append(process)
        for process in processes:
            _line(contestant.name, process)
        yield Writers(contestant.name, processes)


def _line(name: str, process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None  # noqa: S101  # asked for above
    line = process.stdout.readline()
    if not line:
        raise BenchError(f"{name} ended by itself")
    return line
