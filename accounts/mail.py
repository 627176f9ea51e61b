"""Mail: a row first, sent by a worker under a lease, as deliveries of alerts are.

The templates lie in templates/mail/<language>/<template>.txt: a subject, an empty line, and the
words. layout.txt and layout.html put the code and the link below them.
"""

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from smtplib import SMTPRecipientsRefused, SMTPResponseException
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F, QuerySet
from django.template import Context, Engine
from django.template.loader import render_to_string

from accounts.models import OutgoingMail, User, UserSetting
from ruuvinet.lib.outbox import GIVE_UP_AFTER, LEASE, retry_delay

log = logging.getLogger(__name__)

LANGUAGES = ("en", "fi", "sv")
SIGN_IN = "SignIn"  # AccountVerification or ResetCredentials: which one is decided by the worker
KEPT_FOR = timedelta(days=30)
_SWITCHES = ("DISABLE_EMAIL_NOTIFICATIONS", "disable_emails")  # the latter in old apps
# What people may switch off; codes and invitations they may not, or they could not sign in.
NOTIFICATIONS = {"ShareNotification", "UnshareNotification", "UnshareByShareeNotification"}


def queue_mail(
    template: str,
    *,
    to: str,
    variables: Mapping[str, str | list[str]],
    at: datetime,
    expires_at: datetime | None = None,
) -> OutgoingMail:
    """Note in the caller's transaction that a mail is to be sent; a worker is woken after it.

    `variables` are those of the template, which is chosen in the language of whoever has the
    address when the mail is sent. After `expires_at` it is not sent any more.
    """
    mail = OutgoingMail.objects.create(
        template=template,
        address=to,
        variables=json.dumps(variables),
        created_at=at,
        next_attempt_at=at,
        expires_at=expires_at,
    )
    # Robust: the sweep finds the row when there is no broker to say so.
    transaction.on_commit(lambda: _wake(mail.pk), robust=True)
    return mail


def _wake(mail_id: int) -> None:
    from accounts.tasks import send_mail  # which imports this module

    send_mail.delay(mail_id=mail_id)


def send(*, mail_id: int, now: datetime) -> None:
    """Send one mail if it is due. A failure is an outcome on its row, never raised."""
    mail = _claim(mail_id, now)
    if mail is None:
        return
    if mail.expires_at and mail.expires_at <= now:
        _finish(mail, OutgoingMail.Status.NOT_SENT, "it was too late")
    elif mail.template in NOTIFICATIONS and _is_unwanted(mail.address):
        _finish(mail, OutgoingMail.Status.NOT_SENT, "the person wants no notifications")
    elif not settings.EMAIL_URL:
        _keep_for_the_console(mail)
    else:
        _send(mail, now)


def _claim(mail_id: int, now: datetime) -> OutgoingMail | None:
    due = OutgoingMail.objects.due(now).filter(pk=mail_id)
    if due.update(next_attempt_at=now + LEASE, attempts=F("attempts") + 1) != 1:
        return None
    return OutgoingMail.objects.get(pk=mail_id)


def _send(mail: OutgoingMail, now: datetime) -> None:
    try:
        _message(mail).send()
    except OSError as error:  # which SMTPException is too
        log.warning("mail %d (%s) failed: %s", mail.pk, mail.template, error)
        _note_failure(mail, error, now)
    except Exception as error:  # a fault of ours; without an outcome it would repeat for ever
        log.exception("mail %d (%s)", mail.pk, mail.template)
        _note_failure(mail, error, now)
    else:
        log.info("mail %d (%s) sent", mail.pk, mail.template)
        _finish(mail, OutgoingMail.Status.SENT, "", sent_at=now)


def _keep_for_the_console(mail: OutgoingMail) -> None:
    """Without a mail server: people at home may read in the console what they need to sign in."""
    hint = "; a superuser can read it in the console" if mail.expires_at else ""
    log.warning(
        "mail %d (%s) could not be sent: there is no mail server (EMAIL_URL)%s",
        mail.pk,
        mail.template,
        hint,
    )
    kept = mail.variables if mail.expires_at else ""
    _finish(mail, OutgoingMail.Status.NOT_SENT, "no mail server", variables=kept)


