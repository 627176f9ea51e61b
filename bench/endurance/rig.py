"""What all of these have in common: servers, prepared posts, and what is reported."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from bench.bodies import write_keys, write_magazine
from bench.contestants import CONTESTANTS, Contestant
from bench.endurance.posting import Posts
from bench.servers import Arena, Running

Database = Literal["postgresql", "sqlite"]
SAMPLING_S = 0.2


@dataclass
class Finding:
    """What one fault did; `broken` says in words which promises it broke."""

    fault: str
    database: str
    measured: str = ""
    is_timed: bool = True  # a test on a busy machine must not judge by the clock
    broken: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.broken.append(otherwise)

    def expect_fast(self, holds: bool, otherwise: str) -> None:
        """As `expect`, for what a busy machine can break."""
        if self.is_timed:
            self.expect(holds, otherwise)

    def row(self) -> str:
        wrong = "".join(f" **{text}**" for text in self.broken)
        return f"| {self.fault} | {self.database} | {self.measured}{wrong} |"


@dataclass
class Rig:
    """`quick`: as short as a test must be."""

    folder: Path
    arena: Arena
    databases: tuple[Database, ...]
    quick: bool = False

    def posts(self, count: int) -> Posts:
        """`count` new posts; those of one call must go to one installation only."""
        say(f"making {count} signed posts")
        return Posts(write_magazine(self.folder, posts=count, threads=1))

    def finding(self, fault: str, database: str) -> Finding:
        return Finding(fault, database, is_timed=not self.quick)

    def contestants(self) -> Iterator[Contestant]:
        for contestant in CONTESTANTS:
            if contestant.is_ours and contestant.database in self.databases:
                yield contestant


def open_rig(
    folder: Path, stack: ExitStack, databases: tuple[Database, ...], *, quick: bool
) -> Rig:
    """PostgreSQL and Redis of its own below `folder`, until `stack` ends."""
    folder.chmod(0o711)  # PostgreSQL may have to run as somebody else
    keys = folder / "keys.json"
    write_keys(keys)
    return Rig(folder, Arena(folder, keys, stack), databases, quick)


def web_workers(running: Running) -> list[psutil.Process]:
    """The processes that answer requests: those that granian started."""
    granian = []
    for process in psutil.Process(running.server_pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "granian" in process.cmdline():
                granian.append(process)
    parents = {process.pid for process in granian}
    return [process for process in granian if process.ppid() in parents]


@contextmanager
def memory_mb(running: Running) -> Iterator[list[float]]:
    """A list to which the memory of all web processes together is added as time goes by."""
    samples: list[float] = []
    stopped = threading.Event()

    def sample() -> None:
        while not stopped.wait(SAMPLING_S):
            with suppress(psutil.NoSuchProcess):
                infos = [process.memory_info() for process in web_workers(running)]
                # Without the files that are mapped: SQLite maps its own.
                samples.append(sum(info.rss - info.shared for info in infos) / 2**20)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        stopped.set()
        thread.join()


_started = time.monotonic()


def say(text: str) -> None:
    sys.stderr.write(f"{time.monotonic() - _started:5.0f} s  {text}\n")
