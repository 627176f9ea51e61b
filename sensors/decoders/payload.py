"""Which decoder reads a manufacturer payload: the table to extend for a new data format."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sensors.decoders import df3, df5, df6, e0, e1, f0
from sensors.decoders.reading import Reading


class Format(NamedTuple):
    length: int
    decode: Callable[[bytes], Reading]


# Formats 2 and 4 travel in a web address, never here; 8 is an encrypted proposal nobody shipped.
FORMATS = {
    0x03: Format(df3.LENGTH, df3.decode),
    0x05: Format(df5.LENGTH, df5.decode),
    0x06: Format(df6.LENGTH, df6.decode),
    0xC5: Format(df5.LENGTH_C5, df5.decode_c5),
    0xE0: Format(e0.LENGTH, e0.decode),
    0xE1: Format(e1.LENGTH, e1.decode),
    0xF0: Format(f0.LENGTH, f0.decode),
}


def decode_payload(payload: bytes) -> Reading | None:
    """Decode what follows the company id in manufacturer data; None if unknown or too short."""
    number = payload_format(payload)
    return None if number is None else FORMATS[number].decode(payload)


def payload_format(payload: bytes) -> int | None:
    """Number of the format `payload` decodes as, or None. Surplus bytes at the end are fine.

    Every payload that passes decodes: within its length a format has no illegal bytes.
    """
    if not payload:
        return None
    known = FORMATS.get(payload[0])
    return payload[0] if known is not None and len(payload) >= known.length else None
