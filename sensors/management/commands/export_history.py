"""`manage.py export_history`: what a sensor measured, decoded, as CSV or JSON lines."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from ruuvinet.lib.mac import Mac
from sensors.exports import KINDS, export
from sensors.history import LAST
from sensors.models import Sensor


def time_of(text: str) -> int:
    """Unix seconds from a number or an ISO 8601 time, in UTC unless it says. Raises ValueError."""
    if text.isdigit():
        return int(text)
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


class Command(BaseCommand):
    help = "Write a sensor's decoded history, oldest first, as CSV or JSON lines."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("sensor", type=Mac.parse, help="AA:BB:CC:DD:EE:FF")
        parser.add_argument("--format", choices=list(KINDS), default="csv")
        parser.add_argument("--since", type=time_of, default=0, help="2026-01-31 or Unix seconds")
        parser.add_argument("--until", type=time_of, default=LAST, help="the same; inclusive")
        parser.add_argument(
            "--calibrated", action="store_true", help="apply the owner's offsets to the values"
        )
        parser.add_argument("--output", type=Path, help="a file, instead of standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["output"] is None:
                self._write(sys.stdout.buffer, options)
            else:
                with options["output"].open("wb") as file:
                    self._write(file, options)
        except OSError as error:
            raise CommandError(str(error)) from error

    def _write(self, file: BinaryIO, options: dict[str, Any]) -> None:
        mac = options["sensor"]
        parts = export(
            Sensor.objects.filter(mac=mac).first() or Sensor(mac=mac),
            options["format"],
            since=options["since"],
            until=options["until"],
            calibrated=options["calibrated"],
        )
        with tqdm(unit=" rows", unit_scale=True, disable=None) as bar:
            for part in parts:
                file.write(part.text)
                bar.update(part.rows)
                bar.set_postfix_str(f"{datetime.fromtimestamp(part.until, UTC):%Y-%m-%d}")
        file.flush()
