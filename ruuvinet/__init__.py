"""RuuviNet: the Ruuvi Cloud that you can own. This package is the wiring."""

import sys
from types import TracebackType

from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from ruuvinet.celery import app as celery_app

__all__ = ["celery_app"]


def _say_in_one_line(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """What is wrong in the settings concerns whoever wrote them, and no traceback helps them."""
    if isinstance(error, ImproperlyConfigured):
        sys.stderr.write(f"Wrong settings: {error}\n")
    elif isinstance(error, OperationalError) and _is_about_connecting(error):
        sys.stderr.write(f"The database cannot be reached: {str(error).splitlines()[0]}\n")
    else:
        _as_before(kind, error, trace)


def _is_about_connecting(error: OperationalError) -> bool:
    """A server that was reached says with a code what it refuses."""
    return getattr(error.__cause__, "sqlstate", "none") is None


# Here, since every command comes by: manage.py, Celery's and the web server's.
_as_before, sys.excepthook = sys.excepthook, _say_in_one_line
