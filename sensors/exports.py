"""A sensor's decoded history as text: CSV or JSON lines, in parts of constant size."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any, NamedTuple

import msgspec

from ruuvinet.lib.mac import Mac
from sensors.history import LAST, Page, Row, read
from sensors.models import Sensor

# Rows in a part. Each is a query of its own: no transaction stays open for a client that is slow.
PART = 5000


class Part(NamedTuple):
    """Rows as text; `until` is the time of the last one, in Unix seconds."""

    text: bytes
    rows: int
    until: int


def export(
    sensor: Sensor, kind: str, *, since: int = 0, until: int = LAST, calibrated: bool = False
) -> Iterator[Part]:
    """What `sensor` measured for its present owner, oldest first, as `kind`: see KINDS.

    Bounds are Unix seconds (UTC) and count as inside. Dense history, and sparse before that begins,
    as `/get` has it. Values are as the sensor sent them; `calibrated` applies the owner's offsets.
    docs/history.md has the columns.
    """
    # NumPy comes with the first export: web server and workers start without.
    from sensors.decoders.frames import FIELDS

    write = KINDS[kind].write
    since, until = max(since, sensor.handed_over_at + 1), min(until, LAST)
    yield Part(KINDS[kind].head(["mac", "measured_at", "gateway", "rssi_dbm", *FIELDS]), 0, since)
    while since <= until:
        rows = read(sensor, Page("mixed", since, until, limit=PART, ascending=True))
        if not rows:
            return
        since = rows[-1][0] + 1
        yield Part(write(_columns(sensor, rows, calibrated)), len(rows), since - 1)


def _columns(sensor: Sensor, rows: list[Row], calibrated: bool) -> dict[str, Sequence[Any]]:
    """Values by name of column; a quantity is None where the sensor does not know it."""
    from sensors.decoders import frames

    times, gateways, rssi_dbm, payloads = zip(*rows, strict=True)
    decoded = frames.decode(payloads)
    values = {name: frames.values(decoded, name) for name in frames.FIELDS if name in decoded}
    for name, offset in sensor.offsets.items() if calibrated else ():
        if offset and name in values:
            values[name] = [None if v is None else round(v + offset, 4) for v in values[name]]
    return {
        "mac": [str(sensor.mac)] * len(rows),
        "measured_at": frames.iso_times(times),
        "gateway": [str(Mac(gateway)) for gateway in gateways],
        "rssi_dbm": rssi_dbm,
        **values,
    }


class Kind(NamedTuple):
    """How rows are written, and what stands before the first."""

    content_type: str
    head: Callable[[Sequence[str]], bytes]
    write: Callable[[Mapping[str, Sequence[Any]]], bytes]


def _csv_head(names: Sequence[str]) -> bytes:
    """The same columns for each sensor, so that files can be joined."""
    return (",".join(names) + "\r\n").encode()


def _csv(columns: Mapping[str, Sequence[Any]]) -> bytes:
    from sensors.decoders.frames import FIELDS, FLAGS

    nothing = [None] * len(columns["mac"])
    words = {True: "true", False: "false"}
    shown = [columns[name] for name in columns if name not in FIELDS]
    for name in FIELDS:
        values = columns.get(name, nothing)
        shown.append([words.get(v) for v in values] if name in FLAGS else values)
    text = StringIO()
    csv.writer(text).writerows(zip(*shown, strict=True))
    return text.getvalue().encode()


def _json_lines(columns: Mapping[str, Sequence[Any]]) -> bytes:
    rows = zip(*columns.values(), strict=True)
    items = [{n: v for n, v in zip(columns, row, strict=True) if v is not None} for row in rows]
    return msgspec.json.Encoder().encode_lines(items)


KINDS = {
    "csv": Kind("text/csv; charset=utf-8", _csv_head, _csv),
    "jsonl": Kind("application/jsonl", lambda names: b"", _json_lines),
}
