"""Signing in to the console."""

from collections.abc import Mapping

from django.http import HttpRequest


def counted_name(request: HttpRequest, credentials: Mapping[str, str] | None) -> str | None:
    """The name under which django-axes counts failures: one for all spellings of an address.

    Cut to what its table holds, since a stranger may type more.
    """
    given = (credentials or request.POST).get("username")
    return given.strip().lower()[:255] if given else None
