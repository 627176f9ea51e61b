"""`ruuvinet.asgi` with a stopwatch: how long after its body was read is a post refused?

What a client waits holds the load generator's own share of the machine too.
"""

import os
import time
from array import array
from pathlib import Path

from bench.ruuvinet import TIMED_FOLDER
from ruuvinet.asgi import application as ruuvinet
from ruuvinet.lib.asgi import Message, Receive, Scope, Send

_refused_ms = array("f")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    read_at = 0.0

    async def timed_receive() -> Message:
        nonlocal read_at
        message = await receive()
        read_at = time.perf_counter()
        return message

    async def timed_send(message: Message) -> None:
        await send(message)
        if message.get("status") == 429:
            _refused_ms.append((time.perf_counter() - read_at) * 1000)

    await ruuvinet(scope, timed_receive, timed_send)
    if scope["type"] == "lifespan":
        Path(os.environ[TIMED_FOLDER], f"{os.getpid()}.times").write_bytes(_refused_ms.tobytes())
