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

_KINDS: dict[str, Any] = {
    name: (get_args(kind) or (kind,))[0] for name, kind in get_type_hints(Reading).items()
}
# Every field of a reading that is a number or a flag, in the order of `Reading`, and its type.
FIELDS: dict[str, Any] = {name: kind for name, kind in _KINDS.items() if kind is not str}
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


# --- Back into advertisements -----------------------------------------------------------------
class _Scale(NamedTuple):
    """A code is the nearest whole number to `value * steps + base`; `absent` says there is none."""

    steps: float
    base: int
    lowest: int
    highest: int
    absent: int


_SIGNED = (-0x7FFF, 0x7FFF, -0x8000)
_WORD = (0, 0xFFFE, 0xFFFF)
_NINE = (0, 510, 511)
_SCALES = {
    "temperature_c": _Scale(200, 0, *_SIGNED),
    "humidity_pct": _Scale(400, 0, *_WORD),
    "pressure_pa": _Scale(1, -50000, *_WORD),
    "acceleration_x_mg": _Scale(1, 0, *_SIGNED),
    "acceleration_y_mg": _Scale(1, 0, *_SIGNED),
    "acceleration_z_mg": _Scale(1, 0, *_SIGNED),
    "movement_counter": _Scale(1, 0, 0, 0xFE, 0xFF),
    "battery_mv": _Scale(1, -1600, 0, 2046, 2047),
    "tx_power_dbm": _Scale(0.5, 20, 0, 30, 31),
    "sequence": _Scale(1, 0, 0, 0xFFFFFE, 0xFFFFFF),
    "pm1_0_ug_m3": _Scale(10, 0, *_WORD),
    "pm2_5_ug_m3": _Scale(10, 0, *_WORD),
    "pm4_0_ug_m3": _Scale(10, 0, *_WORD),
    "pm10_0_ug_m3": _Scale(10, 0, *_WORD),
    "co2_ppm": _Scale(1, 0, *_WORD),
    "voc_index": _Scale(1, 0, *_NINE),
    "nox_index": _Scale(1, 0, *_NINE),
    "luminosity_lx": _Scale(100, 0, 0, 0xFFFFFE, 0xFFFFFF),
    "sound_instant_dba": _Scale(5, -90, *_NINE),
    "sound_average_dba": _Scale(5, -90, *_NINE),
    "sound_peak_db_spl": _Scale(5, -90, *_NINE),
    "calibration_in_progress": _Scale(1, 0, 0, 1, 0),
    "button_pressed": _Scale(1, 0, 0, 1, 0),
    "rtc_running_on_boot": _Scale(1, 0, 0, 1, 0),
}
KEPT = _SCALES.keys()  # what `encode` keeps
_AIR = [name for name in KEPT if name.endswith(("_m3", "_ppm", "_index", "_lx", "_dba", "_spl"))]
_E1_TAIL = bytes.fromhex("030398FC")


def misfits(columns: Columns) -> dict[str, NDArray[np.bool_]]:
    """For each quantity that `encode` keeps: which rows have a value that no code stands for."""
    return {
        name: _is_misfit(columns[name], scale) for name, scale in _SCALES.items() if name in columns
    }


def _is_misfit(values: Numbers, scale: _Scale) -> NDArray[np.bool_]:
    codes = np.rint(values * scale.steps + scale.base)
    fits: NDArray[np.bool_] = (codes >= scale.lowest) & (codes <= scale.highest)
    return ~(fits | np.isnan(values))


def encode(columns: Columns, macs: Sequence[int]) -> list[bytes]:
    """Advertisements that read as `columns`, as the sensors with these addresses would send them.

    Format E1 where anything of the air is known, and 5 otherwise: what the format does not carry is
    lost, and values are rounded to its steps. There must be no `misfits`. `decode` of the result
    encodes to the same bytes.
    """
    count = len(macs)
    air = np.zeros(count, bool)
    for name in _AIR:
        if name in columns:
            air |= ~np.isnan(columns[name])
    addresses = np.array(macs, ">u8").view(np.uint8).reshape(count, 8)[:, 2:]
    found: list[bytes] = [b""] * count
    for layout, rows, fill, tail in (
        (_LAYOUTS[0], np.flatnonzero(~air), _fill_5, b""),
        (_LAYOUTS[2], np.flatnonzero(air), _fill_e1, _E1_TAIL),
    ):
        payloads = np.zeros(rows.size, layout.fields)
        payloads["format"] = layout.head[-1]
        payloads["mac"] = np.ascontiguousarray(addresses[rows]).view("V6")[:, 0]
        fill(payloads, {name: _codes(columns, name, rows) for name in _SCALES})
        data, size, head = payloads.tobytes(), layout.fields.itemsize, layout.head[:-1]
        for place, row in enumerate(rows.tolist()):
            found[row] = head + data[place * size : (place + 1) * size] + tail
    return found


def _codes(columns: Columns, name: str, rows: NDArray[np.intp]) -> NDArray[np.int64]:
    scale = _SCALES[name]
    if name not in columns:
        return np.full(rows.size, scale.absent)
    values = columns[name][rows] * scale.steps + scale.base
    return np.where(np.isnan(values), scale.absent, np.rint(np.nan_to_num(values))).astype(np.int64)


def _fill_climate(f: Codes, code: dict[str, Codes]) -> None:
    f["temperature"], f["humidity"] = code["temperature_c"], code["humidity_pct"]
    f["pressure"] = code["pressure_pa"]


def _fill_5(f: Codes, code: dict[str, Codes]) -> None:
    _fill_climate(f, code)
    for axis in "xyz":
        f[f"acceleration_{axis}"] = code[f"acceleration_{axis}_mg"]
    f["power"] = code["battery_mv"] << 5 | code["tx_power_dbm"]
    f["movements"] = code["movement_counter"]
    f["sequence"] = np.minimum(code["sequence"], 0xFFFF)  # a longer count is left out


def _fill_e1(f: Codes, code: dict[str, Codes]) -> None:
    _fill_climate(f, code)
    for size in ("1_0", "2_5", "4_0", "10_0"):
        f[f"pm{size}"] = code[f"pm{size}_ug_m3"]
    f["co2"] = code["co2_ppm"]
    f["luminosity_high"], f["luminosity_low"] = _split(code["luminosity_lx"])
    f["sequence_high"], f["sequence_low"] = _split(code["sequence"])
    f["reserved"] = b"\xff" * 5
    f["flags"] = code["calibration_in_progress"] | code["button_pressed"] << 1
    f["flags"] |= (code["rtc_running_on_boot"] << 2).astype(np.uint8)
    for bit, field, name in (
        (3, "sound_instant", "sound_instant_dba"),
        (4, "sound_average", "sound_average_dba"),
        (5, "sound_peak", "sound_peak_db_spl"),
        (6, "voc", "voc_index"),
        (7, "nox", "nox_index"),
    ):
        f[field] = code[name] >> 1
        f["flags"] |= ((code[name] & 1) << bit).astype(np.uint8)


def _split(code: Codes) -> tuple[Codes, Codes]:
    """24 bits as a byte and a word."""
    return code >> 16, code & 0xFFFF
