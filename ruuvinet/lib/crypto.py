"""Secrets that we must be able to read again: encrypted at rest, rotated by ENCRYPTION_KEYS."""

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    _TextBase = models.TextField[str, str]
else:
    _TextBase = models.TextField


log = logging.getLogger(__name__)


@cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def fernet() -> MultiFernet:
    """The cipher of ENCRYPTION_KEYS: the first key encrypts, every key decrypts."""
    return _fernet(tuple(settings.ENCRYPTION_KEYS))


def encrypted(plain: str) -> str:
    """What an EncryptedTextField stores; nothing stays nothing."""
    return plain and fernet().encrypt(plain.encode()).decode()


def decrypted(stored: str) -> str:
    """What an EncryptedTextField holds; empty, and said in the log, when no key can read it."""
    try:
        return fernet().decrypt(stored.encode()).decode()
    except InvalidToken:
        log.error("a stored secret was made with none of ENCRYPTION_KEYS")
        return ""


class EncryptedTextField(_TextBase):
    """Text that lies encrypted in the database (Fernet). Cannot be searched.

    What none of ENCRYPTION_KEYS can read is read as empty, and said in the log: rows with a lost
    secret must stay manageable, and an empty secret lets nobody in.
    """

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        return value and decrypted(value)

    def get_prep_value(self, value: Any) -> str | None:
        return value and encrypted(str(value))
