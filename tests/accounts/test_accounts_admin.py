"""Sessions and mail in the console: no secret is shown."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts import mail
from accounts.models import AccessToken, OutgoingMail, User
from accounts.services import issue_token

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def row(now):
    row = mail.queue_mail(
        mail.SIGN_IN,
        to="alice@example.com",
        variables={"token": "AB12", "link": "https://ruuvi.example/verify?token=AB12"},
        at=now,
        expires_at=now + timedelta(minutes=5),
    )
    mail.send(mail_id=row.pk, now=now)
    return row


def page(user, url):
    console = Client()
    console.force_login(user)
    reply = console.get(f"/admin/accounts/{url}")
    assert reply.status_code == 200
    return reply.text


def test_a_superuser_at_home_reads_the_code_until_it_expires(admin_user, row, clock):
    url = f"outgoingmail/{row.pk}/change/"
    assert "AB12" in page(admin_user, url)
    assert "AB12" not in page(admin_user, "outgoingmail/")
    clock.shift(300)
    assert "AB12" not in page(admin_user, url)


def test_other_staff_does_not_read_it(row):
    staff = User.objects.create_user("staff@example.com", is_staff=True)

    staff.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    assert "AB12" not in page(staff, f"outgoingmail/{row.pk}/change/")


def test_with_a_mail_server_nobody_reads_it(admin_user, row, settings):
    settings.EMAIL_URL = "smtp://mail.example"
    assert "AB12" not in page(admin_user, f"outgoingmail/{row.pk}/change/")


def test_mail_that_waits_can_be_tried_now(admin_user, row, now):
    OutgoingMail.objects.update(status="pending", next_attempt_at=now + timedelta(hours=1))
    console = Client()
    console.force_login(admin_user)
    console.post(
        "/admin/accounts/outgoingmail/", {"action": "retry_now", "_selected_action": [row.pk]}
    )
    assert OutgoingMail.objects.due(now).exists()


def test_a_session_shows_no_secret_and_can_be_ended(admin_user, alice, now):
    issue_token(alice, now)
    session = AccessToken.objects.get()
    for url in ("accesstoken/", f"accesstoken/{session.pk}/change/"):
        text = page(admin_user, url)
        assert "alice@example.com" in text
        assert session.secret_hash not in text
    console = Client()
    console.force_login(admin_user)
    console.post(f"/admin/accounts/accesstoken/{session.pk}/delete/", {"post": "yes"})
    assert not AccessToken.objects.exists()
