"""The second factor of people who open the console: a code from an app on their phone (TOTP).

The key lies encrypted, since the app's codes are computed from it; of recovery codes only an HMAC
is kept. A code is good for one use, and a person's wrong ones are counted whatever their address.
"""

import base64
import secrets
import string
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode, urlsplit

import segno
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.db import transaction
from django.utils.crypto import constant_time_compare, salted_hmac
from django_otp.oath import TOTP

from accounts.models import SecondFactor, User
from ruuvinet.lib.crypto import fernet
from ruuvinet.lib.rates import Rate

KEY_BYTES = 20
TOLERANCE = 1  # steps of 30 s that a phone's clock may be off, either way
RECOVERY_CODES = 10
RECOVERY_LENGTH = 10  # 50 bits: nobody guesses one, and an HMAC of one leads nowhere
SET_UP_WITHIN = timedelta(hours=1)
# django-axes counts by name and address; this one holds for a guesser with many addresses.
WRONG_BY_PERSON = Rate("second-factor-wrong", limit=30, window=timedelta(hours=1))


class PersonBackend(ModelBackend):
    """Django's, which finds out with the person whether there is a second factor to ask for."""

    def get_user(self, user_id: int) -> User | None:
        people = User.objects.select_related("second_factor")
        user = people.defer("second_factor__key").filter(pk=user_id).first()
        return user if user and self.user_can_authenticate(user) else None


# --- Setting up ----------------------------------------------------------------------------
def new_key() -> str:
    """A key in base32, as authenticator apps take it."""
    return base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode()


def seal(user: User, key: str, at: datetime) -> str:
    """`key` as a page may carry it to and fro: readable by us alone, for this person, for an hour."""
    return fernet().encrypt_at_time(f"{user.pk} {key}".encode(), int(at.timestamp())).decode()


def unseal(user: User, sealed: str, at: datetime) -> str:
    """The key in what `seal` made. Raises ValueError."""
    try:
        opened = fernet().decrypt_at_time(
            sealed, int(SET_UP_WITHIN.total_seconds()), int(at.timestamp())
        )
    except InvalidToken as error:
        raise ValueError("It took too long.") from error
    whose, _, key = opened.decode().partition(" ")
    if whose != str(user.pk):
        raise ValueError("It was made for somebody else.")
    return key


def picture(user: User, key: str) -> str:
    """The QR code that an authenticator app reads, as the address of an SVG image."""
    issuer = f"RuuviNet {urlsplit(settings.PUBLIC_URL).hostname}"
    query = urlencode({"secret": key, "issuer": issuer}, quote_via=quote)
    uri = f"otpauth://totp/{quote(f'{issuer}:{user.email}')}?{query}"
    return str(segno.make_qr(uri).svg_data_uri(scale=5, light="#fff"))


@transaction.atomic
def turn_on(user: User, *, key: str, code: str, at: datetime) -> list[str] | None:
    """Ask for codes of `key` from now on; returns the recovery codes, None if `code` is wrong.

    Raises Throttled. One that the person had before is replaced.
    """
    WRONG_BY_PERSON.ensure(str(user.pk), at)
    step = _step_of(key, code, at, after=-1)
    if step is None:
        return None
    WRONG_BY_PERSON.forgive(str(user.pk), at)
    codes = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
    turn_off(user)
    user.second_factor = SecondFactor.objects.create(
        user=user, key=key, used_step=step, recovery_digests=[_digest(each) for each in codes]
    )
    return codes


def turn_off(user: User) -> bool:
    """Ask for no code any more; returns whether one was asked for. Sessions stay open."""
    return bool(SecondFactor.objects.filter(user=user).delete()[0])


# --- Asking --------------------------------------------------------------------------------
@transaction.atomic
def redeem(user: User, code: str, at: datetime) -> SecondFactor | None:
    """The person's second factor if `code` is right, which it is only once. Raises Throttled."""
    # Counted before it is tried, so that of many at once no more get through.
    WRONG_BY_PERSON.ensure(str(user.pk), at)
    found = SecondFactor.objects.select_for_update().filter(user=user)
    factor: SecondFactor | None = found.first()
    if factor is None or not _use_up(factor, code, at):
        return None
    WRONG_BY_PERSON.forgive(str(user.pk), at)
    return factor


def _use_up(factor: SecondFactor, code: str, at: datetime) -> bool:
    step = _step_of(factor.key, code, at, after=factor.used_step)
    if step is not None:
        factor.used_step = step
        factor.save(update_fields=["used_step"])
        return True
    digest = _digest(code)
    left = [each for each in factor.recovery_digests if not constant_time_compare(each, digest)]
    if len(left) == len(factor.recovery_digests):
        return False
    factor.recovery_digests = left
    factor.save(update_fields=["recovery_digests"])
    return True


def _step_of(key: str, code: str, at: datetime, *, after: int) -> int | None:
    """The time step later than `after` that `code` belongs to, None if it is wrong or too old."""
    digits = "".join(code.split())
    # An empty key is one that no ENCRYPTION_KEYS can read: anybody could compute its codes.
    if not key or len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        return None
    totp = TOTP(base64.b32decode(key))
    totp.time = at.timestamp()
    return int(totp.t()) if totp.verify(int(digits), TOLERANCE, after + 1) else None


_LETTERS = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("0o1l")))


def _new_recovery_code() -> str:
    code = "".join(secrets.choice(_LETTERS) for _ in range(RECOVERY_LENGTH))
    return f"{code[:5]}-{code[5:]}"


def _digest(code: str) -> str:
    plain = "".join(each for each in code.lower() if each.isalnum())
    return salted_hmac("accounts.second_factor", plain, algorithm="sha256").hexdigest()
