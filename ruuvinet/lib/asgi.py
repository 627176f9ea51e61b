"""HTTP under ASGI: bodies bounded in size and time, and Django in a pool of threads.

Django's own ASGI handler makes a thread for each request, and with it a database connection. Here
a thread is taken only when the body has been read, and keeps its connection.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from io import SEEK_END, BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.core.signals import request_started
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpResponse
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.urls import set_script_prefix

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

IN_MEMORY_BYTES = 256 * 1024  # what is longer goes to a file
SENDING_S = 60.0  # that a client may take for a part of a streamed answer


class BodyTooLarge(Exception):
    """The body is longer than allowed, or says so."""


class BodyTooSlow(Exception):
    """The body did not arrive in time."""


class Disconnected(Exception):
    """The client went away before its body was complete."""


async def read_body(scope: Scope, receive: Receive, *, limit: int, patience_s: float) -> IO[bytes]:
    """The body of at most `limit` bytes, rewound.

    Raises BodyTooLarge, without reading if the client says how long it is, BodyTooSlow after
    `patience_s` seconds, and Disconnected.
    """
    if _stated_length(scope) > limit:
        raise BodyTooLarge
    try:
        async with asyncio.timeout(patience_s):
            return await _read(receive, limit)
    except TimeoutError as error:
        raise BodyTooSlow from error


async def _read(receive: Receive, limit: int) -> IO[bytes]:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        if len(message["body"]) > limit:
            raise BodyTooLarge
        return BytesIO(message["body"])
    body = cast(IO[bytes], SpooledTemporaryFile(IN_MEMORY_BYTES))  # noqa: SIM115  # the caller's
    try:
        await _collect(message, receive, body, limit)
    except BaseException:  # a client that is too slow cancels this
        body.close()
        raise
    return body


async def _collect(message: Message, receive: Receive, body: IO[bytes], limit: int) -> None:
    while message["type"] == "http.request":
        body.write(message["body"])
        if body.tell() > limit:
            raise BodyTooLarge
        if not message.get("more_body"):
            body.seek(0)
            return
        message = await receive()
    raise Disconnected


def _state_length(scope: Scope, body: IO[bytes]) -> None:
    """Say how long a body is that came in chunks: without a length Django reads nothing."""
    if not any(name == b"content-length" for name, _ in scope["headers"]):
        size = body.seek(0, SEEK_END)
        body.seek(0)
        scope["headers"].append((b"content-length", str(size).encode()))


def _stated_length(scope: Scope) -> int:
    """Content-Length; 0 if there is none that is a number."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


async def send_whole(
    send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> None:
    """Send an answer that is complete."""
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


class DjangoInThreads(ASGIHandler):
    """Django's synchronous request cycle for ASGI requests."""

    def __init__(self, threads: int) -> None:
        BaseHandler.load_middleware(self)  # ASGIHandler's own would load it for asynchronous use
        self._connections: list[BaseDatabaseWrapper] = []
        self._pool = ThreadPoolExecutor(threads, "django", initializer=self._remember_connections)

    async def answer(self, scope: Scope, body: IO[bytes], send: Send) -> None:
        """Answer a request whose `body` has been read."""
        _state_length(scope, body)
        loop = asyncio.get_running_loop()

        def send_part(message: Message) -> None:
            asyncio.run_coroutine_threadsafe(_sent(send, message), loop).result(SENDING_S)

        response = await loop.run_in_executor(self._pool, self._respond, scope, body, send_part)
        if not response.streaming:
            content = cast(HttpResponse, response).content
            await send_whole(send, response.status_code, _headers(response), content)

    def close(self) -> None:
        """Wait for the requests in hand, and close the threads' database connections."""
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()

    def _remember_connections(self) -> None:
        for connection in connections.all():
            connection.inc_thread_sharing()  # it will be closed from another thread
            self._connections.append(connection)

    def _respond(
        self, scope: Scope, body: IO[bytes], send_part: Callable[[Message], None]
    ) -> HttpResponseBase:
        """Django's answer; one that is streamed is sent from here, as it comes."""
        set_script_prefix("/")
        request_started.send(sender=type(self), scope=scope)
        request, refusal = self.create_request(scope, body)
        response = cast(HttpResponseBase, self.get_response(request) if request else refusal)
        try:
            if response.streaming:
                _send_streamed(cast(StreamingHttpResponse, response), send_part)
        finally:
            response.close()
        return response


def _send_streamed(response: StreamingHttpResponse, send_part: Callable[[Message], None]) -> None:
    start = {"type": "http.response.start", "status": response.status_code}
    send_part(start | {"headers": _headers(response)})
    for part in response:
        send_part({"type": "http.response.body", "body": part, "more_body": True})
    send_part({"type": "http.response.body", "body": b""})


async def _sent(send: Send, message: Message) -> None:
    await send(message)


def _headers(response: HttpResponseBase) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    cookies = [morsel.OutputString().encode("ascii") for morsel in response.cookies.values()]
    return headers + [(b"Set-Cookie", cookie) for cookie in cookies]
