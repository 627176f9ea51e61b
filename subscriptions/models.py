"""Plans, the codes that are sold for them, and what each person may do from when to when.

A code and a subscription hold a copy of what the plan allowed when they were made: a plan that is
changed later takes nothing from those who paid for it.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ruuvinet.lib.words import of

MAX_CLAIMS = 100_000
MAX_SHARES_PER_SENSOR = 1000
MAX_SHARES = MAX_CLAIMS * MAX_SHARES_PER_SENSOR  # fits four bytes
MAX_DAYS = 36_500
MAX_RESOLUTION_MINUTES = 60 * 24 * 365


def _whole(verbose_name: Any, low: int, high: int, default: int, help_text: Any = "") -> Any:
    return models.PositiveIntegerField(
        verbose_name,
        default=default,
        help_text=help_text,
        validators=[MinValueValidator(low), MaxValueValidator(high)],
    )


class Allowance(models.Model):
    """What is allowed. The defaults are those of a self-hosted system: nearly everything."""

    name = models.CharField(
        _("name"),
        max_length=64,
        help_text=_('The apps show it. For one named "Free" the web app speaks of upgrading.'),
    )
    max_claims = _whole(_("sensors"), 0, MAX_CLAIMS, 1000, _("that the person may claim"))
    max_shares = _whole(_("shares"), 0, MAX_SHARES, 10_000, _("of all sensors together"))
    max_shares_per_sensor = _whole(_("shares of one sensor"), 0, MAX_SHARES_PER_SENSOR, 10)
    max_history_days = _whole(
        _("history, days"), 0, MAX_DAYS, 3650, _("that may be read; 0 hides the graphs")
    )
    max_resolution_minutes = _whole(
        _("resolution, minutes"), 1, MAX_RESOLUTION_MINUTES, 1, _("between readings of the history")
    )
    push_alert_allowed = models.BooleanField(
        _("push notifications"),
        default=True,
        help_text=_("Counts for alerts on sensors that this person owns, whoever set them."),
    )
    email_alert_allowed = models.BooleanField(_("e-mail alerts"), default=True)
    webhook_alert_allowed = models.BooleanField(_("webhooks"), default=True)
    telegram_alert_allowed = models.BooleanField(_("Telegram alerts"), default=False)
    offline_alert_allowed = models.BooleanField(_("offline alerts"), default=True)
    delayed_alert_allowed = models.BooleanField(_("delayed alerts"), default=True)
    pdf_export_allowed = models.BooleanField(_("PDF export"), default=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    def allowed(self) -> dict[str, Any]:
        """All that it allows, by field, to copy it."""
        return {field: getattr(self, field) for field in ALLOWANCE_FIELDS}


ALLOWANCE_FIELDS = [field.name for field in Allowance._meta.local_fields]


class Plan(Allowance):
    """What an operator gives and sells. The default plan is everybody's who has no other."""

    is_default = models.BooleanField(_("default"), default=False, editable=False)

    class Meta:
        verbose_name = _("plan")
        verbose_name_plural = _("plans")
        constraints = [
            models.UniqueConstraint(fields=["name"], name="plan_name"),
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="one_default_plan"
            ),
        ]


class CodeQuerySet(models.QuerySet["Code"]):
    def unclaimed(self) -> "CodeQuerySet":
        return self.filter(claimed_at=None)


class Code(Allowance):
    """Turns into a subscription for the person who types it. Its text is nowhere kept."""

    code_hash = models.CharField(max_length=64, unique=True, editable=False)
    valid_days = models.PositiveIntegerField(
        _("days"),
        help_text=_("from the day it is claimed"),
        validators=[MinValueValidator(1), MaxValueValidator(MAX_DAYS)],
    )
    creator_id = models.CharField(_("made by"), max_length=255, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    claimed_at = models.DateTimeField(_("claimed at"), null=True, blank=True, editable=False)
    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="claimed_codes",
        verbose_name=_("claimed by"),
    )

    objects = CodeQuerySet.as_manager()

    class Meta:
        verbose_name = _("code")
        verbose_name_plural = _("codes")
        # The list in the console, newest first.
        indexes = [models.Index(fields=["-created_at"], name="code_newest")]

    def __str__(self) -> str:
        return gettext("code %(number)s (%(plan)s)") % {"number": self.pk, "plan": self.name}

    def is_same(self, other: "Code") -> bool:
        """Whether `other` gives the same, and was made by the same."""
        fields = (*ALLOWANCE_FIELDS, "code_hash", "valid_days", "creator_id")
        return all(getattr(self, field) == getattr(other, field) for field in fields)


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def active(self, at: datetime) -> "SubscriptionQuerySet":
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=at), starts_at__lte=at)


class Subscription(Allowance):
    """What one person may do from `starts_at` until before `ends_at`; None is for good.

    Of several that are active the one that started last counts. Without an active one the
    default plan does.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="subscriptions",
        verbose_name=_("user"),
    )
    starts_at = models.DateTimeField(_("starts at"))
    ends_at = models.DateTimeField(
        _("ends at"), null=True, blank=True, help_text=_("empty: without end")
    )

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        constraints = [
            # The same moment for one that was replaced as soon as it began.
            models.CheckConstraint(
                condition=Q(ends_at__gte=F("starts_at")), name="subscription_ends_after_it_starts"
            )
        ]

    def __str__(self) -> str:
        return of(self.name, self.user)

    @property
    def valid_days(self) -> int | None:
        """Whole days from start to end; None without an end."""
        return (self.ends_at - self.starts_at) // timedelta(days=1) if self.ends_at else None
