"""`manage.py doctor`: what is wrong with this installation, and how to mend it."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ruuvinet.doctor import examine


class Command(BaseCommand):
    help = "Look for everything that is wrong with this installation; exit code 1 if anything is."
    requires_system_checks = []  # they are among the findings

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="say it to a program")

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = []
        for name, findings in examine():
            if not (findings or options["json"]):
                self.stdout.write(f"{self.style.SUCCESS('ok')}     {name}")
            for problem, mend in findings:
                wrong.append({"check": name, "problem": problem, "mend": mend})
                if not options["json"]:
                    self.stdout.write(f"{self.style.ERROR('WRONG')}  {name}: {problem}")
                    self.stdout.write(f"       Mend: {mend}")
        if options["json"]:
            self.stdout.write(json.dumps({"wrong": wrong}, indent=2))
        elif not wrong:
            self.stdout.write("Nothing is wrong.")
        if wrong:
            sys.exit(1)
