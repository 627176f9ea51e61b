"""Medians of the rounds, as a table for people and as JSON for programs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.contestants import RULED, Contestant
from bench.limit import NO_HTTP
from bench.load import Mode
from bench.measure import GeneratorLimit, Result
from bench.picture import picture

NOISY = 0.1  # of a core: what strangers may take before we say so
_COLUMNS = (
    "requests_s", "readings_s", "p50_ms", "p99_ms", "max_ms",
    "cpu_server_s", "cpu_database_s", "cpu_broker_s", "cpu_generator_s", "cpu_others_s", "duration_s",
    "batch_posts",
)  # fmt: skip


class Report:
    """Everything that was measured, and what follows from it."""

    def __init__(
        self,
        machine: dict[str, Any],
        limit: GeneratorLimit,
        options: dict[str, Any],
        contestants: Sequence[Contestant],
    ) -> None:
        self._machine = machine
        self._limit = limit
        self._options = options
        self._contestants = contestants
        self.results: list[Result] = []

    def medians(self) -> list[dict[str, Any]]:
        """For each contestant and mode the median of each column; errors are added up."""
        rows: list[dict[str, Any]] = []
        for name in self._names():
            for mode in self._modes(name):
                rounds = self._of(name, mode)
                row: dict[str, Any] = {"contestant": name, "mode": mode}
                row |= {c: median(getattr(r, c) for r in rounds) for c in _COLUMNS}
                row["cpu_ms_per_request"] = median(_cpu_ms_per_request(r) for r in rounds)
                row["errors"] = sum(r.errors for r in rounds)
                rows.append(row)
        return rows

    def ratios(self) -> list[dict[str, Any]]:
        """How many times the requests per second of each peer, compared round by round."""
        peers = [c.name for c in self._contestants if not c.has_our_tables]
        return self._compared([(name, peer) for name in self._ours() for peer in peers])

    def shares(self) -> list[dict[str, Any]]:
        """The same of RuuviNet and its own database alone: what is left of that one's limit."""
        limits = {c.database: c.name for c in self._contestants if c.is_limit}
        ours = [c for c in self._contestants if c.is_ours and not c.ruled]
        return self._compared([(c.name, limits[c.database]) for c in ours if c.database in limits])

    def with_rules(self) -> list[dict[str, Any]]:
        """The same of each contestant with alert rules, its peer being the one without."""
        ruled = [c.name for c in self._contestants if c.ruled]
        return self._compared([(name, name.removesuffix(RULED)) for name in ruled])

    def _compared(self, pairs: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for name, peer in pairs:
            for mode in self._modes(name):
                theirs = mode if mode in self._modes(peer) else NO_HTTP
                rounds = zip(self._of(name, mode), self._of(peer, theirs), strict=True)
                both = [(a, b) for a, b in rounds if a.accepted and b.accepted]
                each = [a.requests_s / b.requests_s for a, b in both]
                cpu = [_cpu_ms_per_request(b) / _cpu_ms_per_request(a) for a, b in both]
                if each:
                    rows.append(
                        {
                            "contestant": name,
                            "peer": peer,
                            "mode": mode,
                            "ratio": median(each),
                            "lowest": min(each),
                            "highest": max(each),
                            "cpu_ratio": median(cpu),
                            "p99_ratio": median(a.p99_ms / b.p99_ms for a, b in both),
                            "judged": min(a.judged for a, _ in both),
                        }
                    )
        return rows

    def batch_of(self, database: str) -> int | None:
        """Posts that RuuviNet had in a transaction up to now, the median of its measurements."""
        names = [c.name for c in self._contestants if c.is_ours and c.database == database]
        known = [r.batch_posts for r in self.results if r.contestant in names and r.batch_posts]
        return round(median(known)) if known else None

    def text(self) -> str:
        titles = {c.name: c.title for c in self._contestants}
        machine, limit = self._machine, self._limit
        medians = self.medians()
        lines = [
            "",
            f"{machine['cores']} x {machine['cpu']}, {machine['file_system']}, "
            f"fsync {machine['fsync_ms']:.2f} ms, Python {machine['python']}, "
            f"PostgreSQL {machine['postgresql']}, SQLite {machine['sqlite']}",
            f"Medians of {self._options['rounds']} rounds of {self._options['seconds']} s. "
            "CPU in percent of one core; "
            "a request's is that of server and database together.",
            "",
            *_table(
                ("contestant", "connection", "req/s", "readings/s", "p50 ms", "p99 ms", "errors", "batch",
                 "CPU ms/req", "server", "database", "generator", "others"),
                [
                    (
                        titles[row["contestant"]],
                        row["mode"],
                        f"{row['requests_s']:,.0f}",
                        f"{row['readings_s']:,.0f}",
                        f"{row['p50_ms']:.1f}",
                        f"{row['p99_ms']:.1f}",
                        str(row["errors"]),
                        f"{row['batch_posts']:.0f}" if row["batch_posts"] else "-",
                        f"{row['cpu_ms_per_request']:.2f}",
                        *(
                            f"{row[f'cpu_{part}_s'] / row['duration_s']:.0%}"
                            for part in ("server", "database", "generator", "others")
                        ),
                    )
                    for row in medians
                ],
            ),
            "",
            *_table(
                ("times the requests/s, of CPU a request, of", "connection", *(titles[n] for n in self._ours())),
                self._ratio_rows(titles),
            ),
            "",
            *(
                f"{titles[row['contestant']]}, {row['mode']}: {row['ratio']:.0%} "
                f"({row['lowest']:.0%}-{row['highest']:.0%}) of what {titles[row['peer']]} takes, "
                f"for {1 / row['cpu_ratio']:.1f} times the CPU."
                for row in self.shares()
            ),
            *(
                f"{titles[row['contestant']]}, {row['mode']}: {row['ratio']:.2f} "
                f"({row['lowest']:.2f}-{row['highest']:.2f}) of the req/s without rules, "
                f"{row['p99_ratio']:.2f} times the p99; {row['judged']} sensors were judged."
                for row in self.with_rules()
            ),
            f"The generator against a server that does nothing: {limit.requests_s:,.0f} req/s, "
            f"{limit.cpu_us_per_request:.0f} us of CPU a request. The fastest contestant got "
            f"{max((r.requests_s for r in self.results if r.mode != NO_HTTP), default=0):,.0f} "
            "req/s out of it.",
        ]  # fmt: skip
        noisy = [r for r in self.results if r.cpu_others_s / r.duration_s > NOISY]
        if noisy:
            lines.append(
                f"NOISY: in {len(noisy)} of {len(self.results)} measurements other programs took "
                f"more than {NOISY:.0%} of a core."
            )
        return "\n".join(lines) + "\n"

    def content(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "machine": self._machine,
            "options": self._options,
            "contestants": [
                {
                    "name": c.name,
                    "title": c.title,
                    "database": c.database,
                    "is_ours": c.is_ours,
                    "is_limit": c.is_limit,
                }
                for c in self._contestants
            ],
            "generator": asdict(self._limit),
            "medians": self.medians(),
            "ratios": self.ratios(),
            "shares": self.shares(),
            "with_rules": self.with_rules(),
            "results": [asdict(result) for result in self.results],
        }

    def write(self, folder: Path) -> list[Path]:
        """As JSON, also under a name that stays, and the bars; returns where."""
        folder.mkdir(parents=True, exist_ok=True)
        content = self.content()
        text = json.dumps(content, indent=2) + "\n"
        files = {
            "latest.json": text,
            f"{datetime.now():%Y-%m-%d-%H%M%S}.json": text,  # noqa: DTZ005  # for people
            "latest.svg": picture([content]),
        }
        for name, written in files.items():
            (folder / name).write_text(written)
        return [folder / name for name in files]

    def _ratio_rows(self, titles: dict[str, str]) -> list[tuple[str, ...]]:
        cells = {(r["contestant"], r["peer"], r["mode"]): r for r in self.ratios()}
        peers = list(dict.fromkeys(peer for _, peer, _ in cells))
        return [
            (titles[peer], mode, *(_ratio(cells.get((name, peer, mode))) for name in self._ours()))
            for peer in peers
            for mode in map(str, Mode)
        ]

    def _ours(self) -> list[str]:
        return [c.name for c in self._contestants if c.is_ours and not c.ruled]

    def _names(self) -> list[str]:
        return [contestant.name for contestant in self._contestants]

    def _modes(self, name: str) -> list[str]:
        return list(dict.fromkeys(r.mode for r in self.results if r.contestant == name))

    def _of(self, name: str, mode: str) -> list[Result]:
        found = [r for r in self.results if r.contestant == name and r.mode == mode]
        return sorted(found, key=lambda r: r.round)


def _cpu_ms_per_request(result: Result) -> float:
    """Of server and database; less disturbed by what else runs on the machine than the speed."""
    return (result.cpu_server_s + result.cpu_database_s) / max(1, result.accepted) * 1000


def _ratio(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    spread = f"({row['lowest']:.1f}-{row['highest']:.1f})"
    return f"{row['ratio']:.1f} {spread}, CPU {row['cpu_ratio']:.1f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    table = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
