"""What a chart of a sensor's history shows: few points, and no extreme lost between them."""

from math import ceil

import msgspec

from sensors.history import LAST, Page, Row, read
from sensors.models import Sensor

# Three months of dense history take 0.17 s; a year would take 0.8 s and 350 MB, and sparse 0.04 s.
DENSE_SPAN_S = 92 * 86400
# Nothing for so long is shown as a gap. Sparse rows may be half an hour apart; gateways may be told
# to post once an hour.
GAP_S = 2 * 3600
# What of a reading is no quantity that changes over time.
_NOT_DRAWN = frozenset({"data_format", "sequence"})


class Line(msgspec.Struct, frozen=True):
    """A quantity at the times of a `Series`; None where there is none, and in a gap."""

    minimum: list[float | None]
    mean: list[float | None]
    maximum: list[float | None]


class Series(msgspec.Struct, frozen=True):
    """What a sensor measured, as columns for a chart; `msgspec.json` writes it as an object.

    `times` are Unix seconds (UTC), ascending: those of the readings with `bucket_s` 0, otherwise
    the starts of those buckets of so many seconds that hold any. `lines` are by the names of
    `sensors.decoders.Reading`, which have the units, with the owner's offsets applied.
    """

    bucket_s: int
    times: list[int]
    lines: dict[str, Line]


def series(sensor: Sensor, *, since: int, until: int, buckets: int) -> Series:
    """Charts of all that `sensor` measured for its present owner, from `since` to `until`.

    Bounds are Unix seconds (UTC) and count as inside. Readings stand for themselves if there are at
    most `buckets` of them; otherwise at most `buckets` + 1 buckets, aligned to Unix time, each say
    the minimum, mean and maximum of what was read in them. A gap adds a time without values.

    One query. Up to DENSE_SPAN_S it reads dense history, and sparse before that begins, as `/get`
    does; for longer spans sparse history alone, which is 35,000 rows a year: extremes are then those
    of one reading in a quarter of an hour. `sensor` may be unsaved, for one that is only heard.
    """
    since, until = max(since, sensor.handed_over_at + 1), min(until, LAST)
    rows = _rows(sensor, since, until)
    if not rows:
        return Series(0, [], {})
    # NumPy comes with the first chart: web server and workers start, and mostly stay, without.
    from sensors.buckets import condense

    bucket_s = 0 if len(rows) <= buckets else ceil((until - since + 1) / buckets)
    times, summaries = condense(
        [row[0] for row in rows], [row[3] for row in rows], bucket_s=bucket_s, gap_s=GAP_S
    )
    lines = {
        name: Line(*(_points(values, sensor.offsets.get(name, 0)) for values in summary))
        for name, summary in summaries.items()
        if name not in _NOT_DRAWN
    }
    return Series(bucket_s, times, lines)


def _rows(sensor: Sensor, since: int, until: int) -> list[Row]:
    if since > until:
        return []
    mode = "mixed" if until - since <= DENSE_SPAN_S else "sparse"
    return read(sensor, Page(mode, since, until, limit=LAST, ascending=True))


def _points(values: list[float], offset: float) -> list[float | None]:
    """NaN is None; four decimals, which no sensor exceeds, are left of sums and means."""
    return [None if value != value else round(value + offset, 4) for value in values]
