"""Secrets of sensors: with one, a person proves to hold the sensor that somebody else claimed."""

import hashlib
import re

from ruuvinet.lib.mac import Mac

_SPELLING = re.compile(r"[0-9A-F]{16}")


def digits_of(secret: str) -> str:
    """The 16 hex digits of `DE:AD:BE:EF:00:11:22:33`, in capitals. Raises ValueError.

    Separators and case do not count, since phones and factory lines write it in different ways.
    """
    digits = secret.replace(":", "").replace("-", "").upper()
    if not _SPELLING.fullmatch(digits):
        raise ValueError("a secret has 8 bytes, such as DE:AD:BE:EF:00:11:22:33")
    return digits


def hash_secret(mac: Mac, secret: str) -> str:
    """What we keep of `secret`, in 64 characters. Raises ValueError for what is no secret.

    One fast round: the secret is 64 random bits of a chip, so there is no dictionary to slow down,
    and a factory sends a hundred thousand at once. The MAC salts it.
    """
    return hashlib.sha256(f"{mac}/{digits_of(secret)}".encode()).hexdigest()
