"""What the kernel knows: CPU seconds of programs, and what machine this is."""

import os
import platform
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
_PACKAGES = (
    "Django", "djangorestframework", "granian", "gunicorn", "fastapi", "uvicorn", "uvloop",
    "httptools", "asyncpg", "msgspec", "psycopg",
)  # fmt: skip


class BenchError(Exception):
    """The benchmark cannot go on; the text is for the operator."""


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, its living descendants, and all that these have outlived."""
    # utime, stime, and the same of children waited for: the four from the 12th after the name.
    return sum(sum(int(v) for v in fields[11:15]) for fields in _family(pid)) / _TICKS


def machine_cpu_s() -> float:
    """CPU seconds that all programs on the machine took since it started."""
    with Path("/proc/stat").open() as file:
        user, nice, system, _idle, _iowait, irq, softirq = map(int, file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / _TICKS


def _family(pid: int) -> Iterator[list[str]]:
    processes: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended in the meantime
            processes[int(entry.name)] = stat.rpartition(")")[2].split()
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        if current in processes:
            yield processes[current]
        waiting += [child for child, fields in processes.items() if int(fields[1]) == current]


def describe(folder: Path) -> dict[str, Any]:
    """This machine, for readers of the numbers."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20,
        "system": platform.platform(),
        "file_system": _file_system(folder),
        "fsync_ms": _fsync_ms(folder),
        "load_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: metadata.version(name) for name in _PACKAGES},
    }


def ensure_disk(folder: Path) -> None:
    """Raise BenchError when `folder` lies in memory, where durability costs nothing."""
    kind = _file_system(folder)
    if kind in {"tmpfs", "ramfs"}:
        raise BenchError(f"{folder} lies in memory ({kind}); name one on a disk: --folder")


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    command = ["stat", "--file-system", "--format=%T", str(folder)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return result.stdout.strip()


def _fsync_ms(folder: Path) -> float:
    """What one durable write of a page takes, the median of many."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(200):
            file.write(bytes(4096))
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return round(statistics.median(times) * 1000, 3)
