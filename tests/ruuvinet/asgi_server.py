"""`ruuvinet.asgi` as a server runs it, without a server."""

import asyncio
import threading


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
        """The start of the answer and its whole content; `body.receive` is called as ASGI does.

        (None, b"") if nothing is answered.
        """
        return asyncio.run_coroutine_threadsafe(self._answer(scope, body), self._loop).result(60)

    async def _answer(self, scope, body):
        sent = []

        async def send(message):
            sent.append(message)

        await self._application(scope, body.receive, send)
        if not sent:
            return None, b""
        return sent[0], b"".join(part.get("body", b"") for part in sent[1:])

    async def _receive_life(self):
        if self._started.is_set():
            await self._stop.wait()
        return {}

    async def _send_life(self, message):
        self._started.set()
