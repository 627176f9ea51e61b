"""What posts leave to be noted beside their readings, slowly: nobody may keep the database busy."""

import logging
import threading
from collections.abc import Callable, Hashable
from datetime import datetime
from queue import Full, Queue
from typing import Any, NamedTuple

from django.db import close_old_connections, connection

from gateways.services import NOTE_INTERVAL

log = logging.getLogger(__name__)

PAUSE_S = 0.05
WAITING = 100  # the next ones are not noted: they come again, or nobody misses them
LARGEST = 20_000  # entries; strangers may invent any number of addresses


class Note(NamedTuple):
    """To call `verb` with `given` and `at`; those with the same `about` say the same."""

    about: Hashable
    verb: Callable[..., object]
    given: dict[str, Any]
    at: datetime

    def write(self) -> None:
        self.verb(**self.given, at=self.at)


class Notes:
    """Writes notes in a thread of its own, those about the same at most once a minute."""

    def __init__(self) -> None:
        self._queue: Queue[Note | None] = Queue(WAITING)
        self._noted: dict[Hashable, datetime] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notes", daemon=True)
        self._thread.start()

    def note(self, note: Note) -> None:
        """Return at once."""
        noted = self._noted.get(note.about)
        if noted and note.at - noted < NOTE_INTERVAL:
            return
        if len(self._noted) >= LARGEST:
            self._noted.clear()
        try:
            self._queue.put_nowait(note)
        except Full:
            return
        self._noted[note.about] = note.at

    def close(self) -> None:
        """Write what waits, without pauses, then end."""
        self._ending.set()
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while note := self._queue.get():
            close_old_connections()
            try:
                note.write()
            except Exception as error:  # the thread must outlive every fault
                log.error("%s failed", note.verb.__name__, exc_info=error)
            self._ending.wait(PAUSE_S)
        connection.close()
