"""Pages of history: tuned SQL, a tuple for each row."""

from operator import itemgetter
from typing import NamedTuple

from django.db import connection

from sensors.models import DENSE_INTERVAL_S, SPARSE_INTERVAL_S, Sensor
from subscriptions.limits import Limits

DAY_S = 86400
LAST = 2**31 - 1  # the latest time that the columns hold
MODES = ("dense", "sparse", "mixed")
BLOCK = 96  # how many thinned rows, at most, lie between two fixed points of thinning


class Row(NamedTuple):
    """A stored reception; `measured_at` in Unix seconds (UTC)."""

    measured_at: int
    gateway: int
    rssi_dbm: int
    payload: bytes


class Page(NamedTuple):
    """What is asked for: both bounds are Unix seconds and count as inside."""

    mode: str
    since: int
    until: int
    limit: int
    ascending: bool


# A slot starts less than its interval before the reading in it: so the key finds the page.
_SOURCE = """
    SELECT * FROM (
        SELECT measured_at, gateway, rssi_dbm, payload FROM {table} m
        WHERE sensor = %(sensor)s AND slot > %(since)s - {interval_s} AND slot <= %(until)s
          AND measured_at >= %(since)s AND measured_at <= %(until)s {only}
        ORDER BY slot {order} LIMIT %(limit)s
    ) {alias}
"""
# Dense history is dropped earlier: where it begins, sparse history ends. The first condition is
# for the key, the second tells apart what lies in the same slot.
_MIXED = """
    WITH begins AS (
        SELECT measured_at FROM sensors_measurement WHERE sensor = %(sensor)s ORDER BY slot LIMIT 1
    ) {dense} UNION ALL {sparse}
"""
_BEFORE_DENSE = """
    AND slot < COALESCE((SELECT measured_at FROM begins), {last})
    AND measured_at < COALESCE((SELECT measured_at FROM begins), {last})
"""


def history(sensor: Sensor, page: Page, *, limits: Limits, now: int) -> list[Row]:
    """A page of what `sensor` measured for its owner, as far as `limits`, the owner's, allow.

    One query. `mixed` is dense history, and sparse before dense begins. Limit and order hold for
    the result. A plan thins by choosing the same rows whatever the page: see `thinned`.
    """
    first = max(sensor.handed_over_at + 1, now - limits.max_history_days * DAY_S)
    page = page._replace(since=max(page.since, first), until=min(page.until, LAST))
    if limits.max_history_days <= 0 or page.since > page.until:
        return []
    interval_s = limits.max_resolution_minutes * 60
    if page.mode == "mixed" and interval_s >= 2 * SPARSE_INTERVAL_S:
        page = page._replace(mode="sparse")  # has every row that could remain
    stored_every_s = SPARSE_INTERVAL_S if page.mode == "sparse" else DENSE_INTERVAL_S
    if interval_s <= stored_every_s:
        return read(sensor, page)
    return _read_thinned(sensor, page, interval_s, stored_every_s)


def read(sensor: Sensor, page: Page) -> list[Row]:
    """A page of all that is stored of `sensor`, whoever it was measured for. One query."""
    order = "ASC" if page.ascending else "DESC"
    dense = _SOURCE.format(
        table="sensors_measurement", interval_s=DENSE_INTERVAL_S, only="", order=order, alias="d"
    )
    sparse = _SOURCE.format(
        table="sensors_sparsemeasurement",
        interval_s=SPARSE_INTERVAL_S,
        only=_BEFORE_DENSE.format(last=LAST) if page.mode == "mixed" else "",
        order=order,
        alias="s",
    )
    mixed = _MIXED.format(dense=dense, sparse=sparse)
    sql = {"dense": dense, "sparse": sparse, "mixed": mixed}[page.mode]
    values = {**page._asdict(), "sensor": int(sensor.mac)}
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows: list[Row] = cursor.fetchall()
    # Two runs in order at most, which Python merges in less time than the database.
    rows.sort(key=itemgetter(0), reverse=not page.ascending)
    return rows[: page.limit]


def _read_thinned(sensor: Sensor, page: Page, interval_s: int, stored_every_s: int) -> list[Row]:
    block_s = BLOCK * interval_s
    per_row = interval_s // stored_every_s + 1
    wanted = page.since, page.limit
    page = page._replace(
        since=page.since - page.since % block_s, limit=(page.limit + BLOCK + 1) * per_row
    )
    rows = read(sensor, page)
    if not page.ascending:
        rows.reverse()
        if len(rows) == page.limit:  # the oldest block was cut: what to keep of it is unknown
            known_from = (rows[0][0] // block_s + 1) * block_s
            rows = [row for row in rows if row[0] >= known_from]
    since, limit = wanted
    kept = [row for row in thinned(rows, interval_s) if row[0] >= since]
    return kept[:limit] if page.ascending else kept[::-1][:limit]


def thinned(rows: list[Row], interval_s: int) -> list[Row]:
    """Of `rows`, in order of time from the start of a block, the first in each `interval_s`.

    Neighbours are at least `interval_s` apart. A block is BLOCK intervals of Unix time. What comes
    in its last interval is left out, so that the first row of the next block always stays: what
    remains of a history does not depend on where a page of it began.
    """
    block_s = BLOCK * interval_s
    kept, free_from = [], 0
    for row in rows:
        at = row[0]
        if at >= free_from and at % block_s <= block_s - interval_s:
            kept.append(row)
            free_from = at + interval_s
    return kept
