"""Clients that hold on to connections, and strangers that post: gateways go on being served."""

import asyncio
import hashlib
import random
import time
from collections import Counter

from bench.contestants import Contestant
from bench.endurance.posting import Clients, Posts, quantile_ms, run, statuses
from bench.endurance.rig import Finding, Rig, memory_mb, say
from bench.servers import Running, settle

HALF_BODIES = IDLE = 500
HALF_HEADS = SLOW_CALLS = 100
CLAIMED_BYTES = 10 * 2**30
PATIENCE_S = 5.0  # of the server, with a post
GATEWAYS_RATE = 20  # posts a second
SERVED_MS = 500
STRANGERS = 32  # connections that post as fast as they are refused

_POST = "POST /record HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
_HALF_BODY = f'{_POST}Content-Length: 4000\r\n\r\n{{"data": {{'.encode()
_HALF_HEAD = b"POST /record HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le"
_CLAIMED = f"{_POST}Content-Length: {CLAIMED_BYTES}\r\n\r\n{{".encode()
_VERIFY = b'POST /verify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000\r\n\r\n{"to'
_PICTURE = b"PUT /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 400000\r\n\r\n\xff\xd8"


def connections_held(rig: Rig) -> list[Finding]:
    return [_connections_held(rig, contestant) for contestant in rig.contestants()]


def _connections_held(rig: Rig, contestant: Contestant) -> Finding:
    finding = rig.finding("connections held", contestant.database)
    posts = rig.posts(5000)
    seconds = 12
    with rig.arena.running(contestant) as running:
        settle(running)
        calm = Clients(running.port, posts, 100)
        run(lambda: calm.open_loop(GATEWAYS_RATE, 3))
        clients = Clients(running.port, posts, 100)
        outcome = _Outcome()
        with memory_mb(running) as memory:
            run(lambda: _hold(running.port, clients, seconds, outcome))
        growth = max(memory) - memory[0]
    counts = statuses(clients.answers)
    p99 = quantile_ms(clients.answers, 0.99)
    slowest = quantile_ms(clients.answers, 1)
    late = max(outcome.half_bodies_s, default=0)
    finding.measured = (
        f"{HALF_BODIES} half bodies ({dict(outcome.half_bodies)} after {late:.1f} s at most), "
        f"{IDLE} idle connections ({dict(outcome.idle)}), {HALF_HEADS} half heads "
        f"({dict(outcome.half_heads)}), {2 * SLOW_CALLS} slow calls of apps, and 10 GB claimed "
        f"({dict(outcome.claimed)}): gateways {counts}, p99 {p99:.0f} ms "
        f"({quantile_ms(calm.answers, 0.99):.0f} ms before), {slowest:.0f} ms at most; "
        f"an app's call {max(outcome.calls_s) * 1000:.0f} ms; memory {growth:+.0f} MB"
    )
    say(finding.measured)
    finding.expect(set(counts) == {200}, "gateways were refused")
    finding.expect_fast(len(clients.answers) > 0.9 * seconds * GATEWAYS_RATE, "posts are missing")
    finding.expect_fast(slowest < 2 * SERVED_MS, "gateways waited")
    finding.expect_fast(max(outcome.calls_s) < 1, "apps waited")
    finding.expect(outcome.half_bodies == {408: HALF_BODIES}, "half bodies were not answered 408")
    finding.expect_fast(late < PATIENCE_S + 1.5, "half bodies were held for long")
    finding.expect(outcome.claimed == {413: 1}, "10 GB were not refused")
    finding.expect(growth < 60, "memory grows")
    return finding


class _Outcome:
    """Status (0: closed without a word, -1: still open at the end) of those who hold on."""

    def __init__(self) -> None:
        self.half_bodies: Counter[int] = Counter()
        self.half_bodies_s: list[float] = []
        self.half_heads: Counter[int] = Counter()
        self.idle: Counter[int] = Counter()
        self.claimed: Counter[int] = Counter()
        self.calls_s: list[float] = []


