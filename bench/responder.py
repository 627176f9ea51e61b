"""A server that does nothing but answer: against it the load generator shows what it can do.

`python -m bench.responder PORT` uses one core.
"""

import asyncio
import sys

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Responder(asyncio.Protocol):
    """Knows just enough of HTTP to see where a post ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # what a TCP server gives
        self._transport = transport
        self._missing = 0

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            head, _, body = data.partition(b"\r\n\r\n")
            _, found, length = head.rpartition(b"Content-Length: ")  # the last header of a post
            self._missing = int(length) - len(body) if found else 0
        else:
            self._missing -= len(data)
        if self._missing <= 0:
            self._missing = 0
            self._transport.write(_ANSWER)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Responder, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
