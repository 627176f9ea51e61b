"""Mail: rows, languages, and a real SMTP server that takes or refuses them."""

import email
import json
import logging
from datetime import timedelta
from email import policy

import pytest
from aiosmtpd.controller import Controller
from django.core import mail as outbox
from django.db import connection

from accounts import mail, tasks
from accounts.models import OutgoingMail, UserSetting
from ruuvinet.lib.outbox import GIVE_UP_AFTER, LEASE
from tests.services import free_port
from tests.threads import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
Status = OutgoingMail.Status
CODE = {"token": "AB12", "link": "https://ruuvi.example/verify?token=AB12"}
SHARE = {"sharer": "bob@example.com", "sensor": "Sauna <b>"}


class Postbox:
    """Keeps what it is sent; answers `refusal` to a recipient when there is one."""

    def __init__(self):
        self.mails = []
        self.refusal = None

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
def postbox(settings):
    """A mail server, which EMAIL_URL names."""
    box, port = Postbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_URL = f"smtp://127.0.0.1:{port}"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    yield box
    controller.stop()


@pytest.fixture
def queue(now):
    def queue(template="ShareNotification", variables=SHARE, to="alice@example.com", **more):
        return mail.queue_mail(template, to=to, variables=variables, at=now, **more)

    return queue


def again(row):
    row.refresh_from_db()
    return row


def words(message, kind):
    return message.get_body((kind,)).get_content()


def test_a_mail_has_text_and_html_and_says_who_sends_it(postbox, queue, now, settings):
    settings.PUBLIC_URL = "https://ruuvi.example"
    row = queue()
    mail.send(mail_id=row.pk, now=now)
    (message,) = postbox.mails
    assert message["Subject"] == "bob@example.com shared a sensor with you"
    assert (message["To"], message["Reply-To"]) == ("alice@example.com", "noreply@ruuvi.example")
    assert message["From"].startswith("Ruuvi <")
    assert message["Auto-Submitted"] == "auto-generated"
    assert 'the sensor "Sauna <b>"' in words(message, "plain")
    assert "Sauna &lt;b&gt;" in words(message, "html")


def test_a_sent_mail_keeps_nothing_of_its_text(postbox, queue, now):
    row = queue()
    mail.send(mail_id=row.pk, now=now)
    row = again(row)
    assert (row.status, row.sent_at, row.variables) == (Status.SENT, now, "")


def test_variables_are_encrypted_in_the_database(queue):
    queue(mail.SIGN_IN, CODE)
    with connection.cursor() as cursor:
        cursor.execute("SELECT variables FROM accounts_outgoingmail")
        assert "AB12" not in cursor.fetchone()[0]


def test_a_sent_mail_is_not_sent_again(postbox, queue, now):
    row = queue()
    for minutes in range(3):
        mail.send(mail_id=row.pk, now=now + minutes * LEASE)
    assert len(postbox.mails) == 1


def test_a_repeat_after_a_crash_has_the_same_message_id(postbox, queue, now):
    row = queue()
    mail.send(mail_id=row.pk, now=now)
    OutgoingMail.objects.update(status=Status.PENDING, variables=json.dumps(SHARE))
    mail.send(mail_id=row.pk, now=now + LEASE)
    assert len({message["Message-ID"] for message in postbox.mails}) == 1


def test_an_address_that_does_not_exist_is_given_up(postbox, queue, now):
    postbox.refusal = "550 no such person"
    row = queue()
    mail.send(mail_id=row.pk, now=now)
    row = again(row)
    assert (row.status, row.variables) == (Status.FAILED, "")
    assert "no such person" in row.outcome


def test_a_busy_server_is_tried_again_later(postbox, queue, now):
    postbox.refusal = "450 later"
    row = queue()
    mail.send(mail_id=row.pk, now=now)
    row = again(row)
    assert row.status == Status.PENDING
    assert row.next_attempt_at > now
    postbox.refusal = None
    mail.send(mail_id=row.pk, now=row.next_attempt_at)
    assert again(row).status == Status.SENT


def test_a_server_that_is_gone_is_tried_for_a_day(postbox, queue, now, settings):
    settings.EMAIL_PORT = 1
    row = queue()
    mail.send(mail_id=row.pk, now=now)
    assert again(row).status == Status.PENDING
    mail.send(mail_id=row.pk, now=now + GIVE_UP_AFTER)
    assert again(row).status == Status.FAILED


def test_a_code_that_expired_is_not_sent(postbox, queue, now):
    row = queue(mail.SIGN_IN, CODE, expires_at=now + timedelta(minutes=5))
    mail.send(mail_id=row.pk, now=now + timedelta(minutes=5))
    row = again(row)
    assert (row.status, row.variables, postbox.mails) == (Status.NOT_SENT, "", [])


def test_a_fault_of_ours_is_an_outcome(postbox, queue, now, caplog):
    row = queue("NoSuchTemplate", {})
    mail.send(mail_id=row.pk, now=now)
    row = again(row)
    assert (row.status, row.attempts) == (Status.PENDING, 1)
    assert "TemplateDoesNotExist" in caplog.text


@pytest.mark.parametrize(
    ("chosen", "subject"),
    [
        (None, "Your Ruuvi sign-in code"),
        ("fi", "Ruuvi-kirjautumiskoodisi"),
        ("sv-FI", "Din inloggningskod till Ruuvi"),
        ("FI", "Ruuvi-kirjautumiskoodisi"),
        ("de", "Your Ruuvi sign-in code"),
        ("../x", "Your Ruuvi sign-in code"),
    ],
)
def test_mail_speaks_the_persons_language(alice, queue, now, chosen, subject):
    if chosen:
        UserSetting.objects.create(
            user=alice, name="PROFILE_LANGUAGE_CODE", value=chosen, edited_at=now
        )
    assert mail.render(queue(mail.SIGN_IN, CODE))[0] == subject


