"""A running program as tests see it: its output as it comes, its processes, its end."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60  # a busy machine is no reason to fail


class Program:
    """Started in a session of its own by the constructor; the context ends it in any case."""

    def __init__(self, argv: Sequence[str], **options: Any) -> None:
        self.process = subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **{"cwd": PROJECT} | options,
        )
        self.pid = self.process.pid
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        left = self.tree() if self.process.poll() is None else []
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def wait_for(self, pattern: str, *, times: int = 1) -> list[re.Match[str]]:
        """The first `times` lines in which `pattern` is found; waits for them to be printed."""
        deadline = time.monotonic() + PATIENCE_S
        with self._news:
            while len(found := self.find(pattern)) < times:
                if not self._news.wait(deadline - time.monotonic()):
                    raise AssertionError(f"{pattern!r} not printed:\n{self.output}")
        return found[:times]

    def find(self, pattern: str) -> list[re.Match[str]]:
        return [match for line in self.lines if (match := re.search(pattern, line))]

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self, number: signal.Signals | None = None) -> int:
        """Send the signal, if any, and return the exit code once all output is read."""
        if number is not None:
            self.send(number)
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def tree(self) -> list[psutil.Process]:
        """The running process and all that descend from it."""
        top = psutil.Process(self.pid)
        return [top, *top.children(recursive=True)]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


def eventually(question: Callable[[], bool], *, within_s: float = PATIENCE_S) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + within_s
    while not question():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def running(pid: int) -> bool:
    """Whether it runs; one that is dead but not yet fetched by its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
