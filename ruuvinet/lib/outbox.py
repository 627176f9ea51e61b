"""What all outboxes share: how long a worker may hold a row, and when it is tried again."""

import random
from datetime import timedelta

LEASE = timedelta(minutes=2)  # several times what one attempt may take
FIRST_RETRY = timedelta(seconds=30)
LONGEST_RETRY = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=1)


def retry_delay(attempts: int, retry_after_s: float | None = None) -> timedelta:
    """How long to wait after the `attempts`-th failure: doubling, spread, at least as asked."""
    doubled: timedelta = FIRST_RETRY * 2 ** min(attempts - 1, 10)
    delay = min(doubled, LONGEST_RETRY)
    spread = delay * random.uniform(0.5, 1.5)  # noqa: S311  # not a secret: keeps retries apart
    return max(spread, timedelta(seconds=retry_after_s or 0))
