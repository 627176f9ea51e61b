"""Faults to Sentry, or to whatever speaks its protocol; imported only with SENTRY_DSN set."""

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.django import DjangoIntegration

from ruuvinet.lib.logs import REQUEST_ID, redacted


def start(dsn: str) -> None:
    """Send what is logged as an error from now on. Raises ValueError for what is no DSN."""
    sentry_sdk.init(
        dsn=dsn,
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,  # they hold keys and bodies
        max_breadcrumbs=0,  # they hold SQL and addresses
        auto_enabling_integrations=False,
        integrations=[DjangoIntegration(), CeleryIntegration()],
        before_send=_scrubbed,
    )


def _scrubbed(event: Any, hint: dict[str, Any]) -> Any:
    """Of the request only method and address; of every text what the log may show."""
    asked = event.pop("request", {})
    if asked:
        url = str(asked.get("url", "")).partition("?")[0]
        event["request"] = {"method": asked.get("method"), "url": url}
    if name := REQUEST_ID.get():
        event.setdefault("tags", {})["request_id"] = name
    for private in ("user", "extra", "breadcrumbs"):
        event.pop(private, None)
    return _redacted(event)


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: _redacted(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(inner) for inner in value]
    return value
