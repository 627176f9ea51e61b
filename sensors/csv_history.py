"""Readings in CSV files: ours, and those that the Ruuvi Station apps export.

Our columns have our names. The apps write a column's name in the language of the phone, followed by
its unit: so it is the unit that tells what a column is, and a few words where there is none.
docs/history.md has the tables.

For management commands only: loads NumPy.
"""

import csv
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, tzinfo
from functools import lru_cache, partial
from math import nan
from typing import Any, NamedTuple

import numpy as np

from ruuvinet.lib.mac import Mac
from sensors.decoders import frames
from sensors.decoders.frames import Columns, Numbers
from sensors.past import NO_GATEWAY, NO_RSSI_DBM, Fault, Readings


class Quantity(NamedTuple):
    """What a column is: a field of `Reading` or `rssi_dbm`, which is its value * factor + shift."""

    name: str
    factor: float = 1
    shift: float = 0


class Header(NamedTuple):
    """Where in a line what stands. `left_out` are the names of columns that are not understood."""

    delimiter: str
    width: int
    time: int
    mac: int | None
    gateway: int | None
    quantities: dict[int, Quantity]
    left_out: list[str]


# --- The first line -----------------------------------------------------------------------------
_OURS = {"rssi_dbm", *frames.FIELDS}
_NAME = re.compile(r"(?P<label>[^(]*)(\((?P<unit>.*)\))?\s*")
_UNITS = {
    "°c": Quantity("temperature_c"),
    "°f": Quantity("temperature_c", 5 / 9, -160 / 9),
    "k": Quantity("temperature_c", 1, -273.15),
    "%": Quantity("humidity_pct"),
    "pa": Quantity("pressure_pa"),
    "hpa": Quantity("pressure_pa", 100),
    "mmhg": Quantity("pressure_pa", 133.322387),
    "inhg": Quantity("pressure_pa", 3386.389),
    "v": Quantity("battery_mv", 1000),
    "mv": Quantity("battery_mv"),
    "ppm": Quantity("co2_ppm"),
    "lx": Quantity("luminosity_lx"),
    "lux": Quantity("luminosity_lx"),
}
_PM = re.compile(r"(?<!\d)(1[.,]0|2[.,]5|4[.,]0|10)")
# English, Finnish, Swedish, German and French: the languages of the apps.
_WORDS = {
    "movement_counter": r"movement|liike|rörelse|bewegung|mouvement",
    "sequence": r"sequence|sekvens|järjestys|sequenz|séquence",
    "voc_index": r"\bvoc\b",
    "nox_index": r"\bnox\b",
}
_TX_POWER = re.compile(r"\btx\b|power|teho|effekt|leistung|puissance")
_SOUNDS = (
    ("sound_peak_db_spl", re.compile(r"peak|huippu|topp|spitze|crête")),
    ("sound_instant_dba", re.compile(r"inst|hetk|ögonblick|moment")),
    ("sound_average_dba", re.compile(r"")),
)


def read_header(line: str) -> Header:
    """What the first line of a file says. Raises ValueError for one that names no quantity."""
    delimiter = max(",;\t", key=line.count)
    names = [name.strip() for name in next(csv.reader([line.strip()], delimiter=delimiter), [])]
    if "measured_at" in names:
        time = names.index("measured_at")
        known = {name: Quantity(name) for name in names if name in _OURS}
    else:
        # The apps' first column is the time of the phone's zone; a later one may have its zone.
        isos = (place for place, name in enumerate(names) if "iso8601" in name.lower())
        time = next(isos, 0)
        known = {name: quantity for name in names[1:] if (quantity := app_quantity(name))}
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if name in known:
            places.setdefault(known[name].name, place)  # of two in the same unit the first counts
    if not places.keys() & frames.KEPT:
        raise ValueError("the first line names no quantity that is known")
    quantities = {place: known[names[place]] for place in places.values()}
    others = {time, 0, *quantities} if "measured_at" not in names else {time, *quantities}
    return Header(
        delimiter=delimiter,
        width=len(names),
        time=time,
        mac=names.index("mac") if "mac" in names else None,
        gateway=names.index("gateway") if "gateway" in names else None,
        quantities=quantities,
        left_out=[
            name
            for place, name in enumerate(names)
            if place not in others and name not in ("mac", "gateway")
        ],
    )


def app_quantity(name: str) -> Quantity | None:
    """What a column of the apps is, such as `Luftdruck (hPa)`; None for what is not kept."""
    match = _NAME.fullmatch(name.lower())
    if match is None:
        return None
    label, unit = match["label"], (match["unit"] or "").replace(" ", "")
    for field, words in _WORDS.items():
        if re.search(words, label):
            return Quantity(field)
    if unit in ("g", "mg") and label.strip()[-1:] in ("x", "y", "z"):
        return Quantity(f"acceleration_{label.strip()[-1]}_mg", 1000 if unit == "g" else 1)
    if unit == "dbm" or label.strip() == "rssi":
        return Quantity("tx_power_dbm" if _TX_POWER.search(label) else "rssi_dbm")
    if unit.startswith("db"):
        return Quantity(next(field for field, words in _SOUNDS if words.search(label)))
    if unit.endswith(("g/m³", "g/m3")) and unit[0] in "µμu":
        size = _PM.search(label)
        return Quantity(f"pm{_size(size[1])}_ug_m3") if size else None
    return _UNITS.get(unit)


