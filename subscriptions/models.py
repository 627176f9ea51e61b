"""What a person's plan allows, from when to when."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def active(self, at: datetime) -> "SubscriptionQuerySet":
        return self.filter(starts_at__lte=at, ends_at__gt=at)


class Subscription(models.Model):
    """One plan of one person. Without an active one the default limits hold."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="subscriptions")
    name = models.CharField(max_length=64)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    push_alert_allowed = models.BooleanField(
        "push notifications",
        default=True,
        help_text="Counts for alerts on sensors that this person owns, whoever set them.",
    )

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="subscription_ends_after_it_starts"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"
