"""Codes that are mailed, good for one use. Stored as an HMAC, so that a copy of the database or
its backup signs nobody in.
"""

import secrets
import string
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac

from accounts.models import OneTimeCode

Purpose = OneTimeCode.Purpose

ALPHABET = string.ascii_uppercase + string.digits
LENGTH = {
    Purpose.SIGN_IN: 4,  # the apps have four boxes
    Purpose.DELETE_ACCOUNT: 32,  # a link; nobody types it
}
LIFETIME = {Purpose.SIGN_IN: timedelta(minutes=5), Purpose.DELETE_ACCOUNT: timedelta(days=1)}


def make_code(purpose: Purpose, *, email: str, at: datetime, asked_from: str = "") -> str:
    """A code that nobody else holds at present. `asked_from` is the caller's `network_of`."""
    while True:  # 36^4 codes live for minutes: a second try is rare
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH[purpose]))
        digest = _digest(purpose, code)
        expired(at).filter(digest=digest).delete()
        try:
            with transaction.atomic():
                OneTimeCode.objects.create(
                    purpose=purpose,
                    digest=digest,
                    email=email,
                    asked_from=asked_from or None,
                    expires_at=at + LIFETIME[purpose],
                )
        except IntegrityError:
            continue
        return code


def redeem_code(
    purpose: Purpose, code: str, *, at: datetime, asked_from: str | None = None
) -> str | None:
    """Use up a live code; returns the address that it was mailed to, None if there is none.

    With `asked_from` only codes count that were asked for from there.
    """
    live = OneTimeCode.objects.filter(digest=_digest(purpose, code.upper()), expires_at__gt=at)
    if asked_from is not None:
        live = live.filter(asked_from=asked_from or None)
    found = live.first()
    if found is None or OneTimeCode.objects.filter(pk=found.pk).delete()[0] != 1:
        return None
    return found.email


def _digest(purpose: Purpose, code: str) -> str:
    return salted_hmac(f"accounts.codes.{purpose}", code, algorithm="sha256").hexdigest()


def expired(at: datetime) -> QuerySet[OneTimeCode]:
    return OneTimeCode.objects.filter(expires_at__lte=at)


def purge(at: datetime) -> int:
    """Forget the expired codes; returns how many."""
    return expired(at).delete()[0]
