"""Verbs that join rooms, each in one transaction."""

from datetime import datetime
from typing import NamedTuple

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from accounts import audit
from accounts.codes import Purpose, redeem_code
from accounts.models import AuditEntry, OneTimeCode, OutgoingMail, User
from accounts.services import issue_token
from accounts.sign_in import LinkRefused, redeem_sign_in_code
from alerts.services import delete_rules
from ruuvinet.lib.api import Forbidden
from sensors import pictures
from sensors.models import Access, PendingShare, Sensor
from sensors.sharing import accept_pending_shares, release_sensor
from subscriptions.models import Code

SOMEBODY_GONE = "a deleted account"


class SignedIn(NamedTuple):
    user: User
    token: str
    is_new: bool


@transaction.atomic
def sign_in(*, code: str, address: str, at: datetime) -> SignedIn:
    """Open a session for whoever holds a sign-in code; makes the account at the first time.

    What was shared with the address before becomes readable. Raises CodeExpired, Throttled,
    Forbidden.
    """
    email = redeem_sign_in_code(code, address=address, at=at)
    unusable = {"password": make_password(None)}
    user, is_new = User.objects.get_or_create(email=email, defaults=unusable)
    if not user.is_active:
        raise Forbidden("This account is locked.")
    accept_pending_shares(user=user, at=at)
    return SignedIn(user, issue_token(user, at), is_new)


@transaction.atomic
def confirm_deletion(*, code: str, at: datetime) -> None:
    """Delete the account of whoever holds a deletion code. Raises LinkRefused."""
    email = redeem_code(Purpose.DELETE_ACCOUNT, code, at=at)
    user = User.objects.select_for_update().filter(email=email).first()
    if user is None:
        raise LinkRefused
    delete_account(user=user, at=at)


@transaction.atomic
def delete_account(*, user: User, at: datetime) -> None:
    """Remove a person and every row that names that person. What sensors measured stays.

    The person's sensors are nobody's afterwards; those with whom they were shared are told.
    """
    owned = Sensor.objects.select_for_update(of=("self",), no_key=True).select_related("owner")
    for sensor in owned.filter(owner=user).order_by("mac"):
        release_sensor(sensor, at)
        delete_rules(sensor=sensor.mac, at=at)
    pictures.forget(list(Access.objects.filter(user=user).values_list("picture", flat=True)))
    PendingShare.objects.filter(email=user.email).delete()
    OneTimeCode.objects.filter(email=user.email).delete()
    OutgoingMail.objects.filter(address=user.email).delete()
    for attempts in (AccessAttempt, AccessFailureLog, AccessLog):
        attempts.objects.filter(username=user.email).delete()
    # The trail says what was done, not any more to whom.
    AuditEntry.objects.filter(about__icontains=user.email).update(about=SOMEBODY_GONE)
    AuditEntry.objects.filter(actor=user.email).update(actor=SOMEBODY_GONE)
    LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk)
    ).delete()
    Code.objects.filter(creator_id=user.email).update(creator_id="")
    audit.forget_person(user.email)
    user.delete()
