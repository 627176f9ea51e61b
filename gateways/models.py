"""Gateways: who may deliver, with which secret, and how they fare."""

from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ruuvinet.lib.crypto import EncryptedTextField
from ruuvinet.lib.http import normal_network
from ruuvinet.lib.mac import Mac, MacField
from ruuvinet.lib.words import of

SILENT_AFTER = timedelta(minutes=15)
# What a gateway signs with that could not read its own chip id: known to everybody.
FALLBACK_SECRET = "FF:FF:FF:FF:FF:FF:FF:FF"  # noqa: S105


def validate_secret(secret: str) -> None:
    """Refuse a signing secret that protects nothing. Raises ValidationError."""
    if secret.strip().upper() == FALLBACK_SECRET:
        raise ValidationError(
            _(
                "This is the fallback key that every gateway uses when it cannot read its own id, "
                "so anybody could sign with it. Restart the gateway and use the id printed on its "
                "bottom."
            )
        )


class Policy(models.TextChoices):
    """What a post must carry to be believed."""

    SIGNATURE = "signature", _("signature")
    EITHER = "either", _("signature or credential")
    BOTH = "both", _("signature and credential")
    CERTIFICATE = "certificate", _("client certificate")


def _policy_field() -> "models.CharField[str, str]":
    return models.CharField(
        _("must present"),
        max_length=16,
        choices=Policy,
        blank=True,
        default="",
        help_text=_("empty: as the group says, or the setting GATEWAY_POLICY"),
    )


def _period_field() -> "models.PositiveSmallIntegerField[int | None, int | None]":
    return models.PositiveSmallIntegerField(
        _("period, s"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(3600)],
        help_text=_(
            "seconds between posts, 1 to 3600; empty: as the group says, or the setting "
            "GATEWAY_RATE_S"
        ),
    )


