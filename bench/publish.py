"""`python -m bench.publish RUN.json ...`: put runs of `make bench` into the documentation.

Writes the tables between `<!-- ingest -->` and `<!-- /ingest -->` in docs/performance.md, and the
bars beside them. Each number is the median of the runs' medians, with the lowest and highest.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.limit import NO_HTTP
from bench.picture import picture, summary

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- ingest -->\n", "<!-- /ingest -->"
MODES = ("keep-alive", "close")
# Who, beside whom, the number, what it says, and the bar.
COMPARED = (
    ("ruuvinet", "drf", "ratio", "PostgreSQL: posts a second, times those of the first", "8 or more"),
    ("ruuvinet", "fastapi", "ratio", "PostgreSQL: times those of the second", "2.2 or more"),
    ("ruuvinet", "drf", "p99_ratio", "PostgreSQL: p99, of the first's", "0.33 or less"),
    ("ruuvinet-sqlite", "drf-sqlite", "ratio", "SQLite: times those of the first on SQLite", "9 or more"),
    ("ruuvinet", "limit", "ratio", "PostgreSQL: share of the database's own limit", ""),
    ("ruuvinet-sqlite", "limit-sqlite", "ratio", "SQLite: share of the database's own limit", ""),
)  # fmt: skip
Run = Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN.json")
    parser.add_argument("--docs", type=Path, default=DOCS)
    options = parser.parse_args(arguments)
    runs = [json.loads(path.read_text()) for path in options.runs]
    page = options.docs / "performance.md"
    before, found, rest = page.read_text().partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        sys.exit(f"{page} has no place for the tables")
    page.write_text(before + BEGIN + tables(runs) + END + after)
    (options.docs / "pictures" / "ingest.svg").write_text(picture(runs))


def tables(runs: Sequence[Run]) -> str:
    """Markdown: how much was measured, what each contestant did, then what follows."""
    return "\n".join([summary(runs), "", *_absolute(runs), "", *_relative(runs), ""])


def _absolute(runs: Sequence[Run]) -> Iterator[str]:
    yield "| Posts a second | Kept alive | New connection each | p99, ms | CPU a post, ms | Posts a commit |"
    yield "|---|---|---|---|---|---|"
    for contestant in runs[0]["contestants"]:
        name = contestant["name"]
        modes = (NO_HTTP,) if contestant["is_limit"] else MODES
        rows = [_of(runs, "medians", contestant=name, mode=mode) for mode in modes]
        posts = [_spread((r["requests_s"] for r in row), "{:,.0f}") for row in rows]
        if contestant["is_limit"]:
            posts = [f"{posts[0]}, no HTTP", ""]
        yield _line(
            contestant["title"],
            *posts,
            _medians(rows, "p99_ms", "{:,.0f}"),
            _medians(rows, "cpu_ms_per_request", "{:.2f}"),
            _medians(rows[:1], "batch_posts", "{:.0f}") if rows[0][0]["batch_posts"] else "1",
        )


def _relative(runs: Sequence[Run]) -> Iterator[str]:
    yield "| | Kept alive | New connection each | Bar |"
    yield "|---|---|---|---|"
    for name, peer, number, title, bar in COMPARED:
        rows = [
            _of(runs, "shares", contestant=name, peer=peer, mode=mode)
            or _of(runs, "ratios", contestant=name, peer=peer, mode=mode)
            for mode in MODES
        ]
        if all(rows):
            yield _line(title, *(_spread((r[number] for r in row), "{:.2f}") for row in rows), bar)


def _of(runs: Sequence[Run], part: str, **wanted: str) -> list[Run]:
    """The rows with these values, one of each run that has it."""
    return [row for run in runs for row in run[part] if wanted.items() <= row.items()]


def _medians(rows: Iterable[Sequence[Run]], column: str, form: str) -> str:
    return ", ".join(form.format(median(run[column] for run in row)) for row in rows)


def _spread(values: Iterable[float], form: str) -> str:
    """The median, and in brackets the lowest and the highest where there are several."""
    found = sorted(values)
    spell: Callable[[float], str] = form.format
    if len(found) == 1:
        return spell(found[0])
    return f"{spell(median(found))} ({spell(found[0])} to {spell(found[-1])})"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
