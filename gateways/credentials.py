"""Verbs on credentials: made by the console or chosen by a person, and revoked."""

import re
from datetime import datetime
from secrets import token_urlsafe
from typing import Any

from gateways import directory
from gateways.models import Credential, Gateway, GatewayGroup
from gateways.proof import digest_of

Kind = Credential.Kind

MAX_LENGTH = 255  # as the gateway's page takes it,
MAX_BASIC_LENGTH = 50  # and for each of user and password
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")
# What carries something else, or never arrives as it was sent.
_TAKEN_HEADERS = {"authorization", "host", "content-type", "content-length", "user-agent", "cookie"}


def make_credential(*, at: datetime, **described: Any) -> Credential:
    """As `new_credential`, and good from now on."""
    made = new_credential(at=at, **described)
    made.save()
    directory.changed()
    return made


def new_credential(
    *,
    kind: str,
    at: datetime,
    gateway: Gateway | None = None,
    group: GatewayGroup | None = None,
    purpose: str = Credential.Purpose.POSTS,
    name: str = "",
    secret: str = "",
    is_readable: bool = False,
    expires_at: datetime | None = None,
) -> Credential:
    """A credential of one gateway or of each of a group, not saved; its secret is `shown_once`.

    Without `secret` 256 random bits are made; only their SHA-256 is kept, unless `is_readable`,
    which remote configuration needs. Raises ValueError for what a gateway could not present.
    """
    plain = _normal(kind, name, secret) if secret else _made(kind, name)
    made = Credential(
        kind=kind, purpose=purpose, gateway=gateway, group=group, name=name,
        created_at=at, expires_at=expires_at,
    )  # fmt: skip
    if kind == Kind.FINGERPRINT or not (secret or is_readable):
        made.digest = digest_of(kind, name, plain)
    else:
        made.secret = plain
    made.shown_once = plain
    return made


def revoke(credential: Credential, at: datetime) -> None:
    """Believe it no more. May be repeated."""
    Credential.objects.filter(pk=credential.pk, revoked_at=None).update(revoked_at=at)
    directory.changed()


def _made(kind: str, name: str) -> str:
    if kind in Credential.CERTIFICATES:
        raise ValueError("Write the fingerprint or the subject of the certificate.")
    return _normal(kind, name, token_urlsafe(32))


def _normal(kind: str, name: str, secret: str) -> str:
    """The secret as it is presented. Raises ValueError."""
    _ensure_name(kind, name)
    if kind == Kind.FINGERPRINT:
        digits = secret.replace(":", "").strip().lower()
        if not re.fullmatch(r"[0-9a-f]{64}", digits):
            raise ValueError("A fingerprint is a SHA-256: 64 hex digits, with or without colons.")
        return digits
    longest = MAX_BASIC_LENGTH if kind == Kind.BASIC else MAX_LENGTH
    if len(secret) > longest:
        raise ValueError(f"A gateway takes at most {longest} characters.")
    if kind == Kind.PATH and not re.fullmatch(r"[A-Za-z0-9._~-]+", secret):
        raise ValueError("In a path only letters, digits and . _ ~ - come as they were typed.")
    if not secret.isprintable() or secret != secret.strip():
        raise ValueError("Only printable characters, and no space at the beginning or the end.")
    return secret


def _ensure_name(kind: str, name: str) -> None:
    named = {Kind.BASIC: "user", Kind.HEADER: "header", Kind.QUERY: "parameter"}
    if kind not in named:
        if name:
            raise ValueError("Only Basic, headers and parameters have a name.")
        return
    if not name:
        raise ValueError(f"Name the {named[Kind(kind)]}.")
    if kind == Kind.BASIC and (":" in name or len(name) > MAX_BASIC_LENGTH):
        raise ValueError(f"A user has at most {MAX_BASIC_LENGTH} characters and no colon.")
    if kind == Kind.HEADER and (
        not _HEADER_NAME.fullmatch(name)
        or name.lower() in _TAKEN_HEADERS
        or name.lower().startswith(("ruuvi-", "x-client-", "x-forwarded-"))
    ):
        raise ValueError("This cannot be the name of an extra header; underscores get lost.")
