"""Tried on two cores: 2 processes of 8 threads, 3 of 4, 4 of 2 and 5 of 2 were no faster."""

import os

bind = f"127.0.0.1:{os.environ['PORT']}"
worker_class = "gthread"  # the only stock one that keeps connections alive
keepalive = 30
graceful_timeout = 5
loglevel = "warning"
if os.environ["DATABASE_URL"].startswith("sqlite"):
    # One writer at a time anyway: a second process or thread made it a tenth slower, since
    # SQLite lets those who wait sleep and poll.
    workers = threads = 1
else:
    # The work is Python's, so processes; while one waits for a commit, another has the core.
    workers = 2 * (os.cpu_count() or 1)
    threads = 4
