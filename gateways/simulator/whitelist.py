"""Makes the gateways known to a server before they post, as an operator would."""

import asyncio
import json
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

from gateways.simulator.client import Endpoint, NoAnswer
from gateways.simulator.world import GatewayIdentity

AT_ONCE = 16
ALREADY_KNOWN = 409


class WhitelistRefused(Exception):
    """The server did not take a gateway; the text is one line for the operator."""


async def whitelist(url: str, gateways: Iterable[GatewayIdentity], internal_secret: str) -> None:
    """Whitelist `gateways` at /whitelist on the host of `url`. Raises WhitelistRefused."""
    endpoint = Endpoint(whitelist_url(url))
    waiting = iter(gateways)

    async def work() -> None:
        for gateway in waiting:
            await _whitelist_one(endpoint, gateway, internal_secret)

    workers = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def whitelist_url(url: str) -> str:
    """The whitelist's address on the host of a gateway's posting address."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, "/whitelist", "", ""))


async def _whitelist_one(endpoint: Endpoint, gateway: GatewayIdentity, secret: str) -> None:
    headers = {"Content-Type": "application/json", "X-Internal-Secret": secret}
    body = json.dumps({"macAddress": gateway.mac, "secret": gateway.key}).encode()
    try:
        answer = await endpoint.post(headers, body)
    except NoAnswer as exc:
        raise WhitelistRefused(f"cannot whitelist {gateway.mac}: {exc}") from exc
    if answer.status not in {200, ALREADY_KNOWN}:
        reason = " ".join(answer.body[:200].decode(errors="replace").split())
        raise WhitelistRefused(f"cannot whitelist {gateway.mac}: {answer.status} {reason}")
