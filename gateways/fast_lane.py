"""`record` for an event loop: nothing that waits holds a thread, and commits are shared."""

from collections.abc import Callable, Sequence

from gateways.directory import Lookups
from gateways.record import (
    REFUSALS,
    Rejected,
    Reply,
    Request,
    accept,
    open_body,
    refusal,
    success,
)
from gateways.rejections import Rejection, RejectionNotes
from gateways.writer import Writer
from ruuvinet.lib.mac import Mac


class FastLane:
    """Answers the posts of gateways. Belongs to one event loop; `close` ends its threads."""

    def __init__(self, *, queue_limit: int, woken: Callable[[Sequence[Mac]], None]) -> None:
        self._lookups = Lookups()
        self._rejections = RejectionNotes()
        self._writer = Writer(queue_limit=queue_limit, woken=woken)

    async def record(self, request: Request) -> Reply:
        """As `gateways.record.record`."""
        try:
            opened = open_body(request.body)
            post = accept(opened, request, await self._lookups.secret_of(opened.mac))
            await self._writer.write(post)
        except REFUSALS as error:
            if isinstance(error, Rejected):
                self._rejections.note(
                    Rejection(error.mac, error.reason, request.address, request.received_at)
                )
            return refusal(error)
        return success()

    def close(self) -> None:
        """Commit what waits, refuse the rest."""
        self._writer.close()
        self._rejections.close()
        self._lookups.close()
