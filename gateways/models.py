"""Gateways: who may deliver, with which secret, and how they fare."""

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from ruuvinet.lib.crypto import EncryptedTextField
from ruuvinet.lib.http import normal_network
from ruuvinet.lib.mac import MacField

SILENT_AFTER = timedelta(minutes=15)
# What a gateway signs with that could not read its own chip id: known to everybody.
FALLBACK_SECRET = "FF:FF:FF:FF:FF:FF:FF:FF"  # noqa: S105


def validate_secret(secret: str) -> None:
    """Refuse a signing secret that protects nothing. Raises ValidationError."""
    if secret.strip().upper() == FALLBACK_SECRET:
        raise ValidationError(
            "This is the fallback key that every gateway uses when it cannot read its own id, "
            "so anybody could sign with it. Restart the gateway and use the id printed on its "
            "bottom."
        )


class GatewayQuerySet(models.QuerySet["Gateway"]):
    def whitelisted(self) -> "GatewayQuerySet":
        return self.filter(whitelisted_at__isnull=False)

    def strangers(self) -> "GatewayQuerySet":
        """Those that knocked and about whom nobody has decided yet."""
        return self.filter(whitelisted_at=None, blacklisted_at=None)


class Gateway(models.Model):
    """A gateway that an admin knows or that has knocked at `/record`."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        WHITELISTED = "whitelisted", "whitelisted"
        SILENT = "silent", "silent"
        BLACKLISTED = "blacklisted", "blacklisted"

    class Rejection(models.TextChoices):
        UNKNOWN = "unknown", "not whitelisted"
        UNSIGNED = "unsigned", "no signature"
        SIGNATURE = "signature", "wrong signature"

    mac = MacField("MAC address", primary_key=True)
    secret = EncryptedTextField(blank=True, default="", help_text="signs its posts; never shown")
    whitelisted_at = models.DateTimeField(null=True, blank=True, editable=False)
    blacklisted_at = models.DateTimeField(null=True, blank=True, editable=False)
    first_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    connected_at = models.DateTimeField(
        "first accepted",
        null=True,
        blank=True,
        editable=False,
        help_text="first post accepted after whitelisting",
    )
    last_seen_at = models.DateTimeField(
        "last accepted", null=True, blank=True, editable=False, help_text="newest accepted post"
    )
    last_address = models.GenericIPAddressField(null=True, blank=True, editable=False)
    rejected_at = models.DateTimeField(
        "last rejected",
        null=True,
        blank=True,
        editable=False,
        help_text="newest refused post, to the minute",
    )
    rejected_address = models.GenericIPAddressField(null=True, blank=True, editable=False)
    rejection = models.CharField(
        "reason", max_length=16, choices=Rejection, blank=True, editable=False
    )
    clock_offset_s = models.BigIntegerField(
        "clock is off by, s",
        null=True,
        blank=True,
        editable=False,
        help_text="gateway clock minus ours while it is wrong; readings that cannot be true get our time",
    )
    bad_tags = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="records that could not be read, since the beginning"
    )
    late_readings = models.PositiveBigIntegerField(
        default=0, editable=False, help_text="readings too old to store, since the beginning"
    )

    objects = GatewayQuerySet.as_manager()

    class Meta:
        indexes = [
            # The oldest strangers go when there are too many: services.note_rejection.
            models.Index(
                fields=["rejected_at"],
                condition=models.Q(whitelisted_at=None, blacklisted_at=None),
                name="gateway_strangers",
            )
        ]

    def __str__(self) -> str:
        return str(self.mac)

    def state(self, now: datetime | None = None) -> State:
        """What an admin calls its state; silent is a whitelisted one unheard for 15 minutes."""
        if self.whitelisted_at is None:
            return self.State.BLACKLISTED if self.blacklisted_at else self.State.WAITING
        last = self.last_seen_at or self.whitelisted_at
        silent = (now or timezone.now()) - last > SILENT_AFTER
        return self.State.SILENT if silent else self.State.WHITELISTED


class NetworkRule(models.Model):
    """A network that is refused, or one inside of it that may pass. The narrowest rule counts."""

    network = models.CharField(
        max_length=43, unique=True, help_text="an address, or a network such as 192.0.2.0/24"
    )
    is_allowed = models.BooleanField(
        "may pass", default=False, help_text="although it lies inside a network that is refused"
    )
    reason = models.CharField(max_length=255, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="empty: never")
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.network

    def clean(self) -> None:
        super().clean()
        try:
            self.network = normal_network(self.network)
        except ValueError as error:
            raise ValidationError({"network": "This is no address and no network."}) from error
