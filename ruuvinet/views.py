"""Reads that join rooms."""

from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200 once requests are served and the database is migrated, 503 otherwise."""
    problem = _database_problem()
    body = {"status": problem or "ok"}
    return JsonResponse(body, status=503 if problem else 200)


def _database_problem() -> str | None:
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except DatabaseError:
        return "database unreachable"
    return None if _newest_migrations() <= applied.keys() else "database not migrated"


@cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    """The last migration of each app in this code, which does not change while it runs."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())
