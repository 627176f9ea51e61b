"""Races in tests: jobs that start together, each with a database connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import connection


def at_once(*jobs: Callable[[], object]) -> list:
    """Run the jobs in a thread each, all starting together; their results, or the first error."""
    barrier = threading.Barrier(len(jobs), timeout=30)

    def run(job):
        try:
            connection.ensure_connection()
            barrier.wait()
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs, timeout=60))
