"""The group commit: one transaction for all posts that wait, and their release after it.

One thread in each process takes whatever waits, without a timer: while a commit runs, the next
posts gather. The database's durability is paid once for all of them.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain, groupby
from queue import Empty, SimpleQueue

from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from alerts.services import wake
from gateways.services import note_accepted
from gateways.shaping import Batch, Post
from gateways.tally import INGEST
from ruuvinet.lib.database import pipeline
from ruuvinet.lib.mac import Mac
from sensors.services import Reception, store
from sensors.storage import SparseSlots

log = logging.getLogger(__name__)

LARGEST_BATCH = 200  # posts; more in one transaction is no faster
# Any that is stored, whoever sent it: data format 5 of nothing.
_ADVERTISEMENT = bytes.fromhex("1BFF990405") + bytes(23)
PATIENCE_S = 10.0  # a gateway gives up after 15


class Unavailable(Exception):
    """The database cannot be reached, or the process is about to end."""


def commit(posts: Sequence[Post], slots: SparseSlots) -> list[Mac]:
    """Store `posts` in one transaction; returns the sensors that were kept."""
    receptions = chain.from_iterable(post.batch.receptions.values() for post in posts)
    with pipeline(), transaction.atomic():
        sensors = store(receptions, slots)
        note_accepted(posts)
    slots.committed()
    return sensors


def warm_up() -> None:
    """Do what the first commit would have to wait for, and undo it. Raises DatabaseError."""
    now = datetime.now(UTC)
    heard = Reception(0, int(now.timestamp()), 0, 0, _ADVERTISEMENT)
    with transaction.atomic():
        commit([Post(Mac(0), "", now, Batch({0: heard}))], SparseSlots())
        transaction.set_rollback(True)


def write_now(post: Post) -> None:
    """Commit one post in this thread and wake the workers. Raises DatabaseError."""
    wake(commit([post], SparseSlots()))


class Writer:
    """Commits posts of event loops together. `woken` gets the sensors after each commit."""

    def __init__(self, *, woken: Callable[[Sequence[Mac]], None]) -> None:
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._woken = woken
        self._slots = SparseSlots()
        self._settled = 0  # posts of the batch before
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def write(self, post: Post) -> None:
        """Return when `post` is committed. Raises Unavailable, or what was wrong."""
        if self._closed:
            raise Unavailable
        waiting = _Waiting(post)
        self._queue.put(waiting)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await waiting.outcome
        except TimeoutError as error:
            # It may yet be committed; without our word the gateway counts it as lost.
            raise Unavailable from error

    def close(self) -> None:
        """Commit what waits, refuse the rest."""
        self._closed = True
        self._queue.put(None)
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        with suppress(DatabaseError):  # otherwise with the first post
            warm_up()
        while not (self._closed and self._queue.empty()):
            batch = self._take()
            sensors = self._commit(batch)
            _release(batch)
            self._settled = len(batch)
            if sensors:
                self._woken(sensors)
        connection.close()

    def _take(self) -> list["_Waiting"]:
        """What waits; nothing when it was only to be told that the writer is closed."""
        first = self._queue.get()
        batch = [first] if first else []
        most = self._fair_share()
        while len(batch) < most:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                break
            if waiting:
                batch.append(waiting)
        return batch

    def _fair_share(self) -> int:
        """How many posts to commit together: half of those on their way, while many are.

        Who waits for an answer before posting again is on the way with those that were settled
        last. If all that wait were taken, large batches and small ones would alternate, and so
        would the work of database and event loop; halves keep both busy.
        """
        waiting = 1 + self._queue.qsize()
        return min(LARGEST_BATCH, (waiting + self._settled + 1) // 2)

    def _commit(self, batch: Sequence["_Waiting"]) -> list[Mac]:
        if not batch:
            return []
        try:
            sensors = self._commit_again_if_lost([waiting.post for waiting in batch])
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
        INGEST.commit(len(batch))
        return sensors

    def _commit_again_if_lost(self, posts: Sequence[Post]) -> list[Mac]:
        """Commit; on a lost connection once more on a new one. Raises Unavailable."""
        try:
            return commit(posts, self._slots)
        except (OperationalError, InterfaceError):
            connection.close()
        try:
            return commit(posts, self._slots)
        except (OperationalError, InterfaceError) as error:
            connection.close()
            raise Unavailable from error


class _Waiting:
    """A post on its way to the database, and where its event loop waits for the outcome."""

    __slots__ = ("error", "loop", "outcome", "post")

    def __init__(self, post: Post) -> None:
        self.post = post
        self.error: Exception | None = None
        self.loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[None] = self.loop.create_future()

    def settle(self) -> None:
        """In the event loop's own thread."""
        if self.outcome.done():  # nobody waits any more
            return
        if self.error:
            self.outcome.set_exception(self.error)
        else:
            self.outcome.set_result(None)


def _release(batch: Sequence[_Waiting]) -> None:
    """One word for each event loop: to wake it costs more than all that it does then."""
    for loop, its_own in groupby(batch, key=lambda waiting: waiting.loop):
        with suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(_settle, list(its_own))


def _settle(batch: Iterable[_Waiting]) -> None:
    for waiting in batch:
        waiting.settle()
