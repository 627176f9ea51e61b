"""What pages say of times and of owners."""

from datetime import datetime

from django.utils.timesince import timesince
from django.utils.translation import gettext as _


def of(what: object, whose: object) -> str:
    """`Porch of alice@example.com`."""
    return _("%(what)s of %(whose)s") % {"what": what, "whose": whose}


def ago(at: datetime, now: datetime) -> str:
    """`just now`, `3 minutes ago`; also `just now` for what another machine's clock puts ahead."""
    age_s = (now - at).total_seconds()
    if age_s < 60:
        return _("just now") if age_s < 5 else _("%d seconds ago") % age_s
    return _("%s ago") % timesince(at, now, depth=1)
