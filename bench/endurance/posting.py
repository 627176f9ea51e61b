"""Posts of gateways on one event loop: as fast as they are answered, or at a given rate.

wrk (bench.load) is faster, but knows neither rates nor which posts were acknowledged, and gives up
when a server dies. Here every answer is kept, with its time.
"""

import asyncio
import mmap
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple, cast

import uvloop

from bench.bodies import COMMON_HEAD, INTERVAL_S, READINGS, Gateway, Magazine, fleet
from bench.servers import Storage
from bench.system import BenchError

LOST = 0  # in place of a status: the connection was refused, or it closed without an answer
PATIENCE_S = 15.0  # of a gateway
PAUSE_S = 0.1  # before a client tries again, so that recovering has the machine to itself
_HEAD = COMMON_HEAD.encode()


class Answer(NamedTuple):
    """`at`: when it came, on time.monotonic(); `status` may be LOST."""

    post: int
    at: float
    latency_s: float
    status: int


class Posts:
    """The posts of a magazine of one file; one that was not accepted is offered again."""

    def __init__(self, magazine: Magazine) -> None:
        (path,) = magazine.files
        with path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._size = magazine.post_bytes
        self._count = magazine.posts
        self._next = 0
        self._again: deque[int] = deque()
        self.gateways: list[Gateway] = fleet()
        self._start_s = magazine.start_s

    def take(self) -> int:
        """The number of the next one. Raises BenchError when there is none."""
        if self._next < self._count:
            self._next += 1
            return self._next - 1
        if not self._again:
            raise BenchError("The prepared posts ran out.")
        return self._again.popleft()

    def again(self, post: int) -> None:
        self._again.append(post)

    def text(self, post: int) -> bytes:
        """The request, ready to be sent."""
        return _HEAD + self._bytes[post * self._size : (post + 1) * self._size]

    def key(self, post: int) -> tuple[int, int]:
        """What tells its readings from all others: their gateway, and when they were measured."""
        round_, number = divmod(post, len(self.gateways))
        return self.gateways[number].mac, self._start_s + round_ * INTERVAL_S


def lost(posts: Posts, answers: Iterable[Answer], storage: Storage) -> int:
    """How many posts were acknowledged of which not every reading is in the history."""
    stored = {
        (gateway, measured_at)
        for gateway, measured_at, count in storage.rows(
            "SELECT gateway, {measured_at}, count(*) FROM {dense} GROUP BY 1, 2"
        )
        if count == READINGS
    }
    newest = dict(storage.rows("SELECT gateway, min(measured_at) FROM {latest} GROUP BY gateway"))
    acknowledged = {posts.key(answer.post) for answer in answers if answer.status == 200}
    behind = {(mac, at) for mac, at in acknowledged if at > newest.get(mac, 0)}
    return len(acknowledged - stored | behind)


class Clients:
    """Up to `connections` clients of one server, each with a connection that is kept alive."""

    def __init__(self, port: int, posts: Posts, connections: int) -> None:
        self._port = port
        self._posts = posts
        self._connections = connections
        self.answers: list[Answer] = []
        self.unsent = 0  # at a given rate: no connection was free

    async def closed_loop(
        self, is_over: Callable[[], bool], is_paused: Callable[[], bool] = lambda: False
    ) -> None:
        """Each posts as soon as it is answered, except while `is_paused`, until `is_over`."""
        clients = [_Client(self._port) for _ in range(self._connections)]

        async def post_on(client: _Client) -> None:
            while not is_over():
                if is_paused():
                    await asyncio.sleep(PAUSE_S)
                    continue
                answer = await self._post(client)
                if answer.status in {LOST, 503}:
                    await asyncio.sleep(PAUSE_S)

        await asyncio.gather(*map(post_on, clients))
        for client in clients:
            client.close()

    async def open_loop(self, rate: float, seconds: float) -> None:
        """Post `rate` times a second, whatever is answered, and wait for the last answers."""
        free = [_Client(self._port) for _ in range(self._connections)]
        under_way: set[asyncio.Task[None]] = set()

        async def post_on(client: _Client) -> None:
            await self._post(client)
            free.append(client)

        started = time.monotonic()
        offered = 0
        while (passed := time.monotonic() - started) < seconds:
            while offered < passed * rate:
                offered += 1
                if not free:
                    self.unsent += 1
                    continue
                task = asyncio.ensure_future(post_on(free.pop()))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            await asyncio.sleep(0.001)
        await asyncio.gather(*under_way)
        for client in free:
            client.close()

    async def _post(self, client: "_Client") -> Answer:
        post = self._posts.take()
        text = self._posts.text(post)
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_S):
                status = await client.send(text)
        except (OSError, TimeoutError):
            client.close()
            status = LOST
        now = time.monotonic()
        if status != 200:
            self._posts.again(post)
        answer = Answer(post, now, now - began, status)
        self.answers.append(answer)
        return answer


class _Client(asyncio.Protocol):
    """Sends a request, reads as much of the answer as is needed to know where it ends."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._data = b""

    async def send(self, request: bytes) -> int:
        """The status. Raises OSError when there is no answer."""
        loop = asyncio.get_running_loop()
        if self._transport is None:
            await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        if self._transport is None:
            raise ConnectionResetError
        self._answer, self._data = loop.create_future(), b""
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found or self._answer is None or self._answer.done():
            return
        _, _, length = head.lower().partition(b"content-length:")
        if len(body) >= int(length.split(b"\r\n", 1)[0] or 0):
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())
            self._answer.exception()  # nobody may be left to ask


def run(load: Callable[[], object]) -> None:
    """Run the coroutine that `load` makes on the faster event loop."""
    with suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=uvloop.new_event_loop) as r:
        r.run(load())  # type: ignore[arg-type]


def statuses(answers: Iterable[Answer]) -> dict[int, int]:
    return dict(sorted(Counter(answer.status for answer in answers).items()))


def longest_gap_s(answers: Iterable[Answer]) -> float:
    """How long nobody was answered 200."""
    times = sorted(answer.at for answer in answers if answer.status == 200)
    return max((later - earlier for earlier, later in pairwise(times)), default=float("inf"))


def quantile_ms(answers: Sequence[Answer], share: float) -> float:
    """The latency that `share` of the answers did not exceed; 0 if there are none."""
    ordered = sorted(answer.latency_s for answer in answers)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0
