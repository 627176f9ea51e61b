"""Verbs on people, their sessions and settings."""

import hashlib
import re
import secrets
import string
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from accounts.codes import LIFETIME, Purpose, make_code
from accounts.mail import queue_mail
from accounts.models import AccessToken, User, UserSetting
from ruuvinet.lib.api import DomainError, InvalidFormat
from ruuvinet.lib.edits import edit_time
from ruuvinet.lib.rates import Rate

TOKEN_UNUSED_FOR = timedelta(days=180)
USED_PRECISION = timedelta(minutes=1)  # not a write for every read
MAX_SETTINGS = 500  # several times what all apps together know
DELETION_MAILS = Rate("request-delete", limit=10, window=timedelta(hours=1))

_SECRET_LETTERS = string.ascii_letters + string.digits
_TOKEN = re.compile(r"([0-9a-f]{4,64})/([0-9A-Za-z]{64})")


class NotYours(DomainError):
    status = 403
    code = "ER_UNAUTHORIZED"


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


def unused_tokens(at: datetime) -> QuerySet[AccessToken]:
    """Sessions that nobody used for TOKEN_UNUSED_FOR."""
    return AccessToken.objects.filter(last_used_at__lte=at - TOKEN_UNUSED_FOR)


def purge_tokens(at: datetime) -> int:
    """Forget the unused sessions; returns how many."""
    return unused_tokens(at).delete()[0]


@transaction.atomic
def save_setting(*, user: User, name: str, value: str, timestamp: int | None, now: datetime) -> str:
    """Keep what a person chose; returns `added` or `updated`. Raises NewerExists, InvalidFormat.

    `timestamp` is when the client made the edit, Unix seconds; None for now.
    """
    # Two edits at once must not both find no newer one. No key: a new session need not wait.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    stored = UserSetting.objects.filter(user=user, name=name).first()
    edited_at = edit_time(timestamp, stored=stored.edited_at if stored else None, now=now)
    if stored is None and user.settings.count() >= MAX_SETTINGS:
        raise InvalidFormat("Too many settings.")
    fields = {"value": value, "edited_at": edited_at}
    UserSetting.objects.update_or_create(user=user, name=name, defaults=fields)
    return "updated" if stored else "added"


@transaction.atomic
def request_deletion(*, user: User, email: str, at: datetime) -> None:
    """Mail `user` a link that deletes the account. Raises NotYours, Throttled."""
    if email != user.email:
        raise NotYours("Unauthorized request.")
    DELETION_MAILS.ensure(str(user.pk), at)
    code = make_code(Purpose.DELETE_ACCOUNT, email=email, at=at)
    queue_mail(
        "DeleteAccount",
        to=email,
        variables={"link": f"{settings.PUBLIC_URL}/verify-delete?token={code}"},
        at=at,
        expires_at=at + LIFETIME[Purpose.DELETE_ACCOUNT],
    )


def _hash(secret: str) -> str:
    # 64 random letters: a slow hash would protect nothing more.
    return hashlib.sha256(secret.encode()).hexdigest()
