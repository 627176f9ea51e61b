"""The load generator: wrk, which plays prepared posts and so spends little time on each."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bench.bodies import Magazine
from bench.system import BenchError

THREADS = 2
CONNECTIONS = 64
TIMEOUT_S = 10
_SCRIPT = Path(__file__).with_name("load.lua")


class Mode(StrEnum):
    KEEP_ALIVE = "keep-alive"
    CLOSE = "close"  # a new connection for each request, as gateways do


@dataclass(frozen=True, slots=True)
class Load:
    """What the generator saw. `errors`: refused, broken and late requests."""

    accepted: int
    sent: int
    errors: int
    duration_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_s: float


class Generator:
    """Plays the magazine from wherever the play before ended."""

    def __init__(self, magazine: Magazine) -> None:
        program = shutil.which("wrk")
        if program is None:
            raise BenchError("wrk is missing; on Debian: apt-get install wrk")
        self._program = program
        self._magazine = magazine
        self._next = [0] * THREADS

    def rewind(self) -> None:
        """For the next contestant, whose database knows none of the posts."""
        self._next = [0] * THREADS

    def play(self, port: int, mode: Mode, *, seconds: int, may_repeat: bool = False) -> Load:
        """Post as fast as the server answers. Raises BenchError when posts run out.

        `may_repeat`: begin again instead, for a server that does not care.
        """
        command = [self._program, f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s"]
        command += ["--timeout", f"{TIMEOUT_S}s", "-s", str(_SCRIPT)]
        command += [f"http://127.0.0.1:{port}/record", "--"]
        command += [mode, self._magazine.head, str(self._magazine.post_bytes)]
        for file, start in zip(self._magazine.files, self._next, strict=True):
            command += [str(file), str(start)]
        output, cpu_s = _run(command)
        _, found, text = output.partition("RESULT ")
        if not found:
            raise BenchError(f"wrk failed:\n{output}")
        result = json.loads(text)
        if result["ran_out"] and not may_repeat:
            raise BenchError("The prepared posts ran out: raise --posts.")
        if result["answers"] > sum(result["used"]):
            raise BenchError("The server answered more often than it was asked.")
        self._next = [a + b for a, b in zip(self._next, result["used"], strict=True)]
        return Load(
            accepted=result["answers"] - result["refused"],
            sent=sum(result["used"]),
            errors=result["refused"] + result["broken"] + result["timeouts"],
            duration_s=result["duration_us"] / 1e6,
            p50_ms=result["p50_us"] / 1e3,
            p99_ms=result["p99_us"] / 1e3,
            max_ms=result["max_us"] / 1e3,
            cpu_s=cpu_s,
        )


def _run(command: list[str]) -> tuple[str, float]:
    """The output of a program, and the CPU seconds that it took."""
    process = subprocess.Popen(  # noqa: S603  # our own program, no shell
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None  # noqa: S101  # asked for above
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return output, usage.ru_utime + usage.ru_stime