def _note_failure(mail: OutgoingMail, error: Exception, now: datetime) -> None:
    retry_at = now + retry_delay(mail.attempts)
    if _is_permanent(error) or retry_at > (mail.expires_at or mail.created_at + GIVE_UP_AFTER):
        _finish(mail, OutgoingMail.Status.FAILED, str(error))
    else:
        _update(mail, next_attempt_at=retry_at, outcome=str(error)[:255])


def _is_permanent(error: Exception) -> bool:
    """Whether the mail server said so, which it does by a code of 500 and above."""
    if isinstance(error, SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, SMTPResponseException) and error.smtp_code >= 500


def _finish(
    mail: OutgoingMail,
    status: OutgoingMail.Status,
    outcome: str,
    *,
    variables: str = "",
    sent_at: datetime | None = None,
) -> None:
    _update(mail, status=status, outcome=outcome[:255], variables=variables, sent_at=sent_at)


def _update(mail: OutgoingMail, **fields: object) -> None:
    """Write an outcome, unless the lease ran out and another worker took the mail since."""
    OutgoingMail.objects.filter(
        pk=mail.pk, attempts=mail.attempts, status=OutgoingMail.Status.PENDING
    ).update(**fields)


def old_mails(now: datetime) -> QuerySet[OutgoingMail]:
    """Those from more than KEPT_FOR ago."""
    return OutgoingMail.objects.filter(created_at__lte=now - KEPT_FOR)


def tidy(*, now: datetime) -> int:
    """Empty mails whose code expired, and forget old ones; returns how many it forgot."""
    OutgoingMail.objects.filter(expires_at__lte=now).exclude(
        status=OutgoingMail.Status.PENDING
    ).exclude(variables="").update(variables="")
    return old_mails(now).delete()[0]


# --- Words ---------------------------------------------------------------------------------
def render(mail: OutgoingMail) -> tuple[str, str, str]:
    """Subject, text and HTML of a mail."""
    variables = {name: _in_lines(value) for name, value in json.loads(mail.variables).items()}
    name = f"mail/{_language(mail.address)}/{_template(mail)}.txt"
    # Plain text: what people call their sensors is escaped once, in the HTML.
    plain = Context(variables, autoescape=False)
    words = Engine.get_default().get_template(name).render(plain)
    subject, _, body = words.strip().partition("\n")
    context = {
        "paragraphs": body.strip().split("\n\n"),
        "code": variables.get("token"),
        "link": variables.get("link"),
    }
    text = render_to_string("mail/layout.txt", context)
    html = render_to_string("mail/layout.html", context | {"subject": subject})
    return " ".join(subject.split()), text, html


def _in_lines(value: object) -> object:
    """One line each: the name of a sensor must not become a subject or a paragraph of its own."""
    if isinstance(value, list):
        return [_in_lines(each) for each in value]
    return " ".join(str(value).split())


def _message(mail: OutgoingMail) -> EmailMultiAlternatives:
    subject, text, html = render(mail)
    domain = urlsplit(settings.PUBLIC_URL).hostname
    message = EmailMultiAlternatives(
        subject,
        text,
        to=[mail.address],
        reply_to=[f"noreply@{domain}"],
        headers={
            "Auto-Submitted": "auto-generated",
            "Message-ID": f"<{mail.pk}.{mail.created_at:%Y%m%d%H%M%S%f}@{domain}>",  # of repeats too
        },
    )
    message.attach_alternative(html, "text/html")
    return message


def _template(mail: OutgoingMail) -> str:
    if mail.template != SIGN_IN:
        return mail.template
    known = User.objects.filter(email=mail.address).exists()
    return "ResetCredentials" if known else "AccountVerification"


def _language(address: str) -> str:
    chosen = UserSetting.objects.filter(user__email=address, name="PROFILE_LANGUAGE_CODE")
    language = (chosen.values_list("value", flat=True).first() or "")[:2].lower()
    return language if language in LANGUAGES else LANGUAGES[0]


def _is_unwanted(address: str) -> bool:
    switch = UserSetting.objects.filter(user__email=address, name__in=_SWITCHES)
    return switch.filter(value__in=["1", "true"]).exists()
