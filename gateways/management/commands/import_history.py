"""`manage.py import_history`: readings from files of other systems."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from gateways.past import read_bodies
from gateways.wire import MAX_BODY_BYTES
from ruuvinet.lib.mac import Mac
from sensors.imports import Line, Place, run_batches, say_faults
from sensors.past import Fault, Past, Readings, batch_size

Found = tuple[Readings, list[Fault]]
Read = Callable[[list[Line]], Found]
BODIES = 100  # of up to 100 tags, in a transaction


class Command(BaseCommand):
    help = (
        "Import readings: CSV exports of the Ruuvi Station apps, plain CSV (mac, measured_at and "
        "quantities by our names), and answers of gateways to /history. What is stored already "
        "stays. Killed, it goes on where it stopped when started again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path)
        parser.add_argument(
            "--sensor", type=Mac.parse, help="whose readings they are, for files that do not say"
        )
        parser.add_argument("--register", action="store_true", help="add sensors not known yet")
        parser.add_argument(
            "--timezone", default="UTC", help="of times that do not say, such as Europe/Helsinki"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            zone = ZoneInfo(options["timezone"])
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise CommandError(f"{options['timezone']} is no time zone") from error
        past = Past(now=int(time.time()), register=options["register"])
        refused = 0
        for path in options["files"]:
            try:
                place = self._import(path, past, options["sensor"], zone)
            except (OSError, ValueError) as error:
                self.stderr.write(f"{path}: {error}")
                refused += 1
            except DatabaseError as error:
                raise CommandError(f"{path}: {error}") from error
            else:
                self.stdout.write(f"{path}: {place.taken} readings, {place.bad} bad lines skipped.")
        if refused:
            raise CommandError(f"{refused} files could not be read.")

    def _import(self, path: Path, past: Past, sensor: Mac | None, zone: ZoneInfo) -> Place:
        with path.open("rb") as file:
            first = file.readline(MAX_BODY_BYTES)
        read: Read
        if first.lstrip().startswith(b"{"):
            read, size, kind = _bodies, BODIES, "history"
            if not _is_complete(first):
                if path.stat().st_size > MAX_BODY_BYTES:
                    raise ValueError("one answer of a gateway, or one in each line, is expected")
                read, size = _body, MAX_BODY_BYTES
        else:
            read, size = self._csv(path, first, sensor, zone), batch_size()
            kind = f"history-{int(sensor or 0):012x}-{zone.key.replace('/', '-')}"
        take = partial(_take, read, past, self.stderr.write)
        return run_batches(path, kind=kind, size=size, take=take, say=self.stderr.write)

    def _csv(self, path: Path, first: bytes, sensor: Mac | None, zone: ZoneInfo) -> Read:
        # Loads NumPy.
        from sensors.csv_history import read_header, read_lines

        header = read_header(first.decode("utf-8-sig", "replace"))
        if header.mac is None and sensor is None:
            raise ValueError("does not say whose readings these are: use --sensor")
        if header.left_out:
            self.stderr.write(f"{path}: left out: {', '.join(header.left_out)}")

        def read(lines: list[Line]) -> Found:
            rows = [(n, text) for n, text, _ in lines if n > 1 and not text.isspace()]
            return read_lines(rows, header, sensor=sensor, zone=zone)

        return read


def _take(
    read: Read, past: Past, say: Callable[[str], object], lines: list[Line], place: Place
) -> None:
    found, faults = read(lines)
    missed = past.keep(found)
    texts: dict[int, list[str]] = {}
    for line, text in faults + missed:
        texts.setdefault(line, []).append(text)
    say_faults({line: "; ".join(texts[line]) for line in texts}, say)
    place.taken += len(found.lines) - len(missed)
    place.bad += len(texts)


def _is_complete(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return True


def _body(lines: list[Line]) -> Found:
    """The whole file is one body, printed prettily as gateways do."""
    return read_bodies([(lines[0].number, b"".join(line.text for line in lines))])


def _bodies(lines: list[Line]) -> Found:
    """Each line is a body."""
    return read_bodies((line.number, line.text) for line in lines if not line.text.isspace())
