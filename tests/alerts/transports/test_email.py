"""Alerts by mail, through a real mail server."""

from dataclasses import replace

import pytest

from alerts.transports.base import DeliveryError, Destination
from alerts.transports.email import Email, message_for
from tests.alerts.smtp import mail_server
from tests.alerts.transports.test_push_messages import FRIDGE

ALICE = Destination(address="alice@example.com")
MAIL = replace(FRIDGE, title="Temperature 8.5 °C, above the limit of 8 °C")


@pytest.fixture
def server(settings):
    with mail_server() as (server, port):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_URL = "smtp://"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        yield server


def parts(mail):
    return mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()


def test_a_mail_says_what_happened_where_and_when_in_text_and_html(server, settings):
    Email().send(MAIL, ALICE)
    (mail,) = server.mails
    assert mail["To"] == "alice@example.com"
    assert mail["Subject"].strip() == "Fridge: Temperature 8.5 °C, above the limit of 8 °C"
    for part in parts(mail):
        for said in (
            "Temperature 8.5 °C, above the limit of 8 °C.",
            "Note: check door",
            "Sensor: Fridge (AA:BB:CC:DD:EE:FF)",
            "Value: 8.5 °C",
            "Limit: 8 °C",
            "Time: 2026-04-01 12:00 UTC",
            f"{settings.PUBLIC_URL}/AA:BB:CC:DD:EE:FF",
        ):
            assert said in part


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Value", "Limit", "Time")),
        ("fi", ("Arvo", "Raja", "Aika")),
        ("sv", ("Värde", "Gräns")),
    ],
)
def test_a_mail_speaks_the_persons_language(language, words):
    text = str(message_for(replace(MAIL, language=language), ALICE).body)
    assert [word for word in words if f"{word}: " not in text] == []


def test_a_movement_mail_has_no_limits():
    moved = replace(MAIL, alert_type="movement", trigger="different from", title="Movement noticed")
    assert "Limit" not in str(message_for(moved, ALICE).body)


def test_a_mail_without_a_note_has_no_empty_one():
    assert "Note" not in str(message_for(replace(MAIL, description=""), ALICE).body)


@pytest.mark.parametrize("value", ["0 °C", "0"])
def test_zero_is_a_value_like_others(value):
    text = str(message_for(replace(MAIL, value_text=value, threshold_text=value), ALICE).body)
    assert f"Value: {value}\n" in text


def test_what_people_write_is_escaped_once_and_only_in_html():
    mail = message_for(replace(MAIL, description="<b>&", name="<i>"), ALICE)
    assert "Note: <b>&" in str(mail.body)
    html = str(mail.alternatives[0][0])
    assert "Note: &lt;b&gt;&amp;" in html
    assert "<b>" not in html
    assert "<i>" not in html


def test_a_name_with_a_line_break_makes_no_header():
    mail = message_for(replace(MAIL, name="a\r\nBcc: x@example.com"), ALICE)
    assert "\n" not in mail.subject
    mail.message()


def test_a_name_with_a_line_break_makes_no_paragraph():
    lines = [
        str(message_for(replace(MAIL, name=name), ALICE).body).count("\n")
        for name in ("Fridge door", "Fridge\n\ndoor")
    ]
    assert lines[0] == lines[1]


def test_a_repeated_mail_has_the_same_message_id():
    first, second = (message_for(MAIL, ALICE).message()["Message-ID"] for _ in range(2))
    assert first == second


def failure():
    with pytest.raises(DeliveryError) as raised:
        Email().send(MAIL, ALICE)
    return raised.value


@pytest.mark.parametrize(
    ("answer", "permanent"), [("550 no such user", True), ("451 try later", False)]
)
def test_a_refused_address_is_permanent_when_the_server_says_so(server, answer, permanent):
    server.refuse = answer
    assert failure().permanent is permanent


@pytest.mark.parametrize("answer", ["550 not this sender", "530 sign in first", "451 later"])
def test_what_an_operator_must_mend_loses_no_alert(server, answer):
    server.refuse_sender = answer
    assert not failure().permanent


@pytest.mark.parametrize(("answer", "permanent"), [("554 spam", True), ("452 full", False)])
def test_a_refused_mail_is_permanent_when_the_server_says_so(server, answer, permanent):
    server.refuse_mail = answer
    assert failure().permanent is permanent


def test_a_mail_server_that_is_down_is_temporary(server, settings):
    settings.EMAIL_PORT = 1
    error = failure()
    assert not error.permanent
    assert "alice" not in error.message


def test_without_a_mail_server_nothing_can_be_sent(settings):
    settings.EMAIL_URL = ""
    assert Email().missing == "no mail server"
