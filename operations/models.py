"""What a running installation says about itself, in the database that all its processes share."""

from django.db import models


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