async def _hold(port: int, clients: Clients, seconds: float, outcome: _Outcome) -> None:
    async def hold(text: bytes, statuses_: Counter[int], times: list[float]) -> None:
        began = time.monotonic()
        statuses_[await _status_of(port, text, seconds)] += 1
        times.append(time.monotonic() - began)

    ignored: list[float] = []
    holding = [
        *(hold(b"", outcome.idle, ignored) for _ in range(IDLE)),
        *(hold(_HALF_HEAD, outcome.half_heads, ignored) for _ in range(HALF_HEADS)),
        *(hold(text, Counter(), ignored) for text in [_VERIFY, _PICTURE] * SLOW_CALLS),
        *(hold(_HALF_BODY, outcome.half_bodies, outcome.half_bodies_s) for _ in range(HALF_BODIES)),
        hold(_CLAIMED, outcome.claimed, ignored),
    ]

    async def call() -> None:
        """As an app does: Django must answer it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            request = b"GET /user HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            if await _status_of(port, request, seconds) not in {401, 403}:
                raise RuntimeError("an app's call failed")
            outcome.calls_s.append(time.monotonic() - began)
            await asyncio.sleep(0.2)

    await asyncio.gather(call(), clients.open_loop(GATEWAYS_RATE, seconds), *holding)


async def _status_of(port: int, text: bytes, patience_s: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    try:
        async with asyncio.timeout(patience_s):
            line = await reader.readline()
    except TimeoutError:
        return -1
    except OSError:
        return 0
    finally:
        writer.close()
    return int(line[9:12]) if line else 0


def flooded_by_strangers(rig: Rig) -> list[Finding]:
    return [_flooded(rig, contestant) for contestant in rig.contestants()]


def _flooded(rig: Rig, contestant: Contestant) -> Finding:
    finding = rig.finding("flood by strangers", contestant.database)
    posts = rig.posts(10_000)
    seconds = 4 if rig.quick else 10
    with rig.arena.running(contestant) as running:
        settle(running)
        calm = Clients(running.port, posts, 200)
        run(lambda: calm.open_loop(GATEWAYS_RATE, seconds))
        clients = Clients(running.port, posts, 200)
        refused: Counter[int] = Counter()
        with memory_mb(running) as memory:
            run(lambda: _flood(running, posts, clients, seconds, refused))
        growth = max(memory) - memory[0]
    counts = statuses(clients.answers)
    finding.measured = (
        f"{refused.total() / seconds:.0f} forged posts/s ({dict(refused)}), every other one of a "
        f"random gateway: gateways {counts}, median "
        f"{quantile_ms(clients.answers, 0.5):.0f} ms, p99 {quantile_ms(clients.answers, 0.99):.0f}"
        f" ms (before {quantile_ms(calm.answers, 0.5):.0f} and "
        f"{quantile_ms(calm.answers, 0.99):.0f}); memory {growth:+.0f} MB"
    )
    say(finding.measured)
    finding.expect(set(counts) == {200}, "gateways were refused")
    finding.expect_fast(quantile_ms(clients.answers, 0.99) < SERVED_MS, "gateways waited")
    finding.expect(set(refused) <= {403}, "strangers were answered oddly")
    finding.expect(growth < 60, "memory grows")
    return finding


async def _flood(
    running: Running, posts: Posts, clients: Clients, seconds: float, refused: Counter[int]
) -> None:
    end = time.monotonic() + seconds
    known = posts.gateways[0]
    body, _ = known.body(int(time.time()) // 60 * 60)
    name = known.mac.to_bytes(6, "big").hex(":").upper().encode()

    async def forge() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        for turn in range(1_000_000):
            if time.monotonic() > end:
                break
            stranger = random.randbytes(6).hex(":").upper().encode()  # noqa: S311  # no secret
            text = body.replace(name, stranger) if turn % 2 else body
            forged = hashlib.sha256(text).hexdigest()
            head = f"{_POST}Ruuvi-HMAC-SHA256: {forged}\r\nContent-Length: {len(text)}\r\n\r\n"
            writer.write(head.encode() + text)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = answer.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            await reader.readexactly(int(length))
            refused[int(answer[9:12])] += 1
        writer.close()

    await asyncio.gather(
        clients.open_loop(GATEWAYS_RATE, seconds), *(forge() for _ in range(STRANGERS))
    )