def _size(text: str) -> str:
    return "10_0" if text == "10" else text.replace(".", "_").replace(",", "_")


# --- The other lines ----------------------------------------------------------------------------
def read_lines(
    lines: Sequence[tuple[int, bytes]], header: Header, *, sensor: Mac | None, zone: tzinfo
) -> tuple[Readings, list[Fault]]:
    """What the lines say, each with its number; and what is wrong with the others.

    `sensor` is whose they are where a line does not say. Times without a zone are of `zone`.
    """
    table = _Table([text for _, text in lines], header)
    macs = table.column(header.mac, lru_cache(1000)(Mac.parse), default=sensor)
    gateways = table.column(header.gateway, lru_cache(1000)(Mac.parse), default=Mac(NO_GATEWAY))
    times = table.column(header.time, partial(time_of, zone=zone), default=None)
    columns = {q.name: table.numbers(place, q) for place, q in header.quantities.items()}
    rssi_dbm = columns.pop("rssi_dbm", np.full(len(lines), np.nan))
    table.check(columns)
    good = [row for row in range(len(lines)) if row not in table.faults]
    columns = {name: values[good] for name, values in columns.items()}
    # What is far out stays out of range, and fits an integer.
    signals = np.clip(np.nan_to_num(np.rint(rssi_dbm[good]), nan=NO_RSSI_DBM), -999, 999)
    sensors = [macs[row] for row in good]
    readings = Readings(
        lines=[lines[row][0] for row in good],
        sensors=sensors,
        times=[times[row] for row in good],
        gateways=[gateways[row] for row in good],
        rssi_dbm=signals.astype(np.int64).tolist(),
        payloads=frames.encode(columns, sensors),
    )
    return readings, [Fault(lines[row][0], text) for row, text in sorted(table.faults.items())]


def time_of(text: str, *, zone: tzinfo) -> int:
    """Unix seconds from digits or an ISO 8601 time; `zone` is that of a time without one.

    Raises ValueError.
    """
    if text.isdigit():
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"not a time: {text[:40]!r}") from error
    return int((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp())


_WORTH = {**dict.fromkeys(("", "-", "n/a", "null", "none"), nan), "true": 1.0, "false": 0.0}


def _plain_cells(lines: Sequence[bytes], header: Header) -> list[list[str]] | None:
    """The cells of lines as programs write them, in a tenth of the time that `csv` takes.

    None where there are quotes, bytes that are no text, or lines of another width.
    """
    try:
        text = b"".join(lines).decode()
    except UnicodeDecodeError:
        return None
    rows = [line.split(header.delimiter) for line in text.splitlines()]
    plain = '"' not in text and len(rows) == len(lines)
    return rows if plain and {*map(len, rows)} <= {header.width} else None


class _Table:
    """The cells of some lines; `faults` holds the first of each line, by its place."""

    def __init__(self, lines: Sequence[bytes], header: Header) -> None:
        self.faults: dict[int, str] = {}
        rows = _plain_cells(lines, header) or [
            self._cells(row, line, header) for row, line in enumerate(lines)
        ]
        self._columns = list(zip(*rows, strict=True)) or [()] * header.width

    def _cells(self, row: int, line: bytes, header: Header) -> list[str]:
        try:
            text = line.decode().rstrip("\r\n")
            cells = next(csv.reader([text], delimiter=header.delimiter, strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            self._note(row, str(error))
            return [""] * header.width
        if len(cells) < header.width:
            self._note(row, f"{len(cells)} fields instead of {header.width}")
            return [""] * header.width
        return cells[: header.width]

    def _note(self, row: int, fault: str) -> None:
        self.faults.setdefault(row, fault)

    def column(self, place: int | None, read: Callable[[str], Any], *, default: Any) -> list[Any]:
        """Values of a column; `default` for cells that are empty or bad, if there is one."""
        if place is None:
            return [default] * len(self._columns[0])
        texts = self._columns[place]
        if default is None or all(texts):
            with suppress(ValueError):
                return [read(text) for text in texts]
        return [self._read(row, text, read, default) for row, text in enumerate(texts)]

    def _read(self, row: int, text: str, read: Callable[[str], Any], default: Any) -> Any:
        if text.strip() or default is None:
            try:
                return read(text.strip())
            except ValueError as error:
                self._note(row, str(error))
        return default

    def numbers(self, place: int, quantity: Quantity) -> Numbers:
        """A column as a quantity; NaN for cells that are empty or bad."""
        texts = self._columns[place]
        try:
            values = np.array([text or "nan" for text in texts], np.float64)
        except ValueError:
            values = np.array([self._number(row, text, quantity) for row, text in enumerate(texts)])
        return values * quantity.factor + quantity.shift

    def _number(self, row: int, text: str, quantity: Quantity) -> float:
        word = text.strip().lower()
        if word in _WORTH:
            return _WORTH[word]
        try:
            return float(word.replace(",", "."))
        except ValueError:
            self._note(row, f"{quantity.name} is no number: {text[:40]!r}")
            return nan

    def check(self, columns: Columns) -> None:
        """Note lines with values that no sensor sends, and those without any."""
        for name, bad in frames.misfits(columns).items():
            for row in np.flatnonzero(bad).tolist():
                self._note(row, f"{name} cannot be {columns[name][row]:g}")
        known = [~np.isnan(columns[name]) for name in frames.KEPT if name in columns]
        for row in np.flatnonzero(~np.any(known, axis=0)).tolist() if known else ():
            self._note(row, "nothing is known")
