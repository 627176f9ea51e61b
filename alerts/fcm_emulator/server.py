"""The emulator over HTTP."""

import json
import re
import socketserver
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from alerts.fcm_emulator.behaviour import Behaviour, Hang
from alerts.fcm_emulator.refusals import Refused

_LARGEST_BODY_BYTES = 64 * 1024


class Emulated(Protocol):
    """What the server carries over HTTP."""

    @property
    def messages(self) -> list[dict[str, Any]]: ...
    @property
    def behave(self) -> Callable[..., Behaviour]: ...
    def clear(self) -> None: ...
    def issue_bearer(self, form: Mapping[str, list[str]]) -> dict[str, Any]: ...
    def send(self, project_id: str, bearer: str, body: bytes) -> dict[str, Any]: ...
    def wait_hanging(self, wait_s: float) -> None: ...


class Server(ThreadingHTTPServer):
    daemon_threads = True  # a kept-alive connection must not keep us from stopping
    block_on_close = False
    request_queue_size = 128  # a worker opens all of its connections at once

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that left is no error
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive, as Google's
    disable_nagle_algorithm = True  # headers and body are two writes
    timeout = 60  # seconds an idle connection is kept

    def __init__(
        self,
        emulator: Emulated,
        request: Any,
        client_address: Any,
        server: socketserver.BaseServer,
    ) -> None:
        self._emulator = emulator  # first: the base class serves from inside its constructor
        super().__init__(request, client_address, server)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: each accepted push is told by the emulator itself."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/messages":
            self._answer(200, self._emulator.messages)
        else:
            self._not_found()

    def do_DELETE(self) -> None:
        if urlsplit(self.path).path == "/messages":
            self._emulator.clear()
            self._answer(200, {})
        else:
            self._not_found()

    def do_POST(self) -> None:
        body = self._read_body()
        if body is None:
            return
        path = urlsplit(self.path).path
        send = re.fullmatch(r"/v1/projects/([^/]+)/messages:send", path)
        if send:
            self._send(send[1], body)
        elif path == "/token":
            self._token(body)
        elif path == "/behaviour":
            self._behaviour(body)
        else:
            self._not_found()

    def _read_body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "0")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > _LARGEST_BODY_BYTES:
            self.close_connection = True  # the unread body would be taken for the next request
            self._refuse(Refused(413, "INVALID_ARGUMENT", "Request body is too large."))
            return None
        return self.rfile.read(int(length))

    def _send(self, project_id: str, body: bytes) -> None:
        scheme, _, bearer = self.headers.get("Authorization", "").partition(" ")
        try:
            self._answer(
                200, self._emulator.send(project_id, bearer if scheme == "Bearer" else "", body)
            )
        except Refused as refused:
            self._refuse(refused)
        except Hang as hang:
            self._emulator.wait_hanging(hang.wait_s)
            self.close_connection = True

    def _token(self, body: bytes) -> None:
        try:
            form = parse_qs(body.decode(), strict_parsing=True)
            self._answer(200, self._emulator.issue_bearer(form))
        except ValueError as exc:
            self._answer(400, {"error": "invalid_grant", "error_description": str(exc)})

    def _behaviour(self, body: bytes) -> None:
        try:
            self._answer(200, asdict(self._emulator.behave(**json.loads(body))))
        except (ValueError, TypeError) as exc:  # not JSON, no object, or a name it does not know
            self._refuse(Refused(400, "INVALID_ARGUMENT", str(exc)))

    def _not_found(self) -> None:
        self._refuse(Refused(404, "NOT_FOUND", "The requested URL was not found on this server."))

    def _refuse(self, refused: Refused) -> None:
        after = refused.retry_after
        self._answer(
            refused.http_status, refused.body, {} if after is None else {"Retry-After": str(after)}
        )

    def _answer(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
