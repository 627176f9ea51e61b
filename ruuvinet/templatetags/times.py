from datetime import datetime

from django import template
from django.utils import timezone

from ruuvinet.lib import words

register = template.Library()


@register.filter
def ago(at: datetime) -> str:
    """How long it is since `at`, in words."""
    return words.ago(at, timezone.now())
