"""Data formats 2 and 4: a web address in an Eddystone-URL frame (first RuuviTags, obsolete)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from struct import Struct

from sensors.decoders import codes
from sensors.decoders.reading import Reading

FORMATS = frozenset({2, 4})

_FIELDS = Struct(">BBBBH")
_FRAGMENT = re.compile(rb"[A-Za-z0-9_-]{8,9}")
# Service UUID 0xFEAA, frame type 0x10 (URL), TX power, then http:// or https:// as one byte.
_EDDYSTONE_URL = re.compile(rb"\xaa\xfe\x10.[\x02\x03]ruu\.vi/#(.*)", re.DOTALL)


def decode_url_fragment(fragment: bytes) -> Reading | None:
    """Decode the ASCII text after "#" in a `ruu.vi/#...` address: 8 or 9 URL-safe characters."""
    payload = unwrap_fragment(fragment)
    return None if payload is None else decode(payload)


def unwrap_service_data(body: bytes) -> bytes | None:
    """Payload for `decode` out of a service data structure (AD type 0x16), if it is one of ours."""
    frame = _EDDYSTONE_URL.fullmatch(body)
    return None if frame is None else unwrap_fragment(frame[1])


def unwrap_fragment(fragment: bytes) -> bytes | None:
    """Six decoded bytes, then the ninth character (tag id) as it stands if there is one."""
    if not _FRAGMENT.fullmatch(fragment):
        return None
    # Nine characters are no valid base64: the last is an id to read, not data to decode.
    payload = urlsafe_b64decode(fragment[:8]) + fragment[8:]
    return payload if payload[0] in FORMATS else None


def decode(payload: bytes) -> Reading:
    """Ruuvi data format 4 specification (2 has the same layout), six bytes and the tag id.

    Byte 1 humidity in 0.5 %, 2-3 temperature, 4-5 pressure in Pa above 50000. These formats have
    no "not available" codes.
    """
    data_format, humidity, whole, hundredths, pressure = _FIELDS.unpack_from(payload)
    return Reading(
        data_format=data_format,
        temperature_c=codes.signed_magnitude_c(whole, hundredths),
        humidity_pct=humidity / 2,
        pressure_pa=pressure + 50000,
        tag_id=payload[6:].decode("ascii") or None,
    )
