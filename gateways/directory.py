"""Whitelisted gateways and what they must present, remembered for seconds in each process."""

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from gateways import storage
from gateways.proof import Known
from ruuvinet.lib.mac import Mac

REMEMBERED_S = 3.0
LARGEST = 20_000  # entries; strangers may invent any number of addresses

T = TypeVar("T")

_remembered: dict[Mac, tuple[float, Known | None]] = {}
_changes = 0  # so that an answer from before a change is not remembered after it


def find(mac: Mac) -> Known | None:
    """The whitelisted gateway `mac`; None for any other. Raises DatabaseError.

    May be REMEMBERED_S seconds old; in the process that changes it, it never is.
    """
    found = _remembered.get(mac)
    if found and found[0] > time.monotonic():
        return found[1]
    return _look_up([mac])[mac]


class Lookups:
    """`find` for an event loop: one query at a time, for all who ask while it runs.

    A gateway posts less often than it is remembered, so each post asks.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "lookups")
        self._asked: dict[Mac, asyncio.Future[Known | None]] = {}
        self._running: asyncio.Task[None] | None = None

    async def find(self, mac: Mac) -> Known | None:
        """As the function of this name. May be called from one event loop only."""
        found = _remembered.get(mac)
        if found and found[0] > time.monotonic():
            return found[1]
        loop = asyncio.get_running_loop()
        answer = self._asked.get(mac)
        if answer is None:
            answer = self._asked[mac] = loop.create_future()
        if self._running is None:
            self._running = loop.create_task(self._run())
        return await asyncio.shield(answer)  # others may wait for it too

    async def run(self, question: Callable[..., T], *given: Any) -> T:
        """Ask the database in the thread that is there for it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _with_connection, question, *given)

    def close(self) -> None:
        self._thread.submit(lambda: connection.close())  # its own, which only it can name
        self._thread.shutdown()

    async def _run(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, {}
            try:
                known = await self.run(_look_up, list(asked))
            except Exception as error:  # noqa: BLE001  # those who asked are told
                for answer in asked.values():
                    answer.set_exception(error)
                    answer.exception()  # nobody may be left to ask
                continue
            for mac, answer in asked.items():
                answer.set_result(known[mac])
        self._running = None


def forget(mac: Mac) -> None:
    """Ask the database about `mac` the next time."""
    global _changes
    _changes += 1
    _remembered.pop(mac, None)


def forget_all() -> None:
    global _changes
    _changes += 1
    _remembered.clear()


def changed(mac: Mac | None = None) -> None:
    """Forget `mac`, or all, now, and again when the change can be seen.

    In between another thread may look up what was before.
    """
    verb = forget_all if mac is None else partial(forget, mac)
    verb()
    transaction.on_commit(verb)


def _with_connection(question: Callable[..., T], *given: Any) -> T:
    close_old_connections()  # outside of Django's request cycle nobody else does
    try:
        return question(*given)
    finally:
        close_old_connections()


def _look_up(macs: Collection[Mac]) -> dict[Mac, Known | None]:
    changes = _changes
    known: dict[Mac, Known | None] = {**dict.fromkeys(macs), **storage.read(macs, timezone.now())}
    if len(_remembered) >= LARGEST:
        _remembered.clear()  # cheap, and a flood is over in a moment or goes on anyway
    if changes == _changes:
        until = time.monotonic() + REMEMBERED_S
        _remembered.update({mac: (until, one) for mac, one in known.items()})
    return known
