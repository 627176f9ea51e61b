"""One line for each event, as text or as JSON, with the request that it belongs to.

Not python-json-logger: it writes whatever a record carries, such as Django's whole request, while
here only what is named below gets out. Both forms pass `redacted`, the last guard of secrets; the
first one is not to log them.
"""

import json
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime

from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "X-Request-ID"
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

_REDACTED = "***"
_NAMES = r"\b[\w-]*(?:token|secret|passw(?:or)?d"
_IN_QUERIES = "|key|code|permit|signature|session"  # other words in a text may be followed by ":"
# In a link, a header, a query, a connection's address, a database's complaint about a key.
_PATTERNS = (
    (re.compile(r"(/verify(?:-delete)?/)[^\s\"'?/]+"), rf"\1{_REDACTED}"),
    (re.compile(r"((?:authorization|cookie)['\"]?\s*[=:]).*", re.I), rf"\1 {_REDACTED}"),
    (re.compile(r"\b(Bearer|bearer|Basic|Token)\s+[\w.~+/=-]{12,}"), rf"\1 {_REDACTED}"),
    (re.compile(rf"({_NAMES})['\"]?\s*[=:]\s*['\"]?)[^\s&,;'\"]+", re.I), rf"\1{_REDACTED}"),
    (re.compile(rf"({_NAMES}{_IN_QUERIES})=)[^\s&,;'\"]+", re.I), rf"\1{_REDACTED}"),
    (re.compile(r"(://)[^\s/@]+@"), rf"\1{_REDACTED}@"),
    (re.compile(r"(\)=\()[^)]*\)"), rf"\1{_REDACTED})"),
)


def redacted(text: str) -> str:
    """`text` without what looks like a secret by its place: after a name, in a link, in an address."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


class Text(logging.Formatter):
    """Time, level, logger, message and request; a traceback follows in the same line."""

    def format(self, record: logging.LogRecord) -> str:
        text = " | ".join(filter(None, map(str.strip, super().format(record).splitlines())))
        request_id = request_id_of_record(record)
        return redacted(text) + (f" [{request_id}]" if request_id else "")


class Json(logging.Formatter):
    """An object with time (UTC), level, logger, message, and where there are, request and exception."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        if request_id := request_id_of_record(record):
            event["request_id"] = request_id
        if record.exc_info:
            event["exception"] = redacted(self.formatException(record.exc_info))
        return json.dumps(event, ensure_ascii=False)


def request_id_of_record(record: logging.LogRecord) -> str:
    """As given to the record, otherwise that of the request or task at hand."""
    return getattr(record, "request_id", "") or REQUEST_ID.get()


def request_id(headers: Mapping[str, str]) -> str:
    """What a trusted proxy calls the request, otherwise a new name.

    `headers` are in lower case, and what strangers said is no longer among them.
    """
    given = headers.get(HEADER.lower(), "")
    return given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else secrets.token_hex(8)


class RequestIdMiddleware:
    """Names each request, in its answer too; after TrustedProxyMiddleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        name = request_id({HEADER.lower(): request.META.get("HTTP_X_REQUEST_ID", "")})
        REQUEST_ID.set(name)
        response = self.get_response(request)
        response[HEADER] = name
        return response


@receiver(request_finished)
def _forget(**_: object) -> None:
    """Not in the middleware: Django has its own last word about an answer after that."""
    REQUEST_ID.set("")
