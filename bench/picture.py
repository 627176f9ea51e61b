"""Bars of posts a second, as SVG: what `bench.report` wrote, for eyes.

Plain text, no package. Readable on light and dark: the colours follow what the reader prefers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from statistics import median
from typing import Any

WIDTH, LEFT, RIGHT = 760, 250, 150  # RIGHT is for what stands behind the longest bar
BAR, GAP, HEAD = 11, 14, 34
DATABASES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
_STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1f2937 }
    .page { fill: #ffffff } .small { font-size: 11px; fill: #5b6472 } .title { font-weight: 600 }
    .ours { fill: #1f9d8b } .peer { fill: #8a94a6 } .limit { fill: #c98a1b } .close { opacity: .55 }
    @media (prefers-color-scheme: dark) {
        text { fill: #e5e7eb } .page { fill: #14181f } .small { fill: #a3adbd }
        .ours { fill: #35c4ae } .peer { fill: #7d889b } .limit { fill: #e0a73c }
    }
"""


def picture(runs: Sequence[Mapping[str, Any]]) -> str:
    """What runs found (medians over them), as SVG. Takes the content of `latest.json` files."""
    contestants = runs[0]["contestants"]
    rates = {c["name"]: _rates(runs, c["name"]) for c in contestants}
    scale = (WIDTH - LEFT - RIGHT) / max(max(found.values()) for found in rates.values())
    parts: list[str] = []
    y = 52
    for database, title in DATABASES.items():
        of_it = [c for c in contestants if c["database"] == database]
        if not of_it:
            continue
        y += HEAD
        parts.append(_text(16, y - 12, f"with {title}", "title"))
        for contestant in of_it:
            found = rates[contestant["name"]]
            parts += _bars(contestant, found, y, scale)
            y += len(found) * BAR + GAP
    machine = runs[0]["machine"]
    legend = "upper bar: connections kept alive; lower: a new one for each post"
    where = f"{machine['cores']} cores shared with the load generator; durability on"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 30}" role="img">',
            "<title>Posts of 24 readings a second</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{y + 30}" rx="8"/>',
            _text(16, 28, "Posts a second, 24 readings each", "title"),
            _text(16, 46, f"{legend}. {where}.", "small"),
            *parts,
            _text(16, y + 14, summary(runs), "small"),
            "</svg>\n",
        )
    )


def _rates(runs: Iterable[Mapping[str, Any]], name: str) -> dict[str, float]:
    """Requests a second by mode."""
    found: dict[str, list[float]] = {}
    for row in (row for run in runs for row in run["medians"] if row["contestant"] == name):
        found.setdefault(row["mode"], []).append(row["requests_s"])
    return {mode: median(values) for mode, values in found.items()}


def _bars(
    contestant: Mapping[str, Any], found: Mapping[str, float], y: float, scale: float
) -> Iterator[str]:
    kind = next((k for k in ("ours", "limit") if contestant[f"is_{k}"]), "peer")
    middle = y + len(found) * BAR / 2 + 4
    yield _text(LEFT - 10, middle, contestant["title"], 'small" text-anchor="end')
    for place, (mode, rate) in enumerate(found.items()):
        yield (
            f'<rect class="{kind} {mode.replace(" ", "-")}" x="{LEFT}" y="{y + place * BAR:.1f}" '
            f'width="{rate * scale:.1f}" height="{BAR - 2}" rx="2"/>'
        )
    numbers = " / ".join(f"{rate:,.0f}" for rate in found.values())
    yield _text(LEFT + max(found.values()) * scale + 8, middle, numbers, "number")


def summary(runs: Sequence[Mapping[str, Any]]) -> str:
    """How much was measured."""
    options = runs[0]["options"]
    counts = (len(runs), "run"), (options["rounds"], "round")
    run, rounds = (f"{count} {what}{'s' * (count > 1)}" for count, what in counts)
    return f"Medians of {run} of {rounds} of {options['seconds']} s."


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
