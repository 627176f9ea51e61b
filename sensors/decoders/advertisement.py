"""Finding the Ruuvi payload in Bluetooth advertising data.

The data is walked structure by structure. Searching it for the company id would also find those
bytes inside a device name, another vendor's payload or a MAC address.
"""

from __future__ import annotations

from functools import lru_cache

from sensors.decoders import df2_4
from sensors.decoders.payload import FORMATS, payload_format
from sensors.decoders.reading import Reading

_MANUFACTURER_DATA = 0xFF
_SERVICE_DATA = 0x16
_HEAD_BYTES = 8
_RUUVI = b"\x99\x04"  # company id 0x0499; the only little-endian number on this road


def decode_advertisement(data: bytes) -> Reading | None:
    """Decode complete advertising data (AD structures), as a gateway relays it.

    None if it holds nothing we know. Never raises, whatever the bytes.
    """
    payload = _find_payload(data)
    if payload is None:
        return None
    known = FORMATS.get(payload[0])
    return df2_4.decode(payload) if known is None else known.decode(payload)


def data_format(data: bytes) -> int | None:
    """Format that `decode_advertisement` would report for `data`, without decoding it.

    None exactly when that function returns None.
    """
    told = _told_by_head(data[:_HEAD_BYTES], len(data))
    if told is not None:
        return told
    payload = _find_payload(data)
    return None if payload is None else payload[0]


@lru_cache(1000)
def _told_by_head(head: bytes, size: int) -> int | None:
    """The format, if the first bytes of an advertisement alone tell it.

    Nearly all are alike in these: flags, length, company and format.
    """
    payload = _find_payload(head + bytes(size - len(head)))  # in zeros nothing is found
    return None if payload is None else payload[0]


def _find_payload(data: bytes) -> bytes | None:
    """First payload, format number leading, that some decoder is sure to read.

    Walks up to padding (length 0) or a truncated structure. Every advertisement that is stored
    passes here, so this is one loop without a generator.
    """
    start, size = 0, len(data)
    while start < size:
        end = start + 1 + data[start]
        if end == start + 1 or end > size:
            return None
        kind = data[start + 1]
        if kind == _MANUFACTURER_DATA and data.startswith(_RUUVI, start + 2, end):
            payload = data[start + 4 : end]
            if payload_format(payload) is not None:
                return payload
        elif kind == _SERVICE_DATA:
            url_payload = df2_4.unwrap_service_data(data[start + 2 : end])
            if url_payload is not None:
                return url_payload
        start = end
    return None
