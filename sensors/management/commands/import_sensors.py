"""`manage.py import_sensors`: a production batch, registered as `/register-sensor` does."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from sensors.imports import run_import
from sensors.secret import digits_of
from sensors.services import register_sensors


class Command(BaseCommand):
    help = (
        "Register sensors and their secrets from a file of `MAC,secret` lines or of JSON objects "
        "with macAddress and secret. Killed, it goes on where it stopped when started again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            place = run_import(
                options["file"],
                kind="sensors",
                check=digits_of,
                store=register_sensors,
                say=self.stderr.write,
            )
        except (OSError, DatabaseError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{place.taken} sensors are registered, {place.bad} bad lines skipped.")
