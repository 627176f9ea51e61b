"""`record` for an event loop: nothing that waits holds a thread, and commits are shared."""

import asyncio
from collections.abc import Callable, Sequence

from gateways import networks
from gateways.directory import Lookups
from gateways.notes import Notes
from gateways.record import (
    REFUSALS,
    Rejected,
    Reply,
    Request,
    accept,
    open_body,
    refusal,
)
from gateways.writer import Writer
from ruuvinet.lib.mac import Mac


class FastLane:
    """Answers the posts of gateways. Belongs to one event loop; `close` ends its threads."""

    def __init__(self, *, queue_limit: int, woken: Callable[[Sequence[Mac]], None]) -> None:
        self._lookups = Lookups()
        self._refresh: asyncio.Future[None] | None = None
        self._notes = Notes()
        self._writer = Writer(queue_limit=queue_limit, woken=woken)

    async def is_blocked(self, address: str) -> bool:
        """As `networks.is_blocked`."""
        if networks.is_stale():
            if self._refresh is None or self._refresh.done():
                self._refresh = asyncio.ensure_future(self._lookups.run(networks.refresh))
            await asyncio.shield(self._refresh)  # others may wait for it too
        return networks.is_known_as_blocked(address)

    async def record(self, request: Request) -> Reply:
        """As `gateways.record.record`."""
        try:
            opened = open_body(request.body)
            accepted = accept(opened, request, await self._lookups.find(opened.mac))
            await self._writer.write(accepted.post)
        except REFUSALS as error:
            if isinstance(error, Rejected):
                self._notes.note(error.note)
            return refusal(error)
        for note in accepted.notes:
            self._notes.note(note)
        return accepted.reply

    def close(self) -> None:
        """Commit what waits, refuse the rest."""
        self._writer.close()
        self._notes.close()
        self._lookups.close()
