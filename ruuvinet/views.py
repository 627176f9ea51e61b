"""Reads that join rooms."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ruuvinet import metrics as measuring
from ruuvinet.health import LIVE, parts
from ruuvinet.lib.api import error_body, secret_matches


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """200: this process answers. `ruuvinet.asgi` says the same without Django."""
    return HttpResponse(LIVE, content_type="application/json")


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """200 while posts can be taken, 503 otherwise, and what is wrong with which part."""
    found = list(parts(timezone.now()))
    stops = any(part.problem and part.stops_posts for part in found)
    impaired = any(part.problem for part in found)
    body = {
        "status": "unready" if stops else "impaired" if impaired else "ok",
        "parts": {part.name: part.problem or "ok" for part in found},
    }
    reply = JsonResponse(body, status=503 if stops else 200)
    reply._has_been_logged = True  # type: ignore[attr-defined]  # it is asked every few seconds
    return reply


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus, which presents METRICS_TOKEN as its bearer token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret_matches(token.strip(), settings.METRICS_TOKEN):
        refusal = JsonResponse(error_body("Unauthorized request.", "ER_UNAUTHORIZED"), status=401)
        refusal["WWW-Authenticate"] = "Bearer"
        return refusal
    return HttpResponse(measuring.exposition(timezone.now()), content_type=measuring.CONTENT_TYPE)
