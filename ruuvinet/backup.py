"""All that an installation knows in one file, its keys in another, and back.

The archive is a zip file: `manifest.json`, `database`, and `pictures/...`. It never holds a key.
"""

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TextIO, TypedDict, cast

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import storages
from django.core.management import CommandError
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from tqdm import tqdm

from ruuvinet import __version__, dumps
from ruuvinet.lib.crypto import fernet
from sensors.pictures import FOLDER

FORMAT = 1  # of the archive
SECRETS = ("SECRET_KEY", "ENCRYPTION_KEYS", "INTERNAL_SECRET", "SHOP_SECRET")
PROOF = b"RuuviNet"  # encrypted in each archive: who can read it has its keys
MANIFEST, DATABASE = "manifest.json", "database"


class Manifest(TypedDict):
    """What an archive says of itself; `made_at` in ISO 8601, UTC."""

    format: int
    version: str
    made_at: str
    database: str
    migrations: list[str]
    rows: dict[str, int]
    pictures: int
    proof: str


# --- Backup ----------------------------------------------------------------------------------
def backup(folder: Path, *, at: datetime, screen: TextIO) -> tuple[Path, Manifest]:
    """Write an archive and its keys into `folder`; everything may run meanwhile.

    Progress goes to `screen`. Raises CommandError, OSError.
    """
    if dumps.is_empty():
        raise CommandError("The database is empty: is DATABASE_URL or RUUVINET_DATA another?")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    archive = folder / f"ruuvinet-{at:%Y%m%d-%H%M%S}.zip"
    draft = archive.with_suffix(".part")
    try:
        # Only its owner may read it: it holds people's addresses and sessions.
        with open(draft, "xb", opener=_private) as file:
            manifest = _write(file, at=at, scratch=folder, screen=screen)
        _write_keys(archive.with_suffix(".keys"))
        draft.replace(archive)  # under its name it is complete
    finally:
        draft.unlink(missing_ok=True)
    return archive, manifest


def keep_newest(folder: Path, number: int) -> list[Path]:
    """Delete all but the newest archives of `folder`, with their keys; returns which."""
    old = sorted(folder.glob("ruuvinet-*.zip"))[:-number]
    for archive in old:
        archive.with_suffix(".keys").unlink(missing_ok=True)
        archive.unlink()
    return old


def verify(archive: Path, *, screen: TextIO) -> Manifest:
    """Restore `archive` into a scratch place and compare what is there; raises CommandError."""
    with _opened(archive) as (files, manifest):
        with dumps.scratch_database(archive.parent) as scratch:
            with _entry(files, screen, "checking") as (dump, bar):
                dumps.read_dump(dump, scratch, bar.update)
            if (found := dumps.rows_in(scratch)) != manifest["rows"]:
                raise CommandError(f"{archive} is not complete: {_differences(manifest, found)}")
        pictures = [name for name in files.namelist() if name.startswith(FOLDER)]
        if files.testzip() or len(pictures) != manifest["pictures"]:
            raise CommandError(f"{archive} is not complete: pictures are missing or damaged.")
    return manifest


def _write(file: IO[bytes], *, at: datetime, scratch: Path, screen: TextIO) -> Manifest:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as files:
        # Before the database and after: whatever it names was there at one of both times.
        stored = _add_pictures(files, set())
        with (
            files.open(DATABASE, "w", force_zip64=True) as out,
            _bar(screen, "backup", dumps.expected_bytes()) as bar,
        ):
            rows = dumps.write_dump(out, bar.update, scratch=scratch)
        stored |= _add_pictures(files, stored)
        manifest = Manifest(
            format=FORMAT,
            version=__version__,
            made_at=at.isoformat(timespec="seconds"),
            database=connection.vendor,
            migrations=_applied(),
            rows=rows,
            pictures=len(stored),
            proof=fernet().encrypt(PROOF).decode(),
        )
        files.writestr(MANIFEST, json.dumps(manifest, indent=2))
    return manifest


def _add_pictures(files: zipfile.ZipFile, stored: set[str]) -> set[str]:
    """Add the pictures that are not `stored` yet; returns their names."""
    storage = storages["pictures"]
    added: set[str] = set()
    try:
        _, names = storage.listdir(FOLDER)
    except FileNotFoundError:  # nobody has given one yet
        return added
    for name in sorted({FOLDER + name for name in names} - stored):
        try:
            content = storage.open(name).read()
        except FileNotFoundError:  # replaced meanwhile
            continue
        files.writestr(zipfile.ZipInfo(name), content)  # they are compressed already
        added.add(name)
    return added


def _write_keys(path: Path) -> None:
    values = {name: getattr(settings, name) for name in SECRETS}
    values["ENCRYPTION_KEYS"] = ",".join(settings.ENCRYPTION_KEYS)
    with open(path, "w", opener=_private) as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _applied() -> list[str]:
    return sorted(
        f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations()
    )


