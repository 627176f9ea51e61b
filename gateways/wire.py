"""The body of `POST /record`, as gateways of every firmware year send it."""

from typing import Annotated, Any, Generic, TypeVar

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


class Advertised(Tag, gc=False, kw_only=True):
    """A tag that has all that is needed of it."""

    data: Annotated[str, msgspec.Meta(min_length=1)]


T = TypeVar("T")


class Upload(msgspec.Struct, Generic[T], gc=False):
    gw_mac: str
    tags: dict[str, T]
    timestamp: Timestamp = None
    nonce: Any = None


class Status(msgspec.Struct, gc=False, rename="upper"):
    """The body of `POST /status`. Numbers come as text; each is judged where it is used."""

    device_addr: str
    esp_fw: str
    nrf_fw: str
    nrf_status: Any = None
    uptime: Any = None
    nonce: Any = None
    connection: Any = None
    num_conn_lost: Any = None
    reset_reason: Any = None
    reset_cnt: Any = None
    reset_info: Any = None
    total_free_bytes_internal: Any = None
    largest_free_block_internal: Any = None
    sensors_seen: Any = None


class Body(msgspec.Struct, Generic[T], gc=False):
    data: Upload[T]


_whole_decoder = msgspec.json.Decoder(Body[Advertised])
# Where one tag is bad or only decoded, each is read on its own: a bad one costs only itself.
_body_decoder = msgspec.json.Decoder(Body[msgspec.Raw])
_status_decoder = msgspec.json.Decoder(Status)
_tag_decoder = msgspec.json.Decoder(Tag)
_fields_decoder = msgspec.json.Decoder(dict[str, Any])


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


def read_status(body: bytes) -> tuple[Status, dict[str, Any]]:
    """A status and all that stands in its body. Raises ValueError as `read_body` does."""
    try:
        return _status_decoder.decode(body), _fields_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("The body is not valid JSON.") from error


def read_count(value: object) -> int | None:
    """A count from an integer or a digit string; None for what is none or fits no column."""
    try:
        count = read_timestamp(value)
    except ValueError:
        return None
    return count if count is not None and 0 <= count < 2**63 else None


def read_text(value: object, longest: int) -> str:
    """Text that every database takes, cut to `longest`; empty for anything else."""
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "").encode("utf-8", "replace").decode()[:longest]


def read_tag(raw: Tag | msgspec.Raw) -> Tag:
    """The tag, as `read_body` left it. Raises ValueError."""
    if isinstance(raw, Tag):
        return raw
    try:
        return _tag_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("The tag is not valid.") from error


def read_decoded(raw: msgspec.Raw) -> dict[str, Any]:
    """All fields of a tag as they stand, for one without the advertisement. Raises ValueError."""
    try:
        return _fields_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("The tag is not valid.") from error


def read_timestamp(value: Timestamp) -> int | None:
    """Unix seconds from an integer or a digit string; None when absent. Raises ValueError."""
    if value is None or type(value) is int:  # not bool, which is an int as well
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    raise ValueError("A timestamp is a whole number of Unix seconds.")
