"""Signing in: to the console with a password, to the apps with a code that comes by mail."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from rest_framework.exceptions import Throttled

from accounts.codes import LIFETIME, Purpose, make_code, redeem_code
from accounts.mail import SIGN_IN, queue_mail
from accounts.models import OneTimeCode
from ruuvinet.lib.api import DomainError
from ruuvinet.lib.rates import Rate, network_of

CALLS_BY_EMAIL = Rate("register-email", limit=10, window=timedelta(hours=1))
CALLS_BY_ADDRESS = Rate("register-address", limit=10, window=timedelta(hours=1))
# Four characters can be guessed: docs/api.md says what these limits leave to an attacker.
WRONG_BY_ADDRESS = Rate("sign-in-wrong-address", limit=5, window=timedelta(minutes=5))
WRONG_IN_TOTAL = Rate("sign-in-wrong", limit=100, window=timedelta(minutes=5))


class CodeExpired(DomainError):
    status = 493
    code = "ER_TOKEN_EXPIRED"

    def __init__(self) -> None:
        super().__init__("The code is wrong, was used or has expired.")


class LinkRefused(DomainError):
    """A link that no mail holds, or not any more."""

    status = 403
    code = "ER_UNAUTHORIZED"

    def __init__(self) -> None:
        super().__init__("Unauthorized request.")


def send_code(email: str, *, address: str, at: datetime) -> None:
    """Mail a sign-in code. Raises Throttled.

    Does the same for everybody, so that neither answer nor time tells who has an account.
    """
    caller = network_of(address)
    CALLS_BY_ADDRESS.ensure(caller, at)
    CALLS_BY_EMAIL.ensure(email, at)
    with transaction.atomic():
        code = make_code(Purpose.SIGN_IN, email=email, at=at, asked_from=caller)
        queue_mail(
            SIGN_IN,
            to=email,
            variables={"token": code, "link": f"{settings.PUBLIC_URL}/verify?token={code}"},
            at=at,
            expires_at=at + LIFETIME[Purpose.SIGN_IN],
        )


def code_for_support(email: str, *, at: datetime) -> str:
    """A sign-in code that is not mailed, for whoever knows INTERNAL_SECRET."""
    return make_code(Purpose.SIGN_IN, email=email, at=at)


def redeem_sign_in_code(code: str, *, address: str, at: datetime) -> str:
    """Use up a code; returns its e-mail address. Raises CodeExpired, Throttled."""
    caller = network_of(address)
    # Counted before it is tried, so that of many at once no more get through.
    WRONG_BY_ADDRESS.ensure(caller, at)
    asked_from = None
    if WRONG_IN_TOTAL.count("", at) > WRONG_IN_TOTAL.limit:
        # Somebody guesses from many addresses: for now a code works only where it was asked for.
        asked_from = caller
        _ensure_asked(caller, at)
    email = redeem_code(Purpose.SIGN_IN, code, at=at, asked_from=asked_from)
    if email is None:
        raise CodeExpired
    WRONG_BY_ADDRESS.forgive(caller, at)
    WRONG_IN_TOTAL.forgive("", at)
    return email


def _ensure_asked(caller: str, at: datetime) -> None:
    asked = OneTimeCode.objects.filter(
        purpose=Purpose.SIGN_IN, asked_from=caller or None, expires_at__gt=at
    )
    if not asked.exists():
        raise Throttled(WRONG_IN_TOTAL.wait_s(at))


def counted_name(request: HttpRequest, credentials: Mapping[str, str] | None) -> str | None:
    """The name under which django-axes counts failures: one for all spellings of an address.

    Cut to what its table holds, since a stranger may type more.
    """
    given = (credentials or request.POST).get("username")
    return given.strip().lower()[:255] if given else None
