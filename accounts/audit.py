"""The audit trail, and the patience with those who guess, which is counted by it."""

from datetime import datetime, timedelta
from math import ceil

from django.conf import settings
from django.db.models import Count, Max, Q

from accounts.models import AuditEntry

COUNTED_FOR = timedelta(minutes=15)
FREE_MISTAKES = 20  # a script that has the old secret fails at once and often
LONGEST_WAIT_S = 900


def note(
    *,
    kind: AuditEntry.Kind,
    actor: str,
    address: str,
    action: str,
    about: str = "",
    result: str,
    at: datetime,
) -> None:
    """Add an entry; what is too long is cut. `address` may be empty."""
    AuditEntry.objects.create(
        at=at,
        kind=kind,
        actor=actor[:254],
        address=address or None,
        action=action[:255],
        about=about[:255],
        result=result[:64],
    )


def wait_after_refusals_s(address: str, at: datetime) -> int:
    """How long calls from `address` are not even compared; 0 when they are."""
    return _wait_s(Q(kind=AuditEntry.Kind.REFUSED, address=address or None), at)


def wait_after_guesses_s(actor: str, at: datetime) -> int:
    """How long `actor` has to wait before the next activation code; 0 for not at all."""
    return _wait_s(Q(kind=AuditEntry.Kind.GUESS, actor=actor), at)


def _wait_s(mistakes: Q, at: datetime) -> int:
    """After FREE_MISTAKES twice as long after each one. What is refused meanwhile counts nothing."""
    lately = AuditEntry.objects.filter(mistakes, at__gt=at - COUNTED_FOR)
    found = lately.aggregate(count=Count("pk"), newest=Max("at"))
    beyond = found["count"] - FREE_MISTAKES
    if beyond < 0:
        return 0
    wait_s = min(2**beyond, LONGEST_WAIT_S)
    return max(0, ceil((found["newest"] - at).total_seconds() + wait_s))


def purge(at: datetime) -> int:
    """Forget what is older than AUDIT_RETENTION_DAYS; returns how many."""
    kept_since = at - timedelta(days=settings.AUDIT_RETENTION_DAYS)
    return AuditEntry.objects.filter(at__lt=kept_since).delete()[0]
