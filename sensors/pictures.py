"""Pictures of sensors: where to upload one, what is accepted, and when it goes.

A file is stored under a random name, that of the profile which shows it. It goes when no profile
shows it any more: a share starts with the owner's picture.
"""

import io
import threading
import uuid
from collections.abc import Iterable
from typing import NamedTuple

from django.core import signing
from django.core.files.base import ContentFile, File
from django.core.files.storage import storages
from django.db import transaction
from PIL import ExifTags, Image

from ruuvinet.lib.api import DomainError, Forbidden
from sensors.models import Access

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 25_000_000
UPLOAD_WITHIN_S = 900
FOLDER = "pictures/"  # an app's own file names hold no slash
EXTENSIONS = {"image/png": "png", "image/gif": "gif", "image/jpeg": "jpg"}
TYPES = {extension: type_ for type_, extension in EXTENSIONS.items()}

_SALT = "sensors.pictures.upload"
_FORMATS = {"png": "PNG", "gif": "GIF", "jpg": "JPEG"}
_MODES = {"png": {"1", "L", "LA", "P", "RGB", "RGBA"}, "gif": {"L", "P"}, "jpg": {"L", "RGB"}}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # also for what a file says later than in its head
# A decoded picture takes up to a hundred megabytes.
_decoding = threading.BoundedSemaphore(2)


class BadPicture(DomainError):
    code = "ER_INVALID_FORMAT"


class PictureTooLarge(BadPicture):
    status = 413


class Upload(NamedTuple):
    """A place for a picture: `name` in the storage, and the `permit` to fill it."""

    guid: str
    name: str
    permit: str


def plan_upload(type_: str) -> Upload:
    """A new name for a picture of that media type, one of EXTENSIONS."""
    guid = str(uuid.uuid4())
    name = f"{FOLDER}{guid}.{EXTENSIONS[type_]}"
    return Upload(guid, name, signing.TimestampSigner(salt=_SALT).sign(name).rpartition("/")[2])


def check_permit(name: str, permit: str) -> None:
    """Raise Forbidden unless `permit` was given for `name` less than UPLOAD_WITHIN_S ago."""
    signer = signing.TimestampSigner(salt=_SALT)
    try:
        permitted = signer.unsign(FOLDER + permit, max_age=UPLOAD_WITHIN_S)
    except signing.BadSignature as error:
        raise Forbidden("The upload URL is not valid any more.") from error
    if permitted != name:
        raise Forbidden("The upload URL is for another picture.")


def save(name: str, content: bytes) -> None:
    """Store a picture that a profile waits for. Raises Forbidden, BadPicture, PictureTooLarge."""
    if len(content) > MAX_BYTES:
        raise PictureTooLarge("The picture is too large.")
    if not Access.objects.filter(picture=name).exists():
        raise Forbidden("Nobody waits for this picture any more.")
    clean = _cleaned(content, name.rpartition(".")[2])
    storages["pictures"].save(name, ContentFile(clean))
    forget([name])  # in case it was replaced meanwhile


def load(name: str) -> "File[bytes] | None":
    """The stored file, None when there is none."""
    try:
        return storages["pictures"].open(name)
    except FileNotFoundError:
        return None


def url(picture: str) -> str:
    """Where the apps find what a profile shows: a URL, or the bare name that an app gave.

    Without a PUBLIC_URL or a bucket it starts with a slash.
    """
    return storages["pictures"].url(picture) if picture.startswith(FOLDER) else picture


def forget(names: Iterable[str]) -> None:
    """After the transaction, delete those of our files that no profile shows."""
    ours = {name for name in names if name.startswith(FOLDER)}
    if ours:
        transaction.on_commit(lambda: _delete_unused(ours), robust=True)


def _delete_unused(names: set[str]) -> None:
    used = Access.objects.filter(picture__in=names).values_list("picture", flat=True)
    for name in names - set(used):
        storages["pictures"].delete(name)


def _cleaned(content: bytes, extension: str) -> bytes:
    """The same picture and nothing else: no metadata, nothing hidden after it, one frame."""
    try:
        with _decoding:
            image = Image.open(io.BytesIO(content), formats=[_FORMATS[extension]])
            if image.width * image.height > MAX_PIXELS:
                raise BadPicture("The picture has too many pixels.")
            return _encoded(_upright(image), extension)
    except BadPicture:
        raise
    except Exception as error:  # Pillow raises nearly everything on files that somebody damaged
        raise BadPicture("The picture cannot be read.") from error


def _upright(image: Image.Image) -> Image.Image:
    """Turned as the camera says. Not Pillow's own, which also writes the rest of the Exif anew."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  # as below; the picture may be good all the same
        return image
    return image if turn is None else image.transpose(turn)


def _encoded(image: Image.Image, extension: str) -> bytes:
    if image.mode not in _MODES[extension]:
        image = image.convert("RGB")
    kept = {"transparency"} if extension != "jpg" else set()
    image.info = {key: value for key, value in image.info.items() if key in kept}
    out = io.BytesIO()
    image.save(out, _FORMATS[extension], quality=85)
    return out.getvalue()
