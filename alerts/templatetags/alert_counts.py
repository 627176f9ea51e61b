"""How alerting fares, for the console's first page."""

from django import template
from django.utils import timezone

from alerts import selectors

register = template.Library()


@register.simple_tag
def alert_counts() -> selectors.AlertCounts:
    return selectors.alert_counts(timezone.now())
