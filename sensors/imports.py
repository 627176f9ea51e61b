"""Files of MAC addresses and secrets, as factories send them: read in batches, begun once.

A line is `AA:BB:CC:DD:EE:FF,secret` or `{"macAddress": "...", "secret": "..."}`. Bad lines are told
by number and skipped. After each batch the place in the file is noted in the data folder, so that
an import which was killed goes on there; what it did twice changes nothing.
"""

import csv
import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import msgspec
from django.conf import settings
from tqdm import tqdm

from ruuvinet.lib.mac import Mac

BATCH = 500  # lines in a transaction, which SQLite's other writers wait for
HEADER = "macaddress,secret"


class Entry(msgspec.Struct):
    macAddress: str
    secret: str


class Line(NamedTuple):
    """A line of the file, counted from 1, and where the next one begins, in bytes."""

    number: int
    text: bytes
    end: int


@dataclass
class Place:
    """How far an import came, and what it met on its way."""

    line: int = 0
    offset: int = 0
    taken: int = 0
    bad: int = 0


# Stores secrets by MAC in one transaction; returns those that are known with another secret.
Store = Callable[[Mapping[Mac, str]], Collection[Mac]]


def run_import(
    path: Path,
    *,
    kind: str,
    check: Callable[[str], object],
    store: Store,
    say: Callable[[str], object],
) -> Place:
    """Import the file at `path`; `say` is given a line for each bad one.

    `check` raises ValueError for what is no secret. Raises OSError for a file that cannot be read.
    """
    take = partial(_import_batch, check=check, store=store, say=say)
    return run_batches(path, kind=kind, size=BATCH, take=take, say=say)


def run_batches(
    path: Path,
    *,
    kind: str,
    size: int,
    take: Callable[[list[Line], Place], None],
    say: Callable[[str], object],
) -> Place:
    """Give the lines of a file to `take`, `size` at a time, and note the place after each batch.

    `kind` says what is done with the file: the place of another kind is another place. `take` counts
    what it took and what was bad in the place. Raises OSError.
    """
    with path.open("rb") as file:
        mark = settings.DATA_DIR / "imports" / f"{kind}-{_digest(file)}.json"
        place = _read_place(mark)
        if place.line:
            say(f"going on after line {place.line}")
        file.seek(place.offset)
        with tqdm(
            total=path.stat().st_size,
            initial=place.offset,
            unit="B",
            unit_scale=True,
            disable=None,  # where nobody watches
        ) as bar:
            for batch in _batches(file, place, size):
                take(batch, place)
                place.line, place.offset = batch[-1].number, batch[-1].end
                _write_place(mark, place)
                bar.update(place.offset - bar.n)
    mark.unlink(missing_ok=True)
    return place


def _import_batch(
    batch: list[Line],
    place: Place,
    *,
    check: Callable[[str], object],
    store: Store,
    say: Callable[[str], object],
) -> None:
    faults: dict[int, str] = {}
    secrets: dict[Mac, str] = {}
    numbers: dict[Mac, int] = {}
    for line in batch:
        try:
            entry = _parse(line)
            if entry is None:
                continue
            mac = Mac.parse(entry.macAddress.strip())
            check(entry.secret)
        except ValueError as error:
            faults[line.number] = str(error)
            continue
        if secrets.setdefault(mac, entry.secret) != entry.secret:
            faults[line.number] = f"{mac} is listed with two secrets"
        numbers.setdefault(mac, line.number)
    for mac in store(secrets):
        faults[numbers[mac]] = f"{mac} is known with another secret"
    say_faults(faults, say)
    place.taken += len(secrets) - len(faults.keys() & numbers.values())
    place.bad += len(faults)


def say_faults(faults: Mapping[int, str], say: Callable[[str], object]) -> None:
    """Tell what is wrong, by number of line."""
    if faults:
        with tqdm.external_write_mode():  # the bar steps aside
            for number, fault in sorted(faults.items()):
                say(f"line {number}: {fault}")


def _parse(line: Line) -> Entry | None:
    """The entry; None for an empty line and for the header. Raises ValueError."""
    try:
        text = line.text.decode("utf-8-sig" if line.number == 1 else "utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    if not text or (line.number == 1 and text.lower().replace(" ", "") == HEADER):
        return None
    if text.startswith("{"):
        try:
            return msgspec.json.decode(text, type=Entry)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error
    try:
        mac, secret = next(csv.reader([text], strict=True))
    except (csv.Error, ValueError) as error:
        raise ValueError("expected two fields, macAddress and secret") from error
    return Entry(mac, secret)


def _batches(file: BufferedReader, start: Place, size: int) -> Iterator[list[Line]]:
    number, end = start.line, start.offset
    batch: list[Line] = []
    for text in file:
        number, end = number + 1, end + len(text)
        batch.append(Line(number, text, end))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _digest(file: BufferedReader) -> str:
    """Names the content: a file that was changed begins anew."""
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return digest[:32]


def _read_place(mark: Path) -> Place:
    with suppress(FileNotFoundError, ValueError, TypeError):
        return Place(**json.loads(mark.read_text()))
    return Place()


def _write_place(mark: Path, place: Place) -> None:
    mark.parent.mkdir(parents=True, exist_ok=True)
    draft = mark.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(place)))
    draft.replace(mark)