def test_a_newcomer_is_welcomed(queue):
    assert mail.render(queue(mail.SIGN_IN, CODE))[0] == "Welcome to Ruuvi"


@pytest.mark.parametrize("language", mail.LANGUAGES)
@pytest.mark.parametrize(
    ("template", "variables"),
    [
        ("AccountVerification", CODE),
        ("ResetCredentials", CODE),
        ("DeleteAccount", {"link": CODE["link"]}),
        ("AccountInvite", {"from": "bob@example.com", "sensor": "Sauna"}),
        ("ShareNotification", SHARE),
        ("UnshareNotification", SHARE),
        ("UnshareByShareeNotification", {"sharee": "bob@example.com", "sensor": "Sauna"}),
        ("SensorContested", {"sensor": "Sauna"}),
        ("OperatorNotice", {"began_count": "17", "over_count": "29", "link": CODE["link"]}),
    ],
)
def test_every_mail_says_all_it_has_to_say(alice, queue, now, language, template, variables):
    UserSetting.objects.create(
        user=alice, name="PROFILE_LANGUAGE_CODE", value=language, edited_at=now
    )
    subject, text, html = mail.render(queue(template, variables))
    for value in variables.values():
        assert value in subject + text
    assert subject
    assert "<h1" in html
    assert "{{" not in subject + text + html


def test_a_line_end_in_a_name_makes_no_header(queue):
    subject, _, _ = mail.render(queue(variables={"sharer": "x\nBcc: y", "sensor": "\n"}))
    assert "\n" not in subject


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DISABLE_EMAIL_NOTIFICATIONS", "1"),
        ("DISABLE_EMAIL_NOTIFICATIONS", "true"),
        ("disable_emails", "1"),
    ],
)
def test_notifications_can_be_switched_off_but_codes_cannot(
    alice, postbox, queue, now, name, value
):
    UserSetting.objects.create(user=alice, name=name, value=value, edited_at=now)
    rows = [queue(), queue(mail.SIGN_IN, CODE)]
    for row in rows:
        mail.send(mail_id=row.pk, now=now)
    assert [again(row).status for row in rows] == [Status.NOT_SENT, Status.SENT]


def test_a_name_of_several_lines_adds_no_words_of_its_own(postbox, queue, now):
    plain = queue("UnshareByShareeNotification", {"sharee": "bob@example.com", "sensor": "a b"})
    odd = queue(
        "UnshareByShareeNotification",
        {"sharee": "bob@example.com\nBcc: x@example.com", "sensor": "a\r\n\r\nYour account\u2028b"},
    )
    for row in (plain, odd):
        mail.send(mail_id=row.pk, now=now)
    expected, message = (words(m, "plain") for m in postbox.mails)
    assert message.count("\n") == expected.count("\n")
    assert postbox.mails[1]["Bcc"] is None
    assert postbox.mails[1]["Subject"].startswith("bob@example.com Bcc: x@example.com removed")


class TestWithoutMailServer:
    def test_the_log_says_so_once_and_not_the_code(self, queue, now, caplog):
        row = queue(mail.SIGN_IN, CODE, expires_at=now + timedelta(minutes=5))
        with caplog.at_level(logging.INFO):
            for _ in range(2):
                mail.send(mail_id=row.pk, now=now)
                tasks.sweep()
        assert caplog.text.count("could not be sent") == 1
        assert "AB12" not in caplog.text
        assert outbox.outbox == []

    def test_a_code_stays_readable_until_it_expires(self, queue, now):
        expires_at = now + timedelta(minutes=5)
        row = queue(mail.SIGN_IN, CODE, expires_at=expires_at)
        mail.send(mail_id=row.pk, now=now)
        mail.tidy(now=expires_at - timedelta(seconds=1))
        assert "AB12" in again(row).variables
        mail.tidy(now=expires_at)
        assert again(row).variables == ""

    def test_a_notification_keeps_nothing(self, queue, now):
        row = queue()
        mail.send(mail_id=row.pk, now=now)
        assert (again(row).status, row.variables) == (Status.NOT_SENT, "")


def test_mail_is_forgotten_after_a_month(queue, now):
    queue()
    mail.tidy(now=now + timedelta(days=29))
    assert OutgoingMail.objects.exists()
    mail.tidy(now=now + timedelta(days=30))
    assert not OutgoingMail.objects.exists()


def test_a_broker_that_is_gone_fails_no_request(
    queue, django_capture_on_commit_callbacks, monkeypatch, caplog
):
    monkeypatch.setattr(tasks.send_mail, "delay", lambda **_: 1 / 0)
    with django_capture_on_commit_callbacks(execute=True):
        queue()
    assert OutgoingMail.objects.filter(status=Status.PENDING).exists()


def test_the_sweep_finds_what_a_lost_message_left_behind(queue, monkeypatch, now):
    woken = []
    monkeypatch.setattr(tasks.send_mail, "delay", lambda mail_id: woken.append(mail_id))
    row = queue()
    tasks.sweep()
    assert woken == [row.pk]


@pytest.mark.storage
@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_sends(postbox, queue, now):
    row = queue()
    at_once(*[lambda: mail.send(mail_id=row.pk, now=now)] * 6)
    assert len(postbox.mails) == 1
