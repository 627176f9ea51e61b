"""Records that a gateway decoded, encoded back into the advertisement that they came from.

So all that is stored has one shape. A code is exact where the gateway's decimals tell it apart from
its neighbours, and the nearest one otherwise: docs/gateways.md. The layouts on the air, the fields
and their "not available" are those of the gateway firmware.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from math import exp, log
from struct import pack
from typing import Any

_COMPANY = bytes.fromhex("9904")
_FLAGS = bytes.fromhex("020106")
_SERVICES = bytes.fromhex("030398FC")

Fields = Mapping[str, Any]


def encode(fields: Fields) -> bytes:
    """The advertisement of a decoded record; empty when it is of no format that gateways decode.

    Raises ValueError for values that are no numbers.
    """
    match fields.get("dataFormat"):
        case 5:
            return _FLAGS + _manufacturer(_format_5(fields))
        case 6:
            return _FLAGS + _SERVICES + _manufacturer(_format_6(fields))
        case 0xF0:
            return _FLAGS + _SERVICES + _manufacturer(_format_f0(fields))
        case 0xE0:
            return _manufacturer(_format_e0(fields)) + _SERVICES
        case 0xE1:
            return _manufacturer(_format_e1(fields)) + _SERVICES
    return b""


def _manufacturer(payload: bytes) -> bytes:
    return bytes([len(payload) + 3, 0xFF]) + _COMPANY + payload


def _format_5(fields: Fields) -> bytes:
    battery = _code(fields, "voltage", step=0.001, base=1.6, absent=2047)
    # Without a power the firmware says 31, which is no power in steps of 2 dBm.
    power = 31
    if fields.get("txPower") != 31:
        power = _code(fields, "txPower", step=2, base=-40, absent=31)
    return b"".join(
        (
            b"\x05",
            _climate(fields),
            *(_signed(fields, f"accel{axis}", step=0.001) for axis in "XYZ"),
            pack(">H", battery << 5 | power),
            bytes([_code(fields, "movementCounter", absent=0xFF, highest=0xFF)]),
            pack(">H", _count(fields, absent=0xFFFF)),
            _mac(fields, 6),
        )
    )


def _format_6(fields: Fields) -> bytes:
    voc, nox = _nine(fields, "VOC"), _nine(fields, "NOx")
    sound = _sound(fields, "sound_avg_dba")
    light = _nearest(fields, "luminosity", _LUMINOSITY_6)
    flags = _air_flags(fields) | (sound & 1) << 4 | (voc & 1) << 6 | (nox & 1) << 7
    return b"".join(
        (
            b"\x06",
            _climate(fields),
            pack(">HH", _tenths(fields, "PM2.5"), _code(fields, "CO2", absent=0xFFFF)),
            # This sequence has no "not available": 255 is a count.
            bytes([voc >> 1, nox >> 1, light, sound >> 1]),
            bytes([_code(fields, "measurementSequenceNumber", absent=0xFF, highest=0xFF), flags]),
            _mac(fields, 3),
        )
    )


def _format_e1(fields: Fields) -> bytes:
    voc, nox = _nine(fields, "VOC"), _nine(fields, "NOx")
    sounds = [
        _sound(fields, name) for name in ("sound_inst_dba", "sound_avg_dba", "sound_peak_spl_db")
    ]
    flags = _air_flags(fields) | (voc & 1) << 6 | (nox & 1) << 7
    for bit, sound in enumerate(sounds, 3):
        flags |= (sound & 1) << bit
    return b"".join(
        (
            b"\xe1",
            _climate(fields),
            _particles(fields),
            pack(">HBB", _code(fields, "CO2", absent=0xFFFF), voc >> 1, nox >> 1),
            _code(fields, "luminosity", step=0.01, absent=0xFFFFFF).to_bytes(3),
            bytes(sound >> 1 for sound in sounds),
            _count(fields, absent=0xFFFFFF).to_bytes(3),
            bytes([flags]) + b"\xff" * 5,
            _mac(fields, 6),
        )
    )


def _format_e0(fields: Fields) -> bytes:
    return b"".join(
        (
            b"\xe0",
            _climate(fields),
            _particles(fields),
            pack(
                ">HHHH",
                _code(fields, "CO2", absent=0xFFFF),
                _nine(fields, "VOC"),
                _nine(fields, "NOx"),
                _code(fields, "luminosity", absent=0xFFFF),
            ),
            bytes([_half(fields, "sound_avg_dba"), _half(fields, "sound_peak_spl_db")]),
            pack(">H", _count(fields, absent=0xFFFF)),
            bytes([_code(fields, "voltage", step=0.03, absent=0xFF), _prototype_flags(fields, 0)]),
            b"\xff" * 5,
            _mac(fields, 6),
        )
    )


def _format_f0(fields: Fields) -> bytes:
    temperature = fields.get("temperature")
    degrees = -128 if temperature is None else max(-127, min(127, round(_number(temperature))))
    particles = [_nearest(fields, f"PM{size}", _PM) for size in ("1.0", "2.5", "4.0", "10.0")]
    return b"".join(
        (
            pack(">Bb", 0xF0, degrees),
            bytes([_half(fields, "humidity")]),
            bytes([_code(fields, "pressure", step=100, base=90_000, absent=0xFF)]),
            bytes(particles),
            bytes([_nearest(fields, "CO2", _GAS)]),
            bytes(_nearest(fields, name, _INDEX) for name in ("VOC", "NOx")),
            bytes([_nearest(fields, "luminosity", _GAS), _half(fields, "sound_avg_dba")]),
            # Four bits, and no "not available".
            bytes([_prototype_flags(fields, (_whole(fields) or 0) & 0xF)]),
            _mac(fields, 6),
        )
    )


def _climate(fields: Fields) -> bytes:
    """Temperature, humidity and pressure, the same five ways."""
    humidity = _code(fields, "humidity", step=0.0025, absent=0xFFFF)
    pressure = _code(fields, "pressure", base=50_000, absent=0xFFFF)
    return _signed(fields, "temperature", step=0.005) + pack(">HH", humidity, pressure)


def _particles(fields: Fields) -> bytes:
    return pack(">HHHH", *(_tenths(fields, f"PM{size}") for size in ("1.0", "2.5", "4.0", "10.0")))


def _tenths(fields: Fields, name: str) -> int:
    return _code(fields, name, step=0.1, absent=0xFFFF)


def _nine(fields: Fields, name: str) -> int:
    return _code(fields, name, absent=511)


def _sound(fields: Fields, name: str) -> int:
    return _code(fields, name, step=0.2, base=18, absent=511)


def _half(fields: Fields, name: str) -> int:
    return _code(fields, name, step=0.5, absent=0xFF)


def _count(fields: Fields, *, absent: int) -> int:
    """The sequence; the firmware writes the code itself when there is none."""
    return _code(fields, "measurementSequenceNumber", absent=absent, highest=absent)


def _whole(fields: Fields) -> int | None:
    count = fields.get("measurementSequenceNumber")
    return None if count is None else round(_number(count))


def _code(
    fields: Fields,
    name: str,
    *,
    absent: int,
    step: float = 1,
    base: float = 0,
    highest: int | None = None,
) -> int:
    """The nearest code of a value; `absent` without one. Clips, as the sensors do."""
    value = fields.get(name)
    if value is None:
        return absent
    return max(
        0, min(absent - 1 if highest is None else highest, round((_number(value) - base) / step))
    )


def _signed(fields: Fields, name: str, *, step: float) -> bytes:
    value = fields.get(name)
    code = -0x8000 if value is None else max(-0x7FFF, min(0x7FFF, round(_number(value) / step)))
    return pack(">h", code)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a decoded value is a number")
    return max(-1e9, min(1e9, value))  # no code reaches that far, and no float is too long for it


def _air_flags(fields: Fields) -> int:
    names = ("flag_calibration_in_progress", "flag_button_pressed", "flag_rtc_running_on_boot")
    return sum((fields.get(name) is True) << bit for bit, name in enumerate(names))


def _prototype_flags(fields: Fields, sequence: int) -> int:
    names = (
        "flag_usb_on", "flag_low_battery", "flag_calibration_in_progress", "flag_boost_mode",
    )  # fmt: skip
    flags = sum((fields.get(name) is True) << bit for bit, name in enumerate(names))
    return flags | sequence << 4


def _mac(fields: Fields, length: int) -> bytes:
    text = fields.get("id")
    if text is None:
        return b"\xff" * length
    digits = text.replace(":", "") if isinstance(text, str) else ""
    if len(digits) != 2 * length or not digits.isalnum():
        raise ValueError("not the id of a sensor")
    return bytes.fromhex(digits)


def _logarithmic(highest: int, base: int = 1) -> tuple[float, ...]:
    """Values of the codes 0 to 254."""
    return tuple(exp(code * log(highest) / 254) - base for code in range(255))


_LUMINOSITY_6, _PM, _GAS = _logarithmic(65536), _logarithmic(1001), _logarithmic(40001)
_INDEX = _logarithmic(500, base=0)


def _nearest(fields: Fields, name: str, scale: Sequence[float]) -> int:
    value = fields.get(name)
    if value is None:
        return 0xFF
    number = _number(value)
    above = min(bisect_left(scale, number), len(scale) - 1)
    below = max(above - 1, 0)
    return below if number - scale[below] <= scale[above] - number else above
