"""The body of `POST /record`, as gateways of every firmware year send it."""

from typing import Any, Generic, TypeVar

import msgspec

MAX_BODY_BYTES = 1_000_000
MAX_TAGS = 1000

# Unix seconds; older firmware sends digits as text. Anything else is judged where it is used,
# so that one odd field does not cost the whole body.
Timestamp = Any


class Tag(msgspec.Struct, gc=False):
    """What a gateway heard of one sensor: the newest advertisement since its last post."""

    rssi: int  # dBm
    data: str | None = None  # hex of the whole advertisement
    timestamp: Timestamp = None


T = TypeVar("T")


class Upload(msgspec.Struct, Generic[T], gc=False):
    gw_mac: str
    tags: dict[str, T]
    timestamp: Timestamp = None


class Body(msgspec.Struct, Generic[T], gc=False):
    data: Upload[T]


_whole_decoder = msgspec.json.Decoder(Body[Tag])
# Where one tag is bad, each is read on its own, so that it costs only itself.
_body_decoder = msgspec.json.Decoder(Body[msgspec.Raw])
_tag_decoder = msgspec.json.Decoder(Tag)


def read_body(body: bytes) -> Upload[Any]:
    """Parse a body. Raises ValueError with a text that may be shown to the sender."""
    try:
        upload = _parse(body).data
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("The body is not valid JSON.") from error
    if len(upload.tags) > MAX_TAGS:
        raise ValueError(f"More than {MAX_TAGS} tags.")
    return upload


def _parse(body: bytes) -> Body[Any]:
    try:
        return _whole_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _body_decoder.decode(body)


def read_tag(raw: Tag | msgspec.Raw) -> Tag:
    """The tag, as `read_body` left it. Raises ValueError."""
    if isinstance(raw, Tag):
        return raw
    try:
        return _tag_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("The tag is not valid.") from error


def read_timestamp(value: Timestamp) -> int | None:
    """Unix seconds from an integer or a digit string; None when absent. Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    raise ValueError("A timestamp is a whole number of Unix seconds.")
