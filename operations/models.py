"""What a running installation says about itself, in the database that all its processes share."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Total(models.Model):
    """A count that only grows, of all processes together, for Prometheus.

    `label` tells apart what is counted under one name, such as a reason; it comes from a list in
    the code and never from a request.
    """

    pk = models.CompositePrimaryKey("name", "label")
    name = models.CharField(max_length=32)
    label = models.CharField(max_length=32, blank=True)
    value = models.FloatField()

    def __str__(self) -> str:
        return f"{self.name} {self.label}: {self.value:g}"


class Heartbeat(models.Model):
    """When a part that nobody calls was last seen at work."""

    BEAT, WORKER, DELIVERY = "beat", "worker", "delivery worker"
    PARTS = (BEAT, WORKER, DELIVERY)

    part = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.part} at {self.at:%Y-%m-%d %H:%M:%S}"


class NoticeQuerySet(models.QuerySet["Notice"]):
    def told(self) -> "NoticeQuerySet":
        """Those that lasted long enough to be told, and are not over."""
        return self.filter(told_at__isnull=False, over_at=None)


class Notice(models.Model):
    """Something that an operator should look at, from its first sign to its end.

    `about` is the address of a gateway, or the name of a part or queue.
    """

    class What(models.TextChoices):
        SILENT = "silent", _("silent gateway")
        REFUSED = "refused", _("gateway refused again and again")
        RESTARTS = "restarts", _("gateway that restarts too often")
        PART = "part", _("part of the installation")
        QUEUE = "queue", _("queue that does not move")

    what = models.CharField(_("what"), max_length=16, choices=What)
    about = models.CharField(_("about"), max_length=64)
    since = models.DateTimeField(_("since"), help_text=_("its first sign"))
    told_at = models.DateTimeField(
        _("told"), null=True, help_text=_("empty: it may still pass by itself")
    )
    over_at = models.DateTimeField(_("over"), null=True, db_index=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        constraints = [
            models.UniqueConstraint(
                fields=["what", "about"],
                condition=models.Q(over_at=None),
                name="one_open_notice_of_a_kind",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_what_display()}: {self.about}"
