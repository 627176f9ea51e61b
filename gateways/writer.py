"""The group commit: one transaction for all posts that wait, and their release after it.

One thread in each process takes whatever waits, without a timer: while a commit runs, the next
posts gather. The database's durability is paid once for all of them.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from itertools import chain
from queue import Empty, SimpleQueue

from django.db import InterfaceError, OperationalError, connection, transaction

from alerts.services import wake
from gateways.services import note_accepted
from gateways.shaping import Post
from ruuvinet.lib.mac import Mac
from sensors.services import store

log = logging.getLogger(__name__)

LARGEST_BATCH = 200  # posts; more in one transaction is no faster
PATIENCE_S = 10.0  # a gateway gives up after 15

Write = Callable[[Post], None]


class QueueFull(Exception):
    """As many posts wait as may."""


class Unavailable(Exception):
    """The database cannot be reached, or the process is about to end."""


def commit(posts: Sequence[Post]) -> list[Mac]:
    """Store `posts` in one transaction; returns the sensors that were kept."""
    with transaction.atomic():
        sensors = store(chain.from_iterable(post.batch.receptions.values() for post in posts))
        note_accepted(posts)
    return sensors


def write_now(post: Post) -> None:
    """Commit one post in this thread and wake the workers. Raises DatabaseError."""
    wake(commit([post]))


class Writer:
    """Commits the posts of many threads together. `woken` gets the sensors after each commit."""

    def __init__(self, *, queue_limit: int, woken: Callable[[Sequence[Mac]], None]) -> None:
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._limit = queue_limit
        self._woken = woken
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def write(self, post: Post) -> None:
        """Return when `post` is committed. Raises QueueFull, Unavailable, or what was wrong."""
        if self._closed:
            raise Unavailable
        if self._queue.qsize() >= self._limit:
            raise QueueFull
        waiting = _Waiting(post)
        self._queue.put(waiting)
        if not waiting.known.acquire(timeout=PATIENCE_S):
            raise Unavailable  # it may yet be committed; without our word the gateway counts it lost
        if waiting.error:
            raise waiting.error

    def close(self) -> None:
        """Commit what waits, refuse the rest."""
        self._closed = True
        self._queue.put(None)
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        while not (self._closed and self._queue.empty()):
            batch = self._take()
            sensors = self._commit(batch)
            for waiting in batch:
                waiting.known.release()
            if sensors:
                self._woken(sensors)
        connection.close()

    def _take(self) -> list["_Waiting"]:
        """What waits; nothing when it was only to be told that the writer is closed."""
        first = self._queue.get()
        batch = [first] if first else []
        while len(batch) < LARGEST_BATCH:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                break
            if waiting:
                batch.append(waiting)
        return batch

    def _commit(self, batch: Sequence["_Waiting"]) -> list[Mac]:
        if not batch:
            return []
        try:
            return self._commit_again_if_lost([waiting.post for waiting in batch])
        except Unavailable as error:
            for waiting in batch:
                waiting.error = error
            return []
        except Exception as error:  # the thread must outlive every fault
            if len(batch) == 1:
                log.error("a post of %s cannot be stored", batch[0].post.mac, exc_info=error)
                batch[0].error = error
                return []
            # One of them is poisonous; the others must not suffer for it.
            return [sensor for waiting in batch for sensor in self._commit([waiting])]

    def _commit_again_if_lost(self, posts: Sequence[Post]) -> list[Mac]:
        """Commit; on a lost connection once more on a new one. Raises Unavailable."""
        try:
            return commit(posts)
        except (OperationalError, InterfaceError):
            connection.close()
        try:
            return commit(posts)
        except (OperationalError, InterfaceError) as error:
            connection.close()
            raise Unavailable from error


class _Waiting:
    """A post on its way to the database, and the thread that waits for it."""

    __slots__ = ("error", "known", "post")

    def __init__(self, post: Post) -> None:
        self.post = post
        self.error: Exception | None = None
        self.known = threading.Lock()  # held until the outcome is known; lighter than an Event
        self.known.acquire()
