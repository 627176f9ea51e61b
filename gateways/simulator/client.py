"""One HTTP/1.1 request on a connection of its own, as the gateway's small client makes it.

Raw streams rather than an HTTP library: libraries add headers, keep connections and follow
redirects, while here every byte sent must be the gateway's. Only what a gateway needs of the
answer is understood: status, headers, and where the body ends.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TIMEOUT_S = 15  # gateway firmware: socket timeout of a POST
CLOSE_TIMEOUT_S = 2  # a TLS goodbye which nobody answers must not hold up the next post
MAX_HEADERS = 100
MAX_BODY_BYTES = 1_000_000
DEFAULT_PORTS = {"http": 80, "https": 443}


class NoAnswer(Exception):
    """The request was not answered; the text says in which way, alike for alike failures."""


class NotHttp(Exception):
    """What came back is not an HTTP/1.1 answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names are in lower case; of repeated headers the last one counts."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status <= 299


class Endpoint:
    """A place to ask. Raises ValueError if `url` is not a usable http or https URL.

    `certificate` names the PEM files of a client certificate and its key.
    """

    def __init__(self, url: str, *, certificate: tuple[str, str] | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise ValueError(f"not an http or https URL: {url}")
        self._host_name = parts.hostname
        self._port = parts.port or DEFAULT_PORTS[parts.scheme]
        # One context for all requests: reading the CA bundle takes longer than a post.
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        if certificate and self._tls:
            try:
                self._tls.load_cert_chain(*certificate)
            except OSError as exc:  # ssl.SSLError too
                raise ValueError(f"not a certificate and its key: {certificate[0]}") from exc
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        bracketed = f"[{self._host_name}]" if ":" in self._host_name else self._host_name
        # Gateway firmware: no port for 80 and 443, whichever the scheme.
        self.host = bracketed if self._port in {80, 443} else f"{bracketed}:{self._port}"

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST `body` with exactly `headers`, Host and Content-Length. Raises NoAnswer."""
        length = {"Content-Length": str(len(body))}
        return await self._ask(self._head("POST", {**headers, **length}) + body)

    async def get(self, headers: Mapping[str, str]) -> Answer:
        """GET with exactly `headers` and Host. Raises NoAnswer."""
        return await self._ask(self._head("GET", headers))

    async def _ask(self, request: bytes) -> Answer:
        try:
            return await self._post(request)
        except TimeoutError as exc:
            raise NoAnswer("timeout") from exc
        except ssl.SSLError as exc:
            raise NoAnswer(f"TLS: {exc.reason or exc}") from exc
        except socket.gaierror as exc:
            raise NoAnswer("host name not found") from exc
        except asyncio.IncompleteReadError as exc:
            raise NoAnswer("connection closed early") from exc
        except NotHttp as exc:
            raise NoAnswer("not an HTTP answer") from exc
        except OSError as exc:
            # Not its own text, which names addresses. A host with several has no one errno.
            raise NoAnswer(os.strerror(exc.errno) if exc.errno else "no connection") from exc

    async def _post(self, request: bytes) -> Answer:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                self._host_name, self._port, ssl=self._tls
            )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                writer.write(request)
                await writer.drain()
                return await read_answer(reader)
        finally:
            await _close(writer)

    def _head(self, method: str, headers: Mapping[str, str]) -> bytes:
        lines = [
            f"{method} {self._target} HTTP/1.1",
            f"Host: {self.host}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read one answer up to the end of its body.

    Raises NotHttp, asyncio.IncompleteReadError.
    """
    version, _, rest = (await _read_line(reader)).partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not status.isdecimal():
        raise NotHttp(f"status line {version} {rest}")
    headers = await _read_headers(reader)
    return Answer(int(status), headers, await _read_body(reader, int(status), headers))


async def _read_headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = await _read_line(reader)
        if not line:
            return headers
        name, colon, value = line.partition(":")
        if not colon:
            raise NotHttp(f"header line {line}")
        headers[name.lower()] = value.strip()
    raise NotHttp("too many headers")


async def _read_body(
    reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]
) -> bytes:
    if status in {204, 304}:
        return b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunks(reader)
    if "content-length" in headers:
        return await reader.readexactly(_size(headers["content-length"], base=10))
    return await reader.read(MAX_BODY_BYTES)  # the server ends it by closing


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := _size((await _read_line(reader)).partition(";")[0], base=16):
        body += await reader.readexactly(size)
        await _read_line(reader)
        if len(body) > MAX_BODY_BYTES:
            raise NotHttp("body too long")
    await _read_headers(reader)  # trailers, and the empty line
    return body


def _size(text: str, *, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError as exc:
        raise NotHttp(f"length {text}") from exc
    if not 0 <= size <= MAX_BODY_BYTES:
        raise NotHttp(f"length {text}")
    return size


async def _read_line(reader: asyncio.StreamReader) -> str:
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError as exc:
        raise NotHttp("endless line") from exc
    return line.decode("latin-1").rstrip("\r\n")


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        # How the other side takes the goodbye changes nothing about its answer.
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()
