"""`manage.py move_to_postgresql`: the same installation, on a database server."""

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from ruuvinet.move import move


class Command(BaseCommand):
    help = "Copy all that SQLite holds into an empty PostgreSQL, compare, and only then commit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", help="postgres://user:password@host/name, as in DATABASE_URL")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = move(options["url"], screen=sys.stderr)
        for table, number in sorted(rows.items()):
            self.stdout.write(f"{number:>12}  {table}")
        self.stdout.write(
            f"{sum(rows.values()):>12}  rows in all; count and checksum of each table agree.\n"
            f"SQLite is unchanged. To go on with PostgreSQL, put DATABASE_URL, REDIS_URL and the "
            f"lines of {settings.DATA_DIR / 'secrets.env'} into .env, and start RuuviNet."
        )
