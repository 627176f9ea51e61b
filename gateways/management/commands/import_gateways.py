"""`manage.py import_gateways`: many gateways, whitelisted as `/whitelist` does."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from gateways.services import ensure_secret, whitelist_new
from sensors.imports import run_import


class Command(BaseCommand):
    help = (
        "Whitelist gateways from a file of `MAC,secret` lines or of JSON objects with macAddress "
        "and secret. Killed, it goes on where it stopped when started again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            place = run_import(
                options["file"],
                kind="gateways",
                check=ensure_secret,
                store=lambda secrets: whitelist_new(secrets=secrets, at=timezone.now()),
                say=self.stderr.write,
            )
        except (OSError, DatabaseError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{place.taken} gateways are whitelisted, {place.bad} bad lines skipped.")
