"""The thread between the writer and the broker, which may be silent for as long as it likes."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import close_old_connections, connection
from django.utils import timezone

from alerts.services import note_listening, wake
from gateways.tally import INGEST
from ruuvinet.lib.mac import Mac

log = logging.getLogger(__name__)

GATHERING_S = 0.1  # one question and one message for what many commits bring
LISTENING_S = 10.0  # silence of sensors counts only while somebody listens
CLOSING_S = 2.0
LARGEST = 50_000  # sensors; the sweep finds those beyond

T = TypeVar("T")


class Notifier:
    """Wakes the workers for sensors that were heard, in a thread of its own."""

    def __init__(self) -> None:
        self._heard: set[Mac] = set()
        self._closed = False
        self._something = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._thread.start()

    def notify(self, sensors: Sequence[Mac]) -> None:
        """Remember `sensors` and return at once."""
        with self._something:
            if len(self._heard) < LARGEST:
                self._heard.update(sensors)
            self._something.notify()

    def close(self) -> None:
        """Wake the workers for what was heard, then end; the sweep finds what takes too long."""
        with self._something:
            self._closed = True
            self._something.notify()
        self._thread.join(CLOSING_S)

    def _run(self) -> None:
        listened = float("-inf")
        while self._heard or not self._closed:
            with self._something:
                self._something.wait_for(lambda: self._heard or self._closed, LISTENING_S)
            if self._heard and not self._closed:
                time.sleep(GATHERING_S)
            with self._something:
                heard, self._heard = self._heard, set()
            close_old_connections()
            if time.monotonic() - listened >= LISTENING_S:
                listened = time.monotonic()
                _safely(note_listening, timezone.now())
                _safely(INGEST.tell, timezone.now())
            if heard:
                _safely(wake, heard)
        _safely(INGEST.tell, timezone.now())
        connection.close()


def _safely(verb: Callable[[T], None], what: T) -> None:
    """The thread must outlive every fault."""
    try:
        verb(what)
    except Exception as error:
        log.error("%s failed and is done later", verb.__name__, exc_info=error)
