"""Alerts by mail, as text and as HTML."""

from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPResponseException
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template import Context, Engine
from django.template.loader import render_to_string

from alerts import words

from .base import DeliveryError, Destination, Notification, Transport


class Email(Transport):
    """Through the mail server of the settings."""

    senders = 2  # mail servers dislike many connections from one client

    @property
    def missing(self) -> str:
        return "" if settings.EMAIL_URL else "no mail server"

    def send(self, notification: Notification, destination: Destination) -> None:
        """Send one mail. Raises DeliveryError."""
        try:
            message_for(notification, destination).send()
        except SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise DeliveryError(
                f"the mail server refused the address ({codes[0]})",
                permanent=all(code >= 500 for code in codes),
            ) from error
        except SMTPResponseException as error:
            # Of all else that a server refuses, such as a password or a sender, an operator must
            # mend it: until then it is only temporary.
            of_this_mail = isinstance(error, SMTPDataError) and error.smtp_code >= 500
            raise DeliveryError(
                f"the mail server refused ({error.smtp_code})", permanent=of_this_mail
            ) from error
        except OSError as error:  # which SMTPException is too
            raise DeliveryError(
                f"the mail server could not be used ({type(error).__name__})", permanent=False
            ) from error


def message_for(notification: Notification, destination: Destination) -> EmailMultiAlternatives:
    """The mail of a notification, in its language."""
    subject, paragraphs = _words(notification)
    context = {
        "subject": subject,
        "paragraphs": paragraphs,
        "link": f"{settings.PUBLIC_URL}/{notification.sensor_mac}",
    }
    domain = urlsplit(settings.PUBLIC_URL).hostname
    message = EmailMultiAlternatives(
        subject,
        render_to_string("mail/layout.txt", context),
        to=[destination.address],
        reply_to=[f"noreply@{domain}"],
        headers={
            "Auto-Submitted": "auto-generated",
            # Of repeats too, so that a mailbox may show them as one.
            "Message-ID": f"<{notification.collapse_key}@{domain}>",
        },
    )
    message.attach_alternative(render_to_string("mail/layout.html", context), "text/html")
    return message


def _words(notification: Notification) -> tuple[str, list[str]]:
    """Subject and paragraphs, as plain text: the HTML escapes what people wrote."""
    variables = {
        "title": notification.title,
        # One line: what somebody who shared it called it must not become a paragraph.
        "sensor": " ".join(notification.name.split()),
        "sensorMac": notification.sensor_mac,
        "type": notification.type_name,
        "violation": notification.trigger,
        "value": notification.value_text,
        "threshold": notification.threshold_text,
        "description": notification.description,
        "time": words.time(notification.opened_at),
    }
    name = f"mail/{notification.language}/AlertTriggered.txt"
    template = Engine.get_default().get_template(name)
    subject, _, body = template.render(Context(variables, autoescape=False)).strip().partition("\n")
    return " ".join(subject.split()), [p.strip() for p in body.split("\n\n") if p.strip()]
