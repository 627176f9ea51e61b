"""The thread that notes refused posts, slowly: strangers must not keep the database busy."""

import logging
import threading
from datetime import datetime
from queue import Full, Queue
from typing import NamedTuple

from django.db import close_old_connections, connection

from gateways.models import Gateway
from gateways.services import NOTE_INTERVAL, note_rejection
from ruuvinet.lib.mac import Mac

log = logging.getLogger(__name__)

PAUSE_S = 0.05
WAITING = 100  # the next ones are not noted: they come again, or nobody misses them
LARGEST = 20_000  # entries; strangers may invent any number of addresses


class Rejection(NamedTuple):
    """That a post of `mac` was refused; `at` is aware, `address` may be empty."""

    mac: Mac
    reason: Gateway.Rejection
    address: str
    at: datetime


class RejectionNotes:
    """Writes rejections to the gateways' rows, each at most once a minute."""

    def __init__(self) -> None:
        self._queue: Queue[Rejection | None] = Queue(WAITING)
        self._noted: dict[tuple[Mac, Gateway.Rejection], datetime] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rejections", daemon=True)
        self._thread.start()

    def note(self, rejection: Rejection) -> None:
        """Return at once."""
        key = rejection.mac, rejection.reason
        noted = self._noted.get(key)
        if noted and rejection.at - noted < NOTE_INTERVAL:
            return
        if len(self._noted) >= LARGEST:
            self._noted.clear()
        try:
            self._queue.put_nowait(rejection)
        except Full:
            return
        self._noted[key] = rejection.at

    def close(self) -> None:
        """Write what waits, without pauses, then end."""
        self._ending.set()
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while rejection := self._queue.get():
            close_old_connections()
            try:
                note_rejection(**rejection._asdict())
            except Exception as error:  # the thread must outlive every fault
                log.error("a rejection could not be noted", exc_info=error)
            self._ending.wait(PAUSE_S)
        connection.close()
