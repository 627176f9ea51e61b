"""The wire envelope, the closed list of error codes, and how errors become answers."""

import hmac
import logging
from collections.abc import Mapping
from math import ceil
from typing import IO, Any, TypedDict

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.parsers import JSONParser
from rest_framework.response import Response

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024  # a thousand times what clients send


class DomainError(Exception):
    """A request that we understand and refuse. Subclasses stand beside the verb that raises them."""

    status = 400
    code: str | None = None
    sub_code: str | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidFormat(DomainError):
    code = "ER_INVALID_FORMAT"


class MissingArgument(DomainError):
    code = "ER_MISSING_ARGUMENT"


class InvalidMacAddress(DomainError):
    code = "ER_INVALID_MAC_ADDRESS"


class Forbidden(DomainError):
    status = 403
    code = "ER_FORBIDDEN"


class Unauthorized(DomainError):
    status = 401
    code = "ER_UNAUTHORIZED"


class NotFound(DomainError):
    status = 404


class BodyTooLarge(DomainError):
    status = 413
    code = "ER_INVALID_FORMAT"


class ErrorBody(TypedDict, total=False):
    result: str
    error: str
    code: str
    sub_code: str


def error_body(message: str, code: str | None, sub_code: str | None = None) -> ErrorBody:
    """`{"result": "error", "error": ..., "code": ...}`; a code is left out when none fits."""
    body = ErrorBody(result="error", error=message)
    if code:
        body["code"] = code
    if sub_code:
        body["sub_code"] = sub_code
    return body


def success_body(data: Mapping[str, Any] | None = None, **beside: Any) -> dict[str, Any]:
    """`{"result": "success", "data": ...}`, with `beside` at the top level."""
    body: dict[str, Any] = {"result": "success", **beside}
    if data is not None:
        body["data"] = data
    return body


def secret_matches(given: str | None, accepted: str) -> bool:
    """Compare in constant time with each of the comma-separated `accepted`; unset accepts none."""
    candidates = [secret.strip().encode() for secret in accepted.split(",") if secret.strip()]
    presented = (given or "").encode("utf-8", "surrogatepass")  # a header may hold anything
    # Every candidate is compared, so that time does not tell which one matched.
    matches = [hmac.compare_digest(presented, candidate) for candidate in candidates]
    return any(matches)


class AnyTypeJSONParser(JSONParser):
    """Reads every body as JSON in UTF-8: the web UI sends its JSON as text/plain."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        context = {**(parser_context or {}), "encoding": "utf-8"}  # not what the caller claims
        length = context["request"].META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            raise BodyTooLarge("The body is too large.")
        try:
            return super().parse(stream, media_type, context)
        except RecursionError as error:
            raise exceptions.ParseError("nested too deep") from error


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's `EXCEPTION_HANDLER`: every error leaves as the envelope."""
    if isinstance(exc, RequestDataTooBig):  # Django's own bound, where a body is read twice
        exc = BodyTooLarge("The body is too large.")
    if isinstance(exc, DomainError):
        return Response(error_body(exc.message, exc.code, exc.sub_code), status=exc.status)
    if isinstance(exc, exceptions.ParseError):
        return Response(error_body("The body is not valid JSON.", "ER_INVALID_FORMAT"), status=400)
    if isinstance(exc, exceptions.ValidationError):
        return Response(error_body(*_first_fault(exc.detail)), status=400)
    if isinstance(exc, exceptions.APIException):
        return _refusal(exc)
    if isinstance(exc, Http404):
        return Response(error_body("Not found.", None), status=404)
    return None  # a fault of ours: Django logs it and answers through `server_error`


# What the clients know, whichever part of DRF refuses.
_REFUSALS = {
    401: ("Unauthorized request.", "ER_UNAUTHORIZED"),
    403: ("Forbidden.", "ER_FORBIDDEN"),
    429: ("Too many requests.", "ER_THROTTLED"),
}


def _refusal(exc: exceptions.APIException) -> Response:
    message, code = _REFUSALS.get(exc.status_code, (str(exc.detail), None))
    response = Response(error_body(message, code), status=exc.status_code)
    # DRF puts these there for a 429 and a 401.
    if (wait_s := getattr(exc, "wait", None)) is not None:
        response["Retry-After"] = str(ceil(wait_s))
    if challenge := getattr(exc, "auth_header", None):
        response["WWW-Authenticate"] = challenge
    return response


def _first_fault(detail: Any, field: str = "") -> tuple[str, str]:
    """The first fault of DRF's nested detail as a sentence that names the field, and its code.

    A fault whose code is one of the wire's has its whole sentence.
    """
    if isinstance(detail, dict):
        name, rest = next(iter(detail.items()))
        return _first_fault(rest, "" if name == "non_field_errors" else str(name))
    if isinstance(detail, list):
        return _first_fault(detail[0], field)
    code = getattr(detail, "code", "")
    if code.startswith("ER_"):
        return str(detail), code
    return f"{field}: {detail}" if field else str(detail), "ER_INVALID_FORMAT"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return JsonResponse(error_body("Not found.", None), status=404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return JsonResponse(error_body("Bad request.", "ER_INVALID_FORMAT"), status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    return JsonResponse(error_body("Internal error.", "ER_INTERNAL"), status=500)
