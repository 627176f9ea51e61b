"""Both doors of `/record`, as tests knock at them."""

import asyncio
import json
import threading

from django.http import HttpResponse
from django.test import Client


class FastLaneClient(Client):
    """Django's test client in front of the application that granian serves."""

    def request(self, **request):
        environ = self._base_environ(**request)
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "query_string": environ["QUERY_STRING"].encode("latin-1"),
            "headers": _headers(environ),
            "client": (environ["REMOTE_ADDR"], 1234),
        }
        sent = self.server.answer(scope, environ["wsgi.input"])
        start, *parts = sent
        headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        content = b"".join(part["body"] for part in parts)
        reply = HttpResponse(content, status=start["status"], headers=headers)
        reply.json = lambda: json.loads(reply.content)
        return reply


def _headers(environ):
    """The headers of a WSGI environment as ASGI has them."""
    named = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}
    headers = {named[name]: environ[name] for name in named if environ.get(name)}
    headers |= {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


class AsgiServer:
    """`ruuvinet.asgi`, started, on an event loop in a thread of its own."""

    def __enter__(self):
        from ruuvinet.asgi import Application

        self._application = Application()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._started, self._stop = threading.Event(), asyncio.Event()
        self._life = asyncio.run_coroutine_threadsafe(
            self._application({"type": "lifespan"}, self._receive_life, self._send_life), self._loop
        )
        assert self._started.wait(20)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._life.result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def answer(self, scope, body):
        """What the application sends for a request."""
        return asyncio.run_coroutine_threadsafe(self._answer(scope, body), self._loop).result(60)

    async def _answer(self, scope, body):
        sent = []

        async def receive():
            return {"type": "http.request", "body": body.read(), "more_body": False}

        async def send(message):
            sent.append(message)

        await self._application(scope, receive, send)
        return sent

    async def _receive_life(self):
        if self._started.is_set():
            await self._stop.wait()
        return {}

    async def _send_life(self, message):
        self._started.set()
