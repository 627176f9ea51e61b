"""Ruuvi Bluetooth advertisements: bytes in, numbers out. Pure, and deaf to Django."""

from sensors.decoders.advertisement import data_format, decode_advertisement
from sensors.decoders.df2_4 import decode_url_fragment
from sensors.decoders.payload import decode_payload
from sensors.decoders.reading import Reading

__all__ = [
    "Reading",
    "data_format",
    "decode_advertisement",
    "decode_payload",
    "decode_url_fragment",
]
