"""`manage.py simulate` with thousands of gateways, against the real server."""

import os
import re
import subprocess
import sys

from bench.contestants import Contestant
from bench.endurance.rig import Finding, Rig, say
from bench.servers import settle
from tests.services import ENVIRONMENT

GATEWAYS, QUICK_GATEWAYS = 5000, 300
PERIOD_S, QUICK_PERIOD_S = 20, 3


def simulated(rig: Rig) -> list[Finding]:
    return [_simulated(rig, contestant) for contestant in rig.contestants()]


def _simulated(rig: Rig, contestant: Contestant) -> Finding:
    gateways = QUICK_GATEWAYS if rig.quick else GATEWAYS
    period_s = QUICK_PERIOD_S if rig.quick else PERIOD_S
    finding = rig.finding(f"{gateways:,} simulated gateways", contestant.database)
    with rig.arena.running(contestant, {"GATEWAY_RATE_S": str(period_s)}) as running:
        settle(running)
        before = os.times()
        simulation = subprocess.run(  # noqa: S603  # our own program, no shell
            [
                *(sys.executable, "manage.py", "simulate", "--whitelist", "--posts", "2"),
                *("--gateways", str(gateways), "--period", str(period_s)),
                *("--url", f"http://127.0.0.1:{running.port}/record"),
            ],
            env=os.environ | ENVIRONMENT | {"DATABASE_URL": "", "RUUVINET_DATA": str(rig.folder)},
            capture_output=True,
            text=True,
        )
        after = os.times()
    cpu_s = after.children_user + after.children_system
    cpu_s -= before.children_user + before.children_system
    summary = dict(re.findall(r"^(\w+) +(.+)$", simulation.stdout, re.MULTILINE))
    finding.measured = (
        f"each posted twice, {period_s} s apart: {summary.get('statuses')}; latency "
        f"{summary.get('latency')}; the simulator took {cpu_s:.1f} s of CPU"
    )
    say(finding.measured + simulation.stderr[-500:])
    finding.expect(simulation.returncode == 0, "posts were refused or not answered")
    finding.expect(summary.get("statuses") == f"200: {2 * gateways}", "posts are missing")
    return finding
