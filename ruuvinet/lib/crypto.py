"""Secrets that we must be able to read again: encrypted at rest, rotated by ENCRYPTION_KEYS."""

from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    _TextBase = models.TextField[str, str]
else:
    _TextBase = models.TextField


@cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def fernet() -> MultiFernet:
    """The cipher of ENCRYPTION_KEYS: the first key encrypts, every key decrypts."""
    return _fernet(tuple(settings.ENCRYPTION_KEYS))


class EncryptedTextField(_TextBase):
    """Text that lies encrypted in the database (Fernet). Cannot be searched.

    Reading raises `cryptography.fernet.InvalidToken` when none of ENCRYPTION_KEYS made it.
    """

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        return value and fernet().decrypt(value.encode()).decode()

    def get_prep_value(self, value: Any) -> str | None:
        return value and fernet().encrypt(str(value).encode()).decode()
