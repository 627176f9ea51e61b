"""`manage.py move_to_postgresql`: the same installation, on a database server."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from ruuvinet.move import move


class Command(BaseCommand):
    help = (
        "Copy all that SQLite holds into the empty PostgreSQL that DATABASE_URL names, compare, and "
        "only then commit."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "source",
            type=Path,
            nargs="?",
            default=settings.DATA_DIR / "ruuvinet.sqlite3",
            help="the file of SQLite; else the one in the data folder",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rows = move(options["source"], screen=sys.stderr)
        for table, number in sorted(rows.items()):
            self.stdout.write(f"{number:>12}  {table}")
        self.stdout.write(
            f"{sum(rows.values()):>12}  rows in all; count and checksum of each table agree.\n"
            f"{options['source']} is unchanged; delete it when all is well."
        )
