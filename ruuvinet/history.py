"""The upkeep of the history, where it needs to know of alerts."""

import logging
from datetime import datetime

from alerts.selectors import judged_until
from sensors import upkeep

log = logging.getLogger(__name__)


def expiry(now: datetime) -> dict[str, int]:
    """For each table of history the time, Unix seconds, before which nothing is needed."""
    return upkeep.expiry(int(now.timestamp()), judged_until=judged_until(now))


def tidy_history(now: datetime) -> upkeep.Done:
    """Drop what expired, put in order what closed. Not in a transaction."""
    done = upkeep.tidy(int(now.timestamp()), expires=expiry(now))
    for verb, names in (("rewrote", done.rewritten), ("dropped", done.dropped)):
        if names:
            log.info("%s %s", verb, ", ".join(names))
    if done.deleted:
        log.info(
            "deleted %d old rows, holding the lock for %.0f ms at most",
            done.deleted,
            done.longest_s * 1000,
        )
    return done
