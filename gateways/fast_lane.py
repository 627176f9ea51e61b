"""`record` for an event loop: nothing that waits holds a thread, and commits are shared."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter

from gateways import networks
from gateways.directory import Lookups
from gateways.models import Gateway
from gateways.notes import Notes
from gateways.proof import Known
from gateways.record import (
    REFUSALS,
    Accepted,
    QueueFull,
    Rejected,
    Reply,
    Request,
    accept,
    open_body,
    reason_of,
    refusal,
)
from gateways.tally import INGEST
from gateways.writer import Unavailable, Writer
from ruuvinet.lib.mac import Mac

AT_ONCE = 8  # posts that are judged in one turn of the event loop: about a millisecond
PATIENCE_S = 5.0  # with a question to the database


class FastLane:
    """Answers the posts of gateways. Belongs to one event loop; `close` ends its threads.

    At most `queue_limit` posts are in hand. The others are refused before any work is spent on
    them, and of the work a little is done at a time, so that a flood is refused without delay.
    """

    def __init__(self, *, queue_limit: int, woken: Callable[[Sequence[Mac]], None]) -> None:
        self._limit = queue_limit
        self._in_hand = 0
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._lookups = Lookups()
        self._refresh: asyncio.Future[None] | None = None
        self._notes = Notes()
        self._writer = Writer(woken=woken)

    async def is_blocked(self, address: str) -> bool:
        """As `networks.is_blocked`."""
        if networks.is_stale():
            if self._refresh is None or self._refresh.done():
                self._refresh = asyncio.ensure_future(self._lookups.run(networks.refresh))
            await asyncio.wait([self._refresh], timeout=PATIENCE_S)
        return networks.is_known_as_blocked(address)

    async def warm_up(self) -> None:
        """Do what the first post would have to wait for. Never fails: the database may be away."""
        await self.is_blocked("")
        with suppress(*REFUSALS):
            await self._lookups.run(Gateway.objects.exists)

    async def record(self, request: Request) -> Reply:
        """As `gateways.record.record`."""
        if self._in_hand >= self._limit:
            INGEST.refuse("queue_full")
            return refusal(QueueFull())
        self._in_hand += 1
        began, in_hand = perf_counter(), self._in_hand
        try:
            accepted = await self._judge(request)
            await self._writer.write(accepted.post)
        except REFUSALS as error:
            if isinstance(error, Rejected):
                self._notes.note(error.note)
            INGEST.refuse(reason_of(error))
            return refusal(error)
        finally:
            self._in_hand -= 1
        readings = len(accepted.post.batch.receptions)
        INGEST.accept(readings=readings, took_s=perf_counter() - began, in_hand=in_hand)
        for note in accepted.notes:
            self._notes.note(note)
        return accepted.reply

    async def _judge(self, request: Request) -> Accepted:
        opened = open_body(request.body)
        known = await self._find(opened.mac)
        async with self._turns:
            accepted = accept(opened, request, known)
            await asyncio.sleep(0)  # others are answered before the next ones have their turn
        return accepted

    async def _find(self, mac: Mac) -> Known | None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._lookups.find(mac)
        except TimeoutError as error:  # a database that is silent, not gone
            raise Unavailable from error

    def close(self) -> None:
        """Commit what waits, refuse the rest."""
        self._writer.close()
        self._notes.close()
        self._lookups.close()
