"""`manage.py backup`: all that this installation knows, while it runs."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from ruuvinet import backup


class Command(BaseCommand):
    help = (
        "Write the database and the pictures into one archive in FOLDER, and the keys into a file "
        "beside it that only its owner can read. Everything may run meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--verify", action="store_true", help="restore it into a scratch place and compare"
        )
        parser.add_argument(
            "--keep", type=int, metavar="N", help="delete all but the newest N archives there"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["keep"] is not None and options["keep"] < 1:
            raise CommandError("--keep: 1 or more")
        try:
            archive, manifest = backup.backup(
                options["folder"], at=timezone.now(), screen=sys.stderr
            )
        except (OSError, DatabaseError) as error:
            raise CommandError(f"The backup cannot be written: {error}") from error
        self.stdout.write(
            f"{archive}: {sum(manifest['rows'].values())} rows in {len(manifest['rows'])} tables, "
            f"{manifest['pictures']} pictures.\n"
            f"{archive.with_suffix('.keys')}: the keys. Keep them elsewhere: without them the "
            "secrets in the archive cannot be read, and with them they can."
        )
        if options["verify"]:
            backup.verify(archive, screen=sys.stderr)
            self.stdout.write("Verified: restored into a scratch place, every count is the same.")
        if options["keep"]:
            for old in backup.keep_newest(options["folder"], options["keep"]):
                self.stdout.write(f"{old}: deleted, with its keys.")
