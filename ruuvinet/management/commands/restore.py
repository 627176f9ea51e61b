"""`manage.py restore`: an installation as it was when `manage.py backup` wrote the archive."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from ruuvinet import backup


class Command(BaseCommand):
    help = "Fill an empty database, and the pictures, from an archive of `manage.py backup`."
    requires_system_checks = ()  # the database may not be there yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("archive", type=Path)
        parser.add_argument("--keys", type=Path, help="the file of keys that belongs to it")
        parser.add_argument(
            "--replace", action="store_true", help="although the database holds something"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = backup.restore(
                options["archive"],
                keys=options["keys"],
                replace=options["replace"],
                screen=sys.stderr,
            )
        except (OSError, DatabaseError) as error:
            raise CommandError(f"It cannot be restored: {error}") from error
        self.stdout.write("\n".join(done))
