"""Makes the gateways known to a server before they post, as an operator would."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit, urlunsplit

from gateways.simulator.client import Endpoint, NoAnswer
from gateways.simulator.world import GatewayIdentity

AT_ONCE = 16
GROUP = 100  # gateways in one request
ALREADY_KNOWN = 409


class WhitelistRefused(Exception):
    """The server did not take a gateway; the text is one line for the operator."""


async def whitelist(url: str, gateways: Iterable[GatewayIdentity], internal_secret: str) -> None:
    """Whitelist `gateways` at /whitelist on the host of `url`. Raises WhitelistRefused."""
    endpoint = Endpoint(whitelist_url(url))
    everybody = list(gateways)
    waiting = iter([everybody[i : i + GROUP] for i in range(0, len(everybody), GROUP)])

    async def work() -> None:
        for group in waiting:
            await _whitelist_group(endpoint, group, internal_secret)

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


async def _whitelist_group(
    endpoint: Endpoint, gateways: Sequence[GatewayIdentity], secret: str
) -> None:
    """A list is taken as a whole or not at all: then one by one, some may be known already."""
    entries = [{"macAddress": gateway.mac, "secret": gateway.key} for gateway in gateways]
    headers = {"Content-Type": "application/json", "X-Internal-Secret": secret}
    body = json.dumps(entries if len(entries) > 1 else entries[0]).encode()
    name = gateways[0].mac
    try:
        answer = await endpoint.post(headers, body)
    except NoAnswer as exc:
        raise WhitelistRefused(f"cannot whitelist {name}: {exc}") from exc
    if answer.status == 200:
        return
    if len(gateways) > 1:
        for gateway in gateways:
            await _whitelist_group(endpoint, [gateway], secret)
    elif answer.status != ALREADY_KNOWN:
        reason = " ".join(answer.body[:200].decode(errors="replace").split())
        raise WhitelistRefused(f"cannot whitelist {name}: {answer.status} {reason}")
