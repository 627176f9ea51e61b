"""The wire envelope, the closed list of error codes, and how errors become answers."""

import hmac
import logging
from collections.abc import Mapping
from typing import IO, Any, TypedDict

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.parsers import JSONParser
from rest_framework.response import Response

log = logging.getLogger(__name__)


class DomainError(Exception):
    """A request that we understand and refuse. Subclasses stand beside the verb that raises them."""

    status = 400
    code: str | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidFormat(DomainError):
    code = "ER_INVALID_FORMAT"


class InvalidMacAddress(DomainError):
    code = "ER_INVALID_MAC_ADDRESS"


class Forbidden(DomainError):
    status = 403
    code = "ER_FORBIDDEN"


class Unauthorized(DomainError):
    status = 401
    code = "ER_UNAUTHORIZED"


class ErrorBody(TypedDict, total=False):
    result: str
    error: str
    code: str


def error_body(message: str, code: str | None) -> ErrorBody:
    """`{"result": "error", "error": ..., "code": ...}`; `code` is left out when none fits."""
    body = ErrorBody(result="error", error=message)
    if code:
        body["code"] = code
    return body


def success_body(data: dict[str, Any] | None = None, **beside: Any) -> dict[str, Any]:
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
        try:
            return super().parse(stream, media_type, context)
        except RecursionError as error:
            raise exceptions.ParseError("nested too deep") from error


_CODES = {403: "ER_FORBIDDEN", 401: "ER_UNAUTHORIZED", 429: "ER_THROTTLED"}


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's `EXCEPTION_HANDLER`: every error leaves as the envelope."""
    if isinstance(exc, DomainError):
        return Response(error_body(exc.message, exc.code), status=exc.status)
    if isinstance(exc, exceptions.ParseError):
        return Response(error_body("The body is not valid JSON.", "ER_INVALID_FORMAT"), status=400)
    if isinstance(exc, exceptions.ValidationError):
        return Response(error_body(_first_fault(exc.detail), "ER_INVALID_FORMAT"), status=400)
    if isinstance(exc, exceptions.APIException):
        code = _CODES.get(exc.status_code)
        return Response(error_body(str(exc.detail), code), status=exc.status_code)
    if isinstance(exc, Http404):
        return Response(error_body("Not found.", None), status=404)
    return None  # a fault of ours: Django logs it and answers through `server_error`


def _first_fault(detail: Any, field: str = "") -> str:
    """The first fault of DRF's nested detail as one sentence that names the field."""
    if isinstance(detail, dict):
        name, rest = next(iter(detail.items()))
        return _first_fault(rest, "" if name == "non_field_errors" else str(name))
    if isinstance(detail, list):
        return _first_fault(detail[0], field)
    return f"{field}: {detail}" if field else str(detail)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return JsonResponse(error_body("Not found.", None), status=404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return JsonResponse(error_body("Bad request.", "ER_INVALID_FORMAT"), status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    return JsonResponse(error_body("Internal error.", "ER_INTERNAL"), status=500)
