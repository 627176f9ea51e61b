"""`manage.py serve`: all of RuuviNet in the foreground, from one command, or one program of it."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from ruuvinet.bootstrap import (
    another_port,
    become,
    ensure_free,
    prepare,
    programs,
    programs_apart,
    run,
)


class Command(BaseCommand):
    help = "Prepare the database and run web server, worker and timetable. Stop with Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--only",
            choices=[child.name for child in programs_apart()],
            help="become this program, for systemd or a container that keeps it running; "
            "the database is prepared by manage.py migrate",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if name := options["only"]:
            become(next(child for child in programs_apart() if child.name == name))
        ensure_free(settings.HOST, settings.PORT, advice=another_port("run", "PORT", settings.PORT))
        self.stdout.write(prepare())
        run(programs(), stdout=self.stdout)
