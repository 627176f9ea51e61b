"""Verbs on people and their sessions."""

import hashlib
import re
import secrets
import string
from datetime import datetime, timedelta

from accounts.models import AccessToken, User

TOKEN_UNUSED_FOR = timedelta(days=180)
USED_PRECISION = timedelta(minutes=1)  # not a write for every read

_SECRET_LETTERS = string.ascii_letters + string.digits
_TOKEN = re.compile(r"([0-9a-f]{4,64})/([0-9A-Za-z]{64})")


def issue_token(user: User, at: datetime) -> str:
    """Open a session for `user`; returns its token, which is nowhere stored.

    The token is `<hex of "u" and the user's id>/<64 letters and digits>`.
    """
    secret = "".join(secrets.choice(_SECRET_LETTERS) for _ in range(64))
    AccessToken.objects.create(user=user, secret_hash=_hash(secret), created_at=at, last_used_at=at)
    return f"{f'u{user.pk}'.encode().hex()}/{secret}"


def use_token(text: str, at: datetime) -> AccessToken | None:
    """The live session that `text` is the token of, noted as used; None if there is none."""
    shape = _TOKEN.fullmatch(text)
    if shape is None:
        return None
    live = AccessToken.objects.filter(
        last_used_at__gt=at - TOKEN_UNUSED_FOR, user__is_active=True
    ).select_related("user")
    # A hash is compared by the index: what an attacker learns from time is of no use to him.
    token = live.filter(secret_hash=_hash(shape[2])).first()
    if token is None or f"u{token.user_id}".encode().hex() != shape[1]:
        return None
    if token.last_used_at <= at - USED_PRECISION:
        stale = AccessToken.objects.filter(pk=token.pk, last_used_at__lt=at)
        stale.update(last_used_at=at)
    return token


def purge_tokens(at: datetime) -> int:
    """Forget sessions that nobody used for TOKEN_UNUSED_FOR; returns how many."""
    old = AccessToken.objects.filter(last_used_at__lte=at - TOKEN_UNUSED_FOR)
    return old.delete()[0]


def _hash(secret: str) -> str:
    # 64 random letters: a slow hash would protect nothing more.
    return hashlib.sha256(secret.encode()).hexdigest()
