"""The audit trail: who did what, from where, and how it went."""

from datetime import datetime, timedelta

from django.conf import settings

from accounts.models import AuditEntry


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


def purge(at: datetime) -> int:
    """Forget what is older than AUDIT_RETENTION_DAYS; returns how many."""
    kept_since = at - timedelta(days=settings.AUDIT_RETENTION_DAYS)
    return AuditEntry.objects.filter(at__lt=kept_since).delete()[0]
