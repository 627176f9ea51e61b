"""Verbs on plans: sell codes, claim them, give and extend."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest

from accounts.models import User
from ruuvinet.lib.api import DomainError
from subscriptions.codes import hash_code, make_code
from subscriptions.models import Allowance, Code, Plan, Subscription

REPEAT_WITHIN = timedelta(days=1)


class CodeNotFound(DomainError):
    status = 404
    code = "ER_SUBSCRIPTION_NOT_FOUND"


class CodeUsed(DomainError):
    status = 409
    code = "ER_SUBSCRIPTION_CODE_USED"


class CodeExists(DomainError):
    status = 409
    code = "ER_SUBSCRIPTION_CODE_EXISTS"


@transaction.atomic
def register_code(
    *, text: str, allowance: dict[str, Any], valid_days: int, creator_id: str = "", at: datetime
) -> Code:
    """Make the code `text` that gives `allowance` for `valid_days` from when it is claimed.

    The shop may repeat the same call within a day, as long as nobody has claimed the code.
    Raises CodeExists, and ValueError for what is no code.
    """
    asked = Code(
        code_hash=hash_code(text),
        valid_days=valid_days,
        creator_id=creator_id,
        created_at=at,
        **allowance,
    )
    Code.objects.bulk_create([asked], ignore_conflicts=True)
    stored = Code.objects.get(code_hash=asked.code_hash)
    if stored.claimed_at or at - stored.created_at > REPEAT_WITHIN or not stored.is_same(asked):
        raise CodeExists("Subscription code already used")
    return stored


def make_codes(
    *, plan: Plan, valid_days: int, count: int, creator_id: str, at: datetime
) -> list[tuple[int, str]]:
    """Make `count` codes for `plan`: their numbers and texts, which cannot be read again."""
    codes: dict[str, str] = {}
    while len(codes) < count:
        text = make_code()
        codes[hash_code(text)] = text
    made = Code.objects.bulk_create(
        Code(
            code_hash=code_hash,
            valid_days=valid_days,
            creator_id=creator_id,
            created_at=at,
            **plan.allowed(),
        )
        for code_hash in codes
    )
    return [(code.pk, codes[code.code_hash]) for code in made]


def claim_code(*, user: User, text: str, at: datetime) -> Subscription:
    """Start what the code `text` gives, at once; what `user` had before ends.

    Raises CodeNotFound, CodeUsed, and ValueError for what is no code.
    """
    code = Code.objects.filter(code_hash=hash_code(text)).first()
    if code is None:
        raise CodeNotFound("Code not found")
    if code.claimed_at is None:  # known without a lock to those who come too late
        with transaction.atomic():
            _lock(user)
            if Code.objects.unclaimed().filter(pk=code.pk).update(claimed_at=at, claimed_by=user):
                return _start(user, code, valid_days=code.valid_days, at=at)
    raise CodeUsed("Code already claimed")


@transaction.atomic
def give_plan(*, user: User, plan: Plan, valid_days: int | None, at: datetime) -> Subscription:
    """Start `plan` for `user` at once, for good without `valid_days`; what was before ends."""
    _lock(user)
    return _start(user, plan, valid_days=valid_days, at=at)


def _lock(user: User) -> None:
    """Of two plans that start at once, one must see and end the other."""
    User.objects.select_for_update().get(pk=user.pk)


def _start(
    user: User, allowance: Allowance, *, valid_days: int | None, at: datetime
) -> Subscription:
    Subscription.objects.active(at).filter(user=user).update(ends_at=at)
    ends_at = None if valid_days is None else at + timedelta(days=valid_days)
    return Subscription.objects.create(
        user=user, starts_at=at, ends_at=ends_at, **allowance.allowed()
    )


def extend(*, subscriptions: Iterable[Subscription], days: int, at: datetime) -> int:
    """Let them end `days` later, those that are over `days` from `at`; returns how many.

    One without end stays so.
    """
    ends = Subscription.objects.filter(
        pk__in=[one.pk for one in subscriptions], ends_at__isnull=False
    )
    return ends.update(ends_at=Greatest(F("ends_at"), at) + timedelta(days=days))


@transaction.atomic
def make_default(plan: Plan) -> None:
    """Let `plan` hold for everybody who has no other."""
    list(Plan.objects.select_for_update().order_by("pk"))  # two at once would both be it
    Plan.objects.filter(is_default=True).update(is_default=False)
    Plan.objects.filter(pk=plan.pk).update(is_default=True)
