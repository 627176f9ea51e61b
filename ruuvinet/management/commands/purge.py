"""`manage.py purge`: what the timetable forgets by itself, now, or only counted."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand, CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit, codes, mail
from accounts.services import purge_tokens, unused_tokens
from alerts.offline import forget_old_spans, old_spans
from alerts.services import expired_events, purge_events
from gateways import history


class Purge(NamedTuple):
    """What is kept for a time: how many rows' time is over, and the verb that deletes them."""

    name: str
    count: Callable[[datetime], int]
    purge: Callable[[datetime], int]


def _number(expired: Callable[[datetime], QuerySet[Any]]) -> Callable[[datetime], int]:
    return lambda now: expired(now).count()


PURGES = (
    Purge("sign-in codes", _number(codes.expired), codes.purge),
    Purge("unused sessions", _number(unused_tokens), purge_tokens),
    Purge("mails", _number(mail.old_mails), lambda now: mail.tidy(now=now)),
    Purge("audit trail", _number(audit.expired), audit.purge),
    Purge("alert events", _number(expired_events), purge_events),
    Purge("times without ingest", _number(old_spans), forget_old_spans),
    Purge("told by and served to gateways", history.count_expired, history.purge),
)


class Command(BaseCommand):
    help = "Delete what was kept long enough. The timetable does the same by itself."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, and delete nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        for purge in PURGES:
            number = purge.count(now) if options["dry_run"] else purge.purge(now)
            self.stdout.write(f"{number:>9}  {purge.name}")
        if options["dry_run"]:
            self.stdout.write("Nothing was deleted.")
