"""From a gateway's post to Firebase: real worker, real broker, the Firebase emulator."""

import asyncio
import json
import sys
import time
import urllib.request
from contextlib import ExitStack
from datetime import datetime

from bench.bodies import COMMON_HEAD, Gateway, fleet, head, spell
from bench.contestants import Contestant
from bench.endurance.rig import Finding, Rig, say
from bench.ruuvinet import WATCHED
from bench.servers import ensure_answers, settle
from gateways.simulator.gateway import Heard, build_body
from tests.services import free_port, start

QUICK_SECONDS = 6  # at most as many as a gateway has sensors: each breaks its rule once
LONGEST_S, LONGEST_EMBEDDED_S = 1.0, 2.0
PATIENCE_S = 75.0  # longer than it takes the sweep to find what a wake-up missed
_TAG = "0201061BFF990405{temperature:04X}FFFFFFFF800080008000FFFF00FFFFFFFFFFFFFFFF"


def pushed(rig: Rig) -> list[Finding]:
    return [_pushed(rig, contestant) for contestant in rig.contestants()]


def _pushed(rig: Rig, contestant: Contestant) -> Finding:
    finding = rig.finding("20 gateways post each second", contestant.database)
    port = free_port()
    account = rig.folder / f"fcm-{contestant.name}.json"
    with ExitStack() as stack:
        start(
            [
                *(sys.executable, "manage.py", "fcm_emulator", "--port", str(port)),
                *("--service-account-file", str(account)),
            ],
            is_ready=lambda: ensure_answers(port),
            not_ready=OSError,
            log=rig.folder / "fcm.log",
            stack=stack,
        )
        url = f"http://127.0.0.1:{port}"
        more = {"FCM_BASE_URL": url, "FCM_SERVICE_ACCOUNT_FILE": str(account)}
        running = stack.enter_context(rig.arena.running(contestant.with_worker().watched(), more))
        settle(running)
        time.sleep(5)  # the worker starts beside the web server
        gateways = fleet()[:WATCHED]
        seconds = QUICK_SECONDS if rig.quick else len(gateways[0].sensors)
        posted: dict[str, float] = {}
        asyncio.run(_post_all(running.port, gateways, seconds, posted))
        received = _received(url, len(posted))
    delays = sorted(received[token] - at for token, at in posted.items() if token in received)
    finding.expect(len(delays) == len(posted), f"{len(posted) - len(delays)} pushes are missing")
    if delays:
        p50, p99 = (delays[int(share * (len(delays) - 1))] * 1000 for share in (0.5, 0.99))
        finding.measured = (
            f"{len(delays)} pushes of {len(posted)} triggers, from the post's first byte to "
            f"Firebase: median {p50:.0f} ms, p99 {p99:.0f} ms, at most {delays[-1] * 1000:.0f} ms"
        )
        # The embedded broker is a folder that is looked into five times a second, for each step.
        longest_s = LONGEST_S if contestant.database == "postgresql" else LONGEST_EMBEDDED_S
        finding.expect_fast(p99 < longest_s * 1000, "late")
    say(finding.measured)
    return finding


async def _post_all(
    port: int, gateways: list[Gateway], seconds: int, posted: dict[str, float]
) -> None:
    async def play(gateway: Gateway) -> None:
        await asyncio.sleep(gateway.number / len(gateways))  # they know nothing of each other
        for number in range(seconds):
            began = asyncio.get_running_loop().time()
            posted[f"token-{gateway.sensors[number]}"] = time.time()
            await _post(port, gateway, number)
            await asyncio.sleep(max(0.0, began + 1 - asyncio.get_running_loop().time()))

    await asyncio.gather(*map(play, gateways))


async def _post(port: int, gateway: Gateway, hot: int) -> None:
    """A connection of its own, as gateways have it; sensor number `hot` is above its limit."""
    now = int(time.time())
    body = build_body(
        coordinates="",
        timestamp=now,
        nonce=hot,
        gw_mac=spell(gateway.mac),
        heard=[
            Heard(
                mac=spell(sensor),
                rssi_dbm=-70,
                received_at=now,
                ble_phy="1M",
                ble_chan=37,
                ble_tx_power_dbm=None,
                data=bytes.fromhex(_TAG.format(temperature=8000 if number == hot else 4000)),
            )
            for number, sensor in enumerate(gateway.sensors)
        ],
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"{COMMON_HEAD}Connection: close\r\n".encode() + head(gateway, body) + body
    writer.write(request)
    answer = await reader.read()
    writer.close()
    if answer[9:12] != b"200":
        raise RuntimeError(f"a post was refused: {answer[:300]!r}")


def _received(url: str, count: int) -> dict[str, float]:
    """When each token was pushed first, Unix seconds; waits for `count` of them."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with urllib.request.urlopen(f"{url}/messages", timeout=10) as answer:  # noqa: S310
            kept = json.load(answer)
        received: dict[str, float] = {}
        for each in kept:
            at = datetime.fromisoformat(each["received_at"]).timestamp()
            received.setdefault(each["message"]["token"], at)
        if len(received) >= count or time.monotonic() > deadline:
            return received
        time.sleep(0.5)
