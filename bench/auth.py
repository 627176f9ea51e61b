"""What each way to authorize costs beside the signature alone: `python -m bench.auth`.

CPU time of reading, judging and shaping one post of 30 sensors (`accept`), and of the same with
the look-up of its gateway and the commit (`record`, on SQLite in memory), as a ratio to HMAC alone
in the same run. The modes take turns, so that a busy machine slows all of them down alike.
"""

import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime

ROUNDS, POSTS = 60, 40
LIMIT = 1.10


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "RUUVINET_DATA": folder,
            "DATABASE_URL": "sqlite://:memory:",
            "REDIS_URL": "",
        }
        os.environ |= {"DJANGO_SETTINGS_MODULE": "ruuvinet.settings", "SECRET_KEY": "bench" * 12}
        os.environ |= {"ENCRYPTION_KEYS": "YmVuY2guLi4uLi4uLi4uLi4uLi4uLi4uLi4uLi4uLi4="}
        os.environ |= {"TRUSTED_PROXIES": "10.0.0.1"}
        import django

        django.setup()
        sys.exit(_measure())


def _measure() -> int:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    modes = dict(_modes())
    worst = 0.0
    for what in ("accept", "record"):
        times = _times({name: pair[what == "record"] for name, pair in modes.items()})
        alone = times["HMAC alone"]
        for name, seconds in times.items():
            worst = max(worst, seconds / alone)
            sys.stdout.write(
                f"{what:<7} {name:<22} {seconds * 1e6:7.1f} us  {seconds / alone:5.3f}\n"
            )
    sys.stdout.write(f"worst ratio {worst:.3f}, at most {LIMIT:.2f} is asked for\n")
    return worst > LIMIT


def _modes() -> "list[tuple[str, tuple[Callable[[], object], Callable[[], object]]]]":
    """By name: one `accept`, and one `record`."""
    from django.utils import timezone

    from gateways import directory
    from gateways.credentials import make_credential
    from gateways.models import Gateway
    from gateways.proof import Request
    from gateways.record import accept, open_body, record
    from gateways.services import whitelist
    from gateways.signature import sign
    from ruuvinet.lib.mac import Mac

    key, secret, found = "40:98:A7:78:58:1A:E1:38", "a" * 43, []
    kinds = {
        "HMAC alone": ("", "", {}, ""),
        "Basic": ("basic", "gw1", {"authorization": _basic(f"gw1:{secret}")}, ""),
        "Bearer": ("bearer", "", {"authorization": f"Bearer {secret}"}, ""),
        "Token": ("token", "", {"authorization": f"Token {secret}"}, ""),
        "API key": ("api_key", "", {"authorization": secret}, ""),
        "extra header": ("header", "X-Api-Key", {"x-api-key": secret}, ""),
        "URL query": ("query", "token", {}, f"token={secret}"),
    }
    for number, (name, (kind, label, headers, query)) in enumerate(kinds.items()):
        mac = Mac(0xC8252D000000 + number)
        gateway = whitelist(mac=mac, secret=key, at=timezone.now())
        if kind:
            Gateway.objects.filter(mac=mac).update(policy="both")
            make_credential(
                kind=kind, name=label, secret=secret, gateway=gateway, at=timezone.now()
            )
        body = _body(mac)
        signed = {"ruuvi-hmac-sha256": sign(body, key), **headers}
        request = Request(body, signed, datetime.now(UTC), "192.0.2.7", query)
        directory.forget_all()
        known = directory.find(mac)

        def accepted(request: Request = request, known: object = known) -> object:
            return accept(open_body(request.body), request, known)  # type: ignore[arg-type]

        def recorded(request: Request = request) -> object:
            directory.forget_all()  # a gateway posts less often than it is remembered
            return record(request)

        if recorded().status != 200:  # type: ignore[attr-defined]
            raise SystemExit(f"{name} is refused")
        found.append((name, (accepted, recorded)))
    return found  # type: ignore[return-value]


def _times(modes: "dict[str, Callable[[], object]]") -> dict[str, float]:
    """Median CPU seconds of one call of each."""
    samples: dict[str, list[float]] = {name: [] for name in modes}
    gc.disable()
    for _ in range(ROUNDS):
        for name, call in modes.items():
            started = time.process_time()
            for _ in range(POSTS):
                call()
            samples[name].append((time.process_time() - started) / POSTS)
        gc.collect()
    return {name: statistics.median(values) for name, values in samples.items()}


def _basic(text: str) -> str:
    from base64 import b64encode

    return f"Basic {b64encode(text.encode()).decode()}"


def _body(mac: object) -> bytes:
    import json

    data = "0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6"
    now = int(time.time())
    tags = {
        f"F4:1F:0C:00:00:{number:02X}": {"rssi": -70, "timestamp": now, "data": data}
        for number in range(30)
    }
    body = {"coordinates": "", "timestamp": now, "nonce": 1, "gw_mac": str(mac), "tags": tags}
    return json.dumps({"data": body}, indent=2).encode()


if __name__ == "__main__":
    main()
