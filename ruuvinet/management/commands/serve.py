"""`manage.py serve`: all of RuuviNet in the foreground, from one command."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from ruuvinet.bootstrap import another_port, ensure_free, prepare, programs, run


class Command(BaseCommand):
    help = "Prepare the database and run web server, worker and timetable. Stop with Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        ensure_free(settings.HOST, settings.PORT, advice=another_port("run", "PORT", settings.PORT))
        self.stdout.write(prepare())
        run(programs(), stdout=self.stdout)
