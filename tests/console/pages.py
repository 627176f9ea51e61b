"""All pages of the console, for tests that open each of them."""

import re

from django.contrib import admin
from django.urls import URLPattern, get_resolver

from ruuvinet.lib.mac import Mac
from tests.console.rows import GATEWAY, SENSOR, numbers

MODELS = {f"{m._meta.app_label}_{m._meta.model_name}": m for m in admin.site._registry}


def console_urls(patterns, before=""):
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route.lstrip("^").rstrip("$"), pattern.name or ""
        else:
            yield from console_urls(pattern.url_patterns, route)


URLS = {
    route: name
    for route, name in console_urls(get_resolver().url_patterns)
    if route.startswith("admin")
}


def row_of(name):
    """The newest row of the model that a URL of this name is about."""
    models = [label for label in MODELS if name.startswith(f"{label}_")]
    label = max(models, key=len, default="auth_user" in name and "accounts_user")
    return MODELS[label].objects.order_by("-pk").first() if label else None


def filled(route, name):
    """A URL with its gaps filled in: it is about something that exists."""
    number = next(numbers) - 1
    row = row_of(name)
    gaps = {
        "mac": Mac(GATEWAY + number) if name.startswith("gateways") else Mac(SENSOR + number),
        "kind": "csv",
        "object_id": row and row.pk,
        "id": row and row.pk,
        "app_label": "gateways",
        "content_type_id": 1,
        "url": "nowhere",
    }
    route = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", route)
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda gap: str(gaps[gap[1]]), route)
