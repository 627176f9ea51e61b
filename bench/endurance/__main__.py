"""`python -m bench.endurance`: what stops ingest? Prints the table of docs/durability.md.

Ends with 1 if a promise was broken.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench.endurance import broker, fleet, flood, kills, push, starts, strangers
from bench.endurance.rig import Finding, Rig, open_rig, say

FAULTS: dict[str, Callable[[Rig], list[Finding]]] = {
    "web-killed": kills.web_killed,
    "postgresql-killed": kills.postgresql_killed,
    "postgresql-paused": kills.postgresql_paused,
    "redis": broker.redis_gone,
    "overload": flood.overloaded,
    "held-connections": strangers.connections_held,
    "strangers": strangers.flooded_by_strangers,
    "push": push.pushed,
    "stop": starts.stopped,
    "start": starts.first_post,
    "fleet": fleet.simulated,
}


def main() -> int:
    options = _options()
    findings: list[Finding] = []
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="ruuvinet-bench-", dir=options.folder)
        rig = open_rig(
            Path(stack.enter_context(folder)), stack, tuple(options.database), quick=options.quick
        )
        for name in options.only or FAULTS:
            say(name)
            findings += FAULTS[name](rig)
    head = "| What was done | Database | Measured |\n|---|---|---|"
    sys.stdout.write("\n".join([head, *(finding.row() for finding in findings), ""]))
    return 1 if any(finding.broken for finding in findings) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.endurance", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(FAULTS))
    parser.add_argument(
        "--database", nargs="+", choices=["postgresql", "sqlite"], default=["postgresql", "sqlite"]
    )
    parser.add_argument("--quick", action="store_true", help="as short as the tests have it")
    parser.add_argument(
        "--folder", type=Path, default=Path("/var/tmp"), help="on the disk to measure"  # noqa: S108
    )  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
