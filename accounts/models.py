"""People, their sessions and settings, the mail that goes to them, and who did what."""

from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device

from ruuvinet.lib.crypto import EncryptedTextField
from ruuvinet.lib.words import of


class UserManager(BaseUserManager["User"]):
    """Users are found by e-mail, whatever its case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person, known by an e-mail address in lower case. Only admins have a password."""

    email = models.EmailField(_("email"), unique=True, max_length=254)
    is_staff = models.BooleanField(_("may open the console"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    wants_notices = models.BooleanField(
        _("is told of trouble by e-mail"),
        default=False,
        db_default=False,  # for the version before, which makes people while we upgrade
        help_text=_("of gateways and of this installation, if the person may open the console"),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            # The clients compare addresses as exact strings.
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="user_email_lower_case"
            )
        ]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.strip().lower()

    @property
    def has_second_factor(self) -> bool:
        return hasattr(self, "second_factor")


class SecondFactor(Device):  # type: ignore[misc]  # the library ships no types
    """What proves, beside the password, that it is this person: accounts.second_factor.

    The library has a device of its own, which keeps its key, and its recovery codes, in clear.
    """

    name = None  # of the library's: a person has one
    user = models.OneToOneField(User, models.CASCADE, related_name="second_factor")
    key = EncryptedTextField(help_text="base32")
    used_step = models.BigIntegerField(help_text="newest time step of 30 s whose code was used")
    recovery_digests = models.JSONField(help_text="HMAC of each recovery code that is left")

    def __str__(self) -> str:
        return of(gettext("second factor"), self.user)


class AccessToken(models.Model):
    """A session: one sign-in of one person on one device."""

    user = models.ForeignKey(
        User, models.CASCADE, related_name="access_tokens", verbose_name=_("user")
    )
    secret_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created at"), editable=False)
    last_used_at = models.DateTimeField(
        _("last used at"), editable=False, help_text=_("to the minute")
    )

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")

    def __str__(self) -> str:
        return of(gettext("session %s") % self.pk, self.user)


class UserSetting(models.Model):
    """What a person chose in the apps, such as the unit of temperature: text that we keep as is."""

    user = models.ForeignKey(User, models.CASCADE, related_name="settings", verbose_name=_("user"))
    name = models.CharField(_("name"), max_length=64)
    value = models.TextField(_("value"), blank=True)
    edited_at = models.DateTimeField(
        _("edited at"), help_text=_("as the client says; see ruuvinet.lib.edits")
    )

    class Meta:
        verbose_name = _("user setting")
        verbose_name_plural = _("user settings")
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="one_value_per_user_and_setting")
        ]

    def __str__(self) -> str:
        return of(self.name, self.user)


class OneTimeCode(models.Model):
    """A code that was mailed to prove that its reader owns an address. Deleted when used."""

    class Purpose(models.TextChoices):
        SIGN_IN = "sign_in", _("sign-in")
        DELETE_ACCOUNT = "delete", _("deletion of the account")

    purpose = models.CharField(max_length=8, choices=Purpose)
    digest = models.CharField(max_length=64, unique=True, help_text="HMAC of purpose and code")
    email = models.EmailField(max_length=254)
    asked_from = models.GenericIPAddressField(null=True, help_text="who asked for it")
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} code for {self.email}"


class OutgoingMailQuerySet(models.QuerySet["OutgoingMail"]):
    def due(self, now: datetime) -> "OutgoingMailQuerySet":
        """Those to send now: waiting with their time come, or taken by a worker that died."""
        return self.filter(status=OutgoingMail.Status.PENDING, next_attempt_at__lte=now)


class OutgoingMail(models.Model):
    """A mail to be sent, and what became of it. Its text is made when it is sent.

    `variables` is a JSON object. It may hold a code, and is emptied as soon as nobody needs it.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")
        NOT_SENT = "not_sent", _("not sent")

    template = models.CharField(_("template"), max_length=32)
    address = models.EmailField(_("address"), max_length=254)
    variables = EncryptedTextField(blank=True, editable=False)
    status = models.CharField(_("status"), max_length=8, choices=Status, default=Status.PENDING)
    outcome = models.CharField(_("outcome"), max_length=255, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(
        _("expires at"), null=True, help_text=_("when it would be of no use any more")
    )
    # A worker that takes a mail moves this ahead by the lease: that is the whole lock.
    next_attempt_at = models.DateTimeField(_("next attempt at"))
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)

    objects = OutgoingMailQuerySet.as_manager()

    class Meta:
        verbose_name = _("outgoing mail")
        verbose_name_plural = _("outgoing mail")
        indexes = [
            # What the sweep looks for: OutgoingMailQuerySet.due.
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(status="pending"),
                name="mail_pending_by_time",
            )
        ]

    def __str__(self) -> str:
        return gettext("%(template)s to %(address)s") % vars(self)


class AuditEntry(models.Model):
    """A call of the internal API, or a change in the console: who, from where, what, and how it went.

    Never holds a secret or a code.
    """

    class Kind(models.TextChoices):
        CALL = "call", _("call")
        REFUSED = "refused", _("wrong secret")
        CONSOLE = "console", _("console")

    at = models.DateTimeField(_("at"), db_index=True)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    actor = models.CharField(
        _("who"), max_length=254, help_text=_("a person, `internal` or `shop`")
    )
    address = models.GenericIPAddressField(_("from"), null=True)
    action = models.CharField(_("what"), max_length=255)
    about = models.CharField(_("about"), max_length=255, blank=True)
    result = models.CharField(_("result"), max_length=64)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit trail")

    def __str__(self) -> str:
        return gettext("%(action)s by %(actor)s") % vars(self)
