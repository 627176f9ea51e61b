"""Many advertisements at once, with NumPy: for charts, exports and imports.

Advertisements of formats 5, 6 and E1 as the sensors send them are read column by column; all others
by the decoders of one, with the same result.

NumPy takes 20 MB, and most processes never draw a chart: so this module is imported by the
functions that need it, not where web server and workers start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from sensors.decoders import df6
from sensors.decoders.advertisement import decode_advertisement
from sensors.decoders.reading import Reading

Numbers = NDArray[np.float64]
Codes = NDArray[Any]
Columns = dict[str, Numbers]

_KINDS = {name: (get_args(kind) or (kind,))[0] for name, kind in get_type_hints(Reading).items()}
# Every field of a reading that is a number or a flag, in the order of `Reading`, and its type.
FIELDS: dict[str, type[float]] = {name: kind for name, kind in _KINDS.items() if kind is not str}
FLAGS = frozenset(name for name, kind in FIELDS.items() if kind is bool)


def decode(advertisements: Sequence[bytes]) -> Columns:
    """What `decode_advertisement` says of each, as columns by the names of `Reading`'s fields.

    NaN stands for None, 1 and 0 for flags; of an unknown format all is NaN. Left out are columns
    without any value, and fields that are text (`mac`, `mac_suffix`, `tag_id`).
    """
    count = len(advertisements)
    lengths = np.fromiter(map(len, advertisements), np.intp, count)
    # Cut or filled to one width, which makes a table of bytes.
    table = np.array(advertisements, f"S{_WIDTH}").view(np.uint8).reshape(count, _WIDTH)
    columns: Columns = {}
    unread = np.ones(count, bool)
    for layout in _LAYOUTS:
        start = len(layout.head) - 1
        rows = np.flatnonzero(
            (table[:, : start + 1] == np.frombuffer(layout.head, np.uint8)).all(axis=1)
            & (lengths >= start + layout.fields.itemsize)
        )
        if not rows.size:
            continue
        unread[rows] = False
        _column(columns, "data_format", count)[rows] = layout.head[-1]
        payloads = np.ascontiguousarray(table[rows, start : start + layout.fields.itemsize])
        for name, values in layout.decode(payloads.view(layout.fields)[:, 0]):
            _column(columns, name, count)[rows] = values
    for row in np.flatnonzero(unread).tolist():
        reading = decode_advertisement(advertisements[row])
        for name in FIELDS if reading else ():
            if (value := getattr(reading, name)) is not None:
                _column(columns, name, count)[row] = value
    return {name: columns[name] for name in FIELDS if name in columns and _some(columns[name])}


def values(columns: Columns, name: str) -> list[float | None]:
    """A column with the types of `Reading`, None where there is no value."""
    kind = FIELDS[name]
    return [None if value != value else kind(value) for value in columns[name].tolist()]


def iso_times(times: Sequence[int]) -> list[str]:
    """Unix seconds as `2026-04-01T18:51:15Z`."""
    texts: list[str] = np.datetime_as_string(
        np.array(times, "datetime64[s]"), timezone="UTC"
    ).tolist()
    return texts


def _column(columns: Columns, name: str, count: int) -> Numbers:
    if name not in columns:
        columns[name] = np.full(count, np.nan)
    return columns[name]


def _some(values: Numbers) -> bool:
    return not np.isnan(values).all()


# --- The codings of sensors.decoders.codes, by column -----------------------------------------
def _available(code: Codes, *, absent: int, base: int = 0, divisor: int = 1) -> Numbers:
    # One division, as there, so that the results are the same to the last bit.
    values: Numbers = (code.astype(np.float64) + base) / divisor
    values[code == absent] = np.nan
    return values


def _nine_bits(byte: Codes, flags: Codes, bit: int) -> Codes:
    return byte.astype(np.int64) << 1 | flags >> bit & 1


def _sound_db(byte: Codes, flags: Codes, bit: int) -> Numbers:
    return _available(_nine_bits(byte, flags, bit), absent=511, base=90, divisor=5)


def _climate(f: Codes) -> Iterator[tuple[str, Numbers]]:
    yield "temperature_c", _available(f["temperature"], absent=-0x8000, divisor=200)
    yield "humidity_pct", _available(f["humidity"], absent=0xFFFF, divisor=400)
    yield "pressure_pa", _available(f["pressure"], absent=0xFFFF, base=50000)


def _air(f: Codes) -> Iterator[tuple[str, Numbers]]:
    flags = f["flags"]
    yield "co2_ppm", _available(f["co2"], absent=0xFFFF)
    yield "voc_index", _available(_nine_bits(f["voc"], flags, 6), absent=511)
    yield "nox_index", _available(_nine_bits(f["nox"], flags, 7), absent=511)
    yield "sound_average_dba", _sound_db(f["sound_average"], flags, 4)
    for bit, name in enumerate(
        ("calibration_in_progress", "button_pressed", "rtc_running_on_boot")
    ):
        yield name, (flags >> bit & 1).astype(np.float64)


# --- The formats ------------------------------------------------------------------------------
_LUMINOSITY_6_LX = np.array(df6.LUMINOSITY_LX, np.float64)  # None becomes NaN


def _decode_5(f: Codes) -> Iterator[tuple[str, Numbers]]:
    yield from _climate(f)
    for axis in "xyz":
        yield f"acceleration_{axis}_mg", _available(f[f"acceleration_{axis}"], absent=-0x8000)
    yield "battery_mv", _available(f["power"] >> 5, absent=2047, base=1600)
    yield "tx_power_dbm", _available(f["power"] & 31, absent=31, base=-20) * 2
    yield "movement_counter", _available(f["movements"], absent=0xFF)
    yield "sequence", _available(f["sequence"], absent=0xFFFF)


def _decode_6(f: Codes) -> Iterator[tuple[str, Numbers]]:
    yield from _climate(f)
    yield from _air(f)
    yield "pm2_5_ug_m3", _available(f["pm2_5"], absent=0xFFFF, divisor=10)
    yield "luminosity_lx", _LUMINOSITY_6_LX[f["luminosity"]]
    yield "sequence", f["sequence"].astype(np.float64)


def _decode_e1(f: Codes) -> Iterator[tuple[str, Numbers]]:
    yield from _climate(f)
    yield from _air(f)
    for size in ("1_0", "2_5", "4_0", "10_0"):
        yield f"pm{size}_ug_m3", _available(f[f"pm{size}"], absent=0xFFFF, divisor=10)
    luminosity = f["luminosity_high"].astype(np.int64) << 16 | f["luminosity_low"]
    yield "luminosity_lx", _available(luminosity, absent=0xFFFFFF, divisor=100)
    yield "sound_instant_dba", _sound_db(f["sound_instant"], f["flags"], 3)
    yield "sound_peak_db_spl", _sound_db(f["sound_peak"], f["flags"], 5)
    sequence = f["sequence_high"].astype(np.int64) << 16 | f["sequence_low"]
    yield "sequence", _available(sequence, absent=0xFFFFFF)


class _Layout(NamedTuple):
    head: bytes  # how the advertisement begins, up to the number of the format
    fields: np.dtype[Any]  # of the payload; that number is its first byte
    decode: Callable[[Codes], Iterator[tuple[str, Numbers]]]


_CLIMATE = [("format", "u1"), ("temperature", ">i2"), ("humidity", ">u2"), ("pressure", ">u2")]
_FIELDS_5 = [
    *_CLIMATE,
    ("acceleration_x", ">i2"), ("acceleration_y", ">i2"), ("acceleration_z", ">i2"),
    ("power", ">u2"), ("movements", "u1"), ("sequence", ">u2"), ("mac", "V6"),
]  # fmt: skip
_FIELDS_6 = [
    *_CLIMATE, ("pm2_5", ">u2"), ("co2", ">u2"), ("voc", "u1"), ("nox", "u1"), ("luminosity", "u1"),
    ("sound_average", "u1"), ("sequence", "u1"), ("flags", "u1"), ("mac_suffix", "V3"),
]  # fmt: skip
_FIELDS_E1 = [
    *_CLIMATE, ("pm1_0", ">u2"), ("pm2_5", ">u2"), ("pm4_0", ">u2"), ("pm10_0", ">u2"),
    ("co2", ">u2"), ("voc", "u1"), ("nox", "u1"), ("luminosity_high", "u1"),
    ("luminosity_low", ">u2"), ("sound_instant", "u1"), ("sound_average", "u1"),
    ("sound_peak", "u1"), ("sequence_high", "u1"), ("sequence_low", ">u2"), ("flags", "u1"),
    ("reserved", "V5"), ("mac", "V6"),
]  # fmt: skip
# Flags, for format 6 a list of services, then the structure that holds the payload; E1 has that first.
_LAYOUTS = (
    _Layout(bytes.fromhex("020106 1BFF9904 05"), np.dtype(_FIELDS_5), _decode_5),
    _Layout(bytes.fromhex("020106 030398FC 17FF9904 06"), np.dtype(_FIELDS_6), _decode_6),
    _Layout(bytes.fromhex("2BFF9904 E1"), np.dtype(_FIELDS_E1), _decode_e1),
)
_WIDTH = max(len(layout.head) - 1 + layout.fields.itemsize for layout in _LAYOUTS)
