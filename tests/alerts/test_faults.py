"""What bench.faults breaks, each as a test: nothing lost, nothing wrong, twice only by a kill."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

from bench.faults import FAULTS
from tests.ruuvinet.program import PROJECT

pytestmark = pytest.mark.slow

# It brings a PostgreSQL and a Redis itself: once is enough.
NAMES = [fault.name for fault in (FAULTS[:1] if settings.EMBEDDED_DATABASE else FAULTS)]


@pytest.mark.parametrize("name", NAMES)
def test_fault_is_survived(name):
    faults = subprocess.run(
        [sys.executable, "-m", "bench.faults", "--only", name],
        cwd=PROJECT,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        timeout=300,  # a busy machine is no reason to fail
    )
    assert faults.returncode == 0, faults.stdout + faults.stderr
