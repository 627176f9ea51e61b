"""The audit trail: who did what, from where, and how it went."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Replace

from accounts.models import AuditEntry

LEFT = "(left)"  # no longer than the shortest address, so that it fits


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


def forget_person(email: str) -> None:
    """Take the address of somebody who left out of the trail; what happened stays."""
    fields = ("actor", "action", "about")
    naming = Q(actor__contains=email) | Q(action__contains=email) | Q(about__contains=email)
    nameless = {field: Replace(F(field), Value(email), Value(LEFT)) for field in fields}
    AuditEntry.objects.filter(naming).update(**nameless)


def expired(at: datetime) -> QuerySet[AuditEntry]:
    """What is older than AUDIT_RETENTION_DAYS."""
    return AuditEntry.objects.filter(at__lt=at - timedelta(days=settings.AUDIT_RETENTION_DAYS))


def purge(at: datetime) -> int:
    """Forget what expired; returns how many."""
    return expired(at).delete()[0]
