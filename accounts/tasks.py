"""What workers and the timetable start."""

from celery import shared_task
from django.utils import timezone

from accounts import audit, codes, mail, services
from accounts.models import OutgoingMail

SWEEP_MAILS = 1000


@shared_task(name="accounts.send_mail")
def send_mail(*, mail_id: int, **_newer: object) -> None:
    mail.send(mail_id=mail_id, now=timezone.now())


@shared_task(name="accounts.sweep")
def sweep(**_newer: object) -> None:
    """Every minute: send what a lost wake-up left behind, forget codes that expired."""
    now = timezone.now()
    codes.purge(now)
    mail.tidy(now=now)
    due = OutgoingMail.objects.due(now).order_by("next_attempt_at")
    for mail_id in due.values_list("pk", flat=True)[:SWEEP_MAILS]:
        send_mail.delay(mail_id=mail_id)


@shared_task(name="accounts.purge_tokens")
def purge_tokens(**_newer: object) -> None:
    services.purge_tokens(timezone.now())


@shared_task(name="accounts.purge_audit_trail")
def purge_audit_trail(**_newer: object) -> None:
    audit.purge(timezone.now())