class GatewayGroup(models.Model):
    """Gateways that are run alike."""

    name = models.CharField(_("name"), max_length=64, unique=True)
    policy = _policy_field()
    period_s = _period_field()
    template = EncryptedTextField(_("configuration"), blank=True, default="")
    is_fallback = models.BooleanField(
        _("serve as gw_cfg.json"),
        default=False,
        help_text=_("its configuration is for gateways that have none of their own yet"),
    )

    class Meta:
        verbose_name = _("gateway group")
        verbose_name_plural = _("gateway groups")
        constraints = [
            models.UniqueConstraint(
                fields=["is_fallback"],
                condition=models.Q(is_fallback=True),
                name="one_fallback_group",
                violation_error_message=_("Another group is served as gw_cfg.json."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class GatewayQuerySet(models.QuerySet["Gateway"]):
    def whitelisted(self) -> "GatewayQuerySet":
        return self.filter(whitelisted_at__isnull=False)

    def strangers(self) -> "GatewayQuerySet":
        """Those that knocked and about whom nobody has decided yet."""
        return self.filter(whitelisted_at=None, blacklisted_at=None)


class Gateway(models.Model):
    """A gateway that an admin knows or that has knocked at `/record`."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        WHITELISTED = "whitelisted", _("whitelisted")
        SILENT = "silent", _("silent")
        BLACKLISTED = "blacklisted", _("blacklisted")

    class Rejection(models.TextChoices):
        UNKNOWN = "unknown", _("not whitelisted")
        UNSIGNED = "unsigned", _("no signature")
        SIGNATURE = "signature", _("wrong signature")
        NO_CREDENTIAL = "no credential", _("no credential")
        CREDENTIAL = "credential", _("wrong credential")
        CERTIFICATE = "certificate", _("no accepted certificate")

    class KeyState(models.TextChoices):
        OFFERED = "offered", _("offered")
        TAKEN = "taken", _("taken")
        DEFAULT = "default", _("back to the default key")

    MAX_NAME = 64

    mac = MacField(_("MAC address"), primary_key=True)
    name = models.CharField(
        _("name"),
        max_length=MAX_NAME,
        blank=True,
        default="",
        db_default="",  # for rows that the version before makes
        help_text=_("for operators: where it is"),
    )
    secret = EncryptedTextField(
        _("secret"), blank=True, default="", help_text=_("signs its posts; never shown")
    )
    group = models.ForeignKey(
        GatewayGroup, models.SET_NULL, null=True, blank=True, verbose_name=_("group")
    )
    policy = _policy_field()
    period_s = _period_field()
    overrides = EncryptedTextField(_("configuration of its own"), blank=True, default="")
    # Until the gateway takes the offered key, and after each of its restarts, it signs with an
    # older one: the gateway's own (`secret`), or the one that was offered before.
    offered_secret = EncryptedTextField(blank=True, default="", editable=False)
    previous_secret = EncryptedTextField(blank=True, default="", editable=False)
    key_state = models.CharField(
        _("new key"), max_length=8, choices=KeyState, blank=True, default="", editable=False
    )
    key_changed_at = models.DateTimeField(
        _("key changed at"), null=True, blank=True, editable=False
    )
    whitelisted_at = models.DateTimeField(
        _("whitelisted at"), null=True, blank=True, editable=False
    )
    blacklisted_at = models.DateTimeField(
        _("blacklisted at"), null=True, blank=True, editable=False
    )
    first_seen_at = models.DateTimeField(_("first seen at"), null=True, blank=True, editable=False)
    connected_at = models.DateTimeField(
        _("first accepted"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("first post accepted after whitelisting"),
    )
    last_seen_at = models.DateTimeField(
        _("last accepted"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("newest accepted post"),
    )
    last_address = models.GenericIPAddressField(
        _("last address"), null=True, blank=True, editable=False
    )
    rejected_at = models.DateTimeField(
        _("last rejected"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("newest refused post, to the minute"),
    )
    rejected_address = models.GenericIPAddressField(
        _("rejected address"), null=True, blank=True, editable=False
    )
    rejection = models.CharField(
        _("reason"), max_length=16, choices=Rejection, blank=True, editable=False
    )
    clock_offset_s = models.BigIntegerField(
        _("clock is off by, s"),
        null=True,
        blank=True,
        editable=False,
        help_text=_(
            "gateway clock minus ours while it is wrong; readings that cannot be true get our time"
        ),
    )
    bad_tags = models.PositiveBigIntegerField(
        _("bad tags"),
        default=0,
        editable=False,
        help_text=_("records that could not be read, since the beginning"),
    )
    late_readings = models.PositiveBigIntegerField(
        _("late readings"),
        default=0,
        editable=False,
        help_text=_("readings too old to store, since the beginning"),
    )

    # Of the newest body whose clock was right, so that an older one is known as sent again.
    newest_body_s = models.BigIntegerField(null=True, editable=False)
    newest_nonce = models.BigIntegerField(null=True, editable=False)
    replays = models.PositiveBigIntegerField(
        _("replays"),
        default=0,
        editable=False,
        help_text=_("posts that came again, since the beginning"),
    )

    objects = GatewayQuerySet.as_manager()

    class Meta:
        verbose_name = _("gateway")
        verbose_name_plural = _("gateways")
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

    def must_sign(self) -> bool:
        """Whether its posts are believed only if they are signed."""
        of_group = self.group.policy if self.group else ""
        policy = self.policy or of_group or settings.GATEWAY_POLICY
        return policy in {Policy.SIGNATURE, Policy.BOTH}

    def state(self, now: datetime | None = None) -> State:
        """What an admin calls its state; silent is a whitelisted one unheard for 15 minutes."""
        if self.whitelisted_at is None:
            return self.State.BLACKLISTED if self.blacklisted_at else self.State.WAITING
        last = self.last_seen_at or self.whitelisted_at
        silent = (now or timezone.now()) - last > SILENT_AFTER
        return self.State.SILENT if silent else self.State.WHITELISTED


class CredentialQuerySet(models.QuerySet["Credential"]):
    def active(self, at: datetime) -> "CredentialQuerySet":
        """Those that are neither revoked nor expired."""
        unexpired = models.Q(expires_at=None) | models.Q(expires_at__gt=at)
        return self.filter(unexpired, revoked_at=None)

    def of(self, gateway: Gateway) -> "CredentialQuerySet":
        """The gateway's own, and its group's."""
        own = models.Q(gateway=gateway)
        return self.filter(own | models.Q(group=gateway.group_id) if gateway.group_id else own)


class Credential(models.Model):
    """What one gateway, or each gateway of a group, may present beside or instead of a signature.

    The console makes 256 random bits, shows them once and keeps their SHA-256 in `digest`. What a
    person chose could be guessed from that, and what remote configuration fills in must be read
    again: such a one lies encrypted in `secret`. A certificate's `digest` is its fingerprint.
    """

    class Kind(models.TextChoices):
        BASIC = "basic", _("Basic: user and password")
        BEARER = "bearer", _("Bearer token")
        TOKEN = "token", _("Token")
        API_KEY = "api_key", _("API key: the bare Authorization header")
        HEADER = "header", _("extra header")
        QUERY = "query", _("parameter in the URL")
        PATH = "path", _("end of the URL: /record/SECRET, /status/SECRET")
        FINGERPRINT = "fingerprint", _("client certificate, by fingerprint")
        SUBJECT = "subject", _("client certificate, by subject")

    class Purpose(models.TextChoices):
        POSTS = "posts", _("posts and statistics")
        CONFIGURATION = "configuration", _("remote configuration")

    CERTIFICATES = (Kind.FINGERPRINT, Kind.SUBJECT)
    shown_once = ""  # the secret, in the object that was just made

    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    purpose = models.CharField(_("good for"), max_length=16, choices=Purpose, default=Purpose.POSTS)
    gateway = models.ForeignKey(
        Gateway, models.CASCADE, null=True, blank=True, verbose_name=_("gateway")
    )
    group = models.ForeignKey(
        GatewayGroup, models.CASCADE, null=True, blank=True, verbose_name=_("group")
    )
    name = models.CharField(
        _("name"),
        max_length=128,
        blank=True,
        help_text=_("user (Basic), name of the header, or of the parameter in the URL"),
    )
    digest = models.BinaryField(max_length=32, null=True, editable=False)
    secret = EncryptedTextField(_("secret"), blank=True, default="", editable=False)
    created_at = models.DateTimeField(_("created at"), editable=False)
    expires_at = models.DateTimeField(
        _("expires at"), null=True, blank=True, help_text=_("empty: never")
    )
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(
        _("last used"), null=True, blank=True, editable=False, help_text=_("to the minute")
    )
    last_used_address = models.GenericIPAddressField(
        _("last used address"), null=True, blank=True, editable=False
    )

    objects = CredentialQuerySet.as_manager()

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(gateway=None, group__isnull=False)
                | models.Q(gateway__isnull=False, group=None),
                name="credential_of_one_gateway_or_one_group",
                violation_error_message=_("Choose either a gateway or a group."),
            )
        ]

    def __str__(self) -> str:
        return of(self.get_kind_display(), self.owner)

    @property
    def owner(self) -> GatewayGroup | Mac:
        """Whose it is."""
        return self.group or Mac(self.gateway_id or 0)


class GatewayStatus(models.Model):
    """What a gateway told about itself at one time. The newest is its present state."""

    gateway = models.ForeignKey(
        Gateway, models.CASCADE, related_name="statuses", verbose_name=_("gateway")
    )
    received_at = models.DateTimeField(_("received at"))
    nonce = models.PositiveBigIntegerField(_("nonce"), null=True)
    uptime_s = models.PositiveBigIntegerField(_("uptime, s"), null=True)
    esp_firmware = models.CharField(_("firmware"), max_length=64)
    nrf_firmware = models.CharField(_("radio firmware"), max_length=64)
    nrf_alive = models.BooleanField(_("radio alive"), null=True)
    connection = models.CharField(_("connection"), max_length=32, blank=True)
    connections_lost = models.PositiveBigIntegerField(_("connections lost"), null=True)
    free_bytes = models.PositiveBigIntegerField(_("free memory, bytes"), null=True)
    largest_free_block_bytes = models.PositiveBigIntegerField(
        _("largest free block bytes"), null=True
    )
    sensors_seen = models.PositiveBigIntegerField(_("sensors seen"), null=True)
    told = models.JSONField(_("all that it told"))

    class Meta:
        verbose_name = _("gateway status")
        verbose_name_plural = _("gateway statuses")
        constraints = [
            # A captured status that is sent again changes nothing.
            models.UniqueConstraint(
                fields=["gateway", "nonce", "uptime_s"], name="gateway_status_once"
            )
        ]
        indexes = [
            # The history of one gateway, and its newest status.
            models.Index(fields=["gateway", "-received_at"], name="gateway_status_history")
        ]

    def __str__(self) -> str:
        return f"{Mac(self.gateway_id)}, {self.received_at:%Y-%m-%d %H:%M}"


class GatewayReset(models.Model):
    """A restart of a gateway, with the reason and the dump that it told when first seen."""

    gateway = models.ForeignKey(
        Gateway, models.CASCADE, related_name="resets", verbose_name=_("gateway")
    )
    seen_at = models.DateTimeField(_("first told"))
    booted_at = models.DateTimeField(
        _("booted at"), null=True, help_text=_("time of the first word less the uptime")
    )
    reason = models.CharField(_("reason"), max_length=32, blank=True)
    count = models.PositiveBigIntegerField(_("restarts since power on"), null=True)
    info = models.TextField(_("info"), blank=True)

    class Meta:
        verbose_name = _("gateway reset")
        verbose_name_plural = _("gateway resets")
        indexes = [models.Index(fields=["gateway", "-seen_at"], name="gateway_reset_history")]

    def __str__(self) -> str:
        return f"{Mac(self.gateway_id)}: {self.reason or gettext('unknown')}"


class GatewayRejection(models.Model):
    """The refused posts of one gateway that had one reason and came from one address, lately.

    Strangers may invent all of it: services.note_rejection keeps RECENT rows of each gateway.
    """

    RECENT = 10

    # Without a constraint, which would lock the gateways when it is made. Posts wait for that.
    gateway = models.ForeignKey(
        Gateway,
        models.CASCADE,
        related_name="rejections",
        db_constraint=False,
        verbose_name=_("gateway"),
    )
    reason = models.CharField(_("reason"), max_length=16, choices=Gateway.Rejection)
    address = models.GenericIPAddressField(_("address"), null=True)
    first_at = models.DateTimeField(_("first"))
    last_at = models.DateTimeField(_("last"))
    times = models.PositiveIntegerField(
        _("times"), default=1, help_text=_("counted once a minute at most")
    )

    class Meta:
        verbose_name = _("gateway rejection")
        verbose_name_plural = _("gateway rejections")
        default_permissions = ()  # a part of the gateway's page

    def __str__(self) -> str:
        return f"{Mac(self.gateway_id)}: {self.get_reason_display()}"


class ServedConfiguration(models.Model):
    """A version of a remote configuration as it was served, encrypted since it holds secrets."""

    gateway = models.ForeignKey(Gateway, models.CASCADE, null=True, verbose_name=_("gateway"))
    group = models.ForeignKey(GatewayGroup, models.CASCADE, null=True, verbose_name=_("group"))
    version = models.PositiveIntegerField(_("version"))
    document = EncryptedTextField(_("document"))
    first_served_at = models.DateTimeField(_("first served at"))
    last_served_at = models.DateTimeField(_("last served at"))
    times = models.PositiveIntegerField(_("times"))

    class Meta:
        verbose_name = _("served configuration")
        verbose_name_plural = _("served configurations")

    def __str__(self) -> str:
        return of(gettext("version %d") % self.version, self.owner)

    @property
    def owner(self) -> GatewayGroup | Mac:
        """Whose it is."""
        return self.group or Mac(self.gateway_id or 0)


class IngestMinute(models.Model):
    """How many posts came in one minute, of all web processes together: gateways.tally.

    A post counts in the minute in which its process told of it, ten seconds later at most.
    """

    KEPT = timedelta(days=30)

    minute = models.DateTimeField(primary_key=True, help_text="its start, UTC")
    posts = models.PositiveIntegerField("accepted posts")
    readings = models.PositiveIntegerField("readings in accepted posts")
    refused = models.PositiveIntegerField("refused posts")

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M}: {self.posts} posts"


class NetworkRule(models.Model):
    """A network that is refused, or one inside of it that may pass. The narrowest rule counts."""

    network = models.CharField(
        _("network"),
        max_length=43,
        unique=True,
        help_text=_("an address, or a network such as 192.0.2.0/24"),
    )
    is_allowed = models.BooleanField(
        _("may pass"),
        default=False,
        help_text=_("although it lies inside a network that is refused"),
    )
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    expires_at = models.DateTimeField(
        _("expires at"), null=True, blank=True, help_text=_("empty: never")
    )
    changed_at = models.DateTimeField(_("changed at"), auto_now=True)

    class Meta:
        verbose_name = _("network rule")
        verbose_name_plural = _("network rules")

    def __str__(self) -> str:
        return self.network

    def clean(self) -> None:
        super().clean()
        try:
            self.network = normal_network(self.network)
        except ValueError as error:
            raise ValidationError({"network": _("This is no address and no network.")}) from error
