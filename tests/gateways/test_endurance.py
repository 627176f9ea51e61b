"""What bench.endurance breaks, each as a test; no timing asserts, a busy machine is no fault."""

import os
import shutil
import subprocess
import sys

import pytest
from django.conf import settings

from tests.ruuvinet.program import PROJECT

pytestmark = pytest.mark.slow

EITHER = [
    "web-killed",
    "overload",
    "held-connections",
    "strangers",
    "stop",
    "push",
    "fleet",
]
DATABASE = "sqlite" if settings.EMBEDDED_DATABASE else "postgresql"


@pytest.mark.parametrize(
    "name",
    EITHER
    if settings.EMBEDDED_DATABASE
    else [*EITHER, "postgresql-killed", "postgresql-paused", "redis"],
)
def test_no_promise_is_broken(name):
    if name == "redis" and not shutil.which("wrk"):
        pytest.skip("wrk is missing; on Debian: apt install wrk")
    endurance = subprocess.run(
        [
            *(sys.executable, "-m", "bench.endurance"),
            *("--quick", "--only", name, "--database", DATABASE),
        ],
        cwd=PROJECT,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        timeout=115,
    )
    assert endurance.returncode == 0, endurance.stdout + endurance.stderr