# --- Restore ---------------------------------------------------------------------------------
def restore(archive: Path, *, keys: Path | None, replace: bool, screen: TextIO) -> list[str]:
    """Fill our database and the pictures from `archive`; returns what was done, in plain words.

    `keys` is the file beside the archive, needed where our own keys are others; `replace` allows
    that our database holds something. Nothing is changed when it raises CommandError.
    """
    with _opened(archive) as (files, manifest):
        _ensure_readable(manifest, keys)
        if not (empty := dumps.is_empty()) and not replace:
            raise CommandError(
                "The database is not empty. Look at what it holds, and add --replace to lose it."
            )
        if not empty:
            dumps.ensure_alone()
        with dumps.replacement() as (new, aside):
            with _entry(files, screen, "restore") as (dump, bar):
                dumps.read_dump(dump, new, bar.update)
            if (found := dumps.rows_in(new)) != manifest["rows"]:
                raise CommandError(f"Not all arrived: {_differences(manifest, found)}")
        pictures = _restore_pictures(files)
    done = [
        f"{sum(manifest['rows'].values())} rows in {len(manifest['rows'])} tables and "
        f"{pictures} pictures of {manifest['made_at']}, RuuviNet {manifest['version']}."
    ]
    if keys and not settings.DATABASE_URL:
        done.append(f"Its keys are in {_take_keys(keys)}.")
    if aside and not empty:
        done.append(f"What was there before is in {aside}; delete it when all is well.")
    connection.close()
    dumps.migrate(_without_keys())
    return done


def _ensure_readable(manifest: Manifest, keys: Path | None) -> None:
    """Raise CommandError for what our code or our keys cannot read."""
    if manifest["format"] != FORMAT:
        raise CommandError(f"RuuviNet {manifest['version']} made this backup; install that one.")
    if manifest["database"] != connection.vendor:
        raise CommandError(
            f"The backup is of {manifest['database']}, and DATABASE_URL names another kind. Restore "
            "it where it came from; manage.py move_to_postgresql goes on from there."
        )
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if newer := sorted(set(manifest["migrations"]) - known):
        raise CommandError(
            f"The backup is of RuuviNet {manifest['version']}, which is newer than this one "
            f"({__version__}): it has {newer[0]}. Upgrade first."
        )
    own = keys is None or bool(settings.DATABASE_URL)
    cipher = fernet() if own else _cipher_of(_read_keys(cast(Path, keys)))
    try:
        cipher.decrypt(manifest["proof"])
    except InvalidToken as error:
        raise CommandError(_keys_missing(keys)) from error


def _keys_missing(keys: Path | None) -> str:
    if settings.DATABASE_URL:
        return "ENCRYPTION_KEYS are others than at the backup: set those of its file of keys."
    if keys:
        return f"{keys} does not belong to this backup."
    return "The backup was made with other keys: name their file with --keys."


def _read_keys(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise CommandError(str(error)) from error
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _cipher_of(keys: dict[str, str]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys.get("ENCRYPTION_KEYS", "").split(",")])
    except ValueError as error:
        raise CommandError("The file of keys holds no ENCRYPTION_KEYS.") from error


def _take_keys(keys: Path) -> Path:
    """Make the keys ours where nobody gives them: on the embedded set-up."""
    ours = settings.DATA_DIR / "secrets.env"
    draft = ours.with_suffix(".new")
    with open(draft, "w", opener=_private) as file:
        file.write(keys.read_text())
    return draft.replace(ours)


def _restore_pictures(files: zipfile.ZipFile) -> int:
    storage = storages["pictures"]
    names = [name for name in files.namelist() if name.startswith(FOLDER)]
    for name in names:
        with files.open(name) as content:
            storage.save(name, File(content))
    return len(names)


def _without_keys() -> dict[str, str]:
    """The environment, less what the settings read into it from a file that has changed since."""
    if settings.DATABASE_URL:
        return dict(os.environ)
    return {name: value for name, value in os.environ.items() if name not in SECRETS}


# --- Both ------------------------------------------------------------------------------------
@contextmanager
def _opened(archive: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    try:
        with zipfile.ZipFile(archive) as files:
            yield files, json.loads(files.read(MANIFEST))
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise CommandError(f"{archive} is not a backup, or is damaged: {error}") from error


@contextmanager
def _entry(
    files: zipfile.ZipFile, screen: TextIO, what: str
) -> Iterator[tuple[IO[bytes], "tqdm[Any]"]]:
    """The database in an archive, and a bar to tell how much of it was read."""
    with (
        files.open(DATABASE) as dump,
        _bar(screen, what, files.getinfo(DATABASE).file_size) as bar,
    ):
        yield dump, bar


def _bar(screen: TextIO, what: str, total: int | None) -> "tqdm[Any]":
    return tqdm(
        file=screen, desc=what, total=total, unit="B", unit_scale=True, unit_divisor=1024,
        disable=not screen.isatty(),
    )  # fmt: skip


def _differences(manifest: Manifest, found: dict[str, int]) -> str:
    wanted = manifest["rows"]
    return ", ".join(
        f"{table} has {found.get(table, 'none')} rows and not {wanted.get(table, 'any')}"
        for table in sorted(wanted.keys() | found.keys())
        if wanted.get(table) != found.get(table)
    )
