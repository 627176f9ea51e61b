"""`record` for an event loop: nothing that waits holds a thread, and commits are shared."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from gateways import networks
from gateways.directory import Lookups
from gateways.models import Gateway
from gateways.record import (
    REFUSALS,
    QueueFull,
    Rejected,
    Reply,
    Request,
    accept,
    open_body,
    refusal,
    success,
)
from gateways.rejections import Rejection, RejectionNotes
from gateways.shaping import Post
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
        self._rejections = RejectionNotes()
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
            return refusal(QueueFull())
        self._in_hand += 1
        try:
            await self._writer.write(await self._judge(request))
        except REFUSALS as error:
            if isinstance(error, Rejected):
                self._rejections.note(
                    Rejection(error.mac, error.reason, request.address, request.received_at)
                )
            return refusal(error)
        finally:
            self._in_hand -= 1
        return success()

    async def _judge(self, request: Request) -> Post:
        opened = open_body(request.body)
        secret = await self._secret_of(opened.mac)
        async with self._turns:
            post = accept(opened, request, secret)
            await asyncio.sleep(0)  # others are answered before the next ones have their turn
        return post

    async def _secret_of(self, mac: Mac) -> str | None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._lookups.secret_of(mac)
        except TimeoutError as error:  # a database that is silent, not gone
            raise Unavailable from error

    def close(self) -> None:
        """Commit what waits, refuse the rest."""
        self._writer.close()
        self._rejections.close()
        self._lookups.close()
