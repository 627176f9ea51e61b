"""Counting calls in windows of time, in the cache that all web processes share."""

import hashlib
import logging
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

import redis
from django.core.cache import BaseCache, caches
from rest_framework.exceptions import Throttled

log = logging.getLogger(__name__)


class Calls:
    """How often each caller called in the present window.

    Windows follow the clock, so that twice a limit may fall on both sides of a boundary.
    """

    def __init__(self, name: str, *, window: timedelta) -> None:
        self.name = name
        self.window_s = int(window.total_seconds())

    def count(self, caller: str, at: datetime) -> int:
        """Count one more call of `caller`; returns how many there were in this window."""
        return self._add(caller, at, 1)

    def so_far(self, caller: str, at: datetime) -> int:
        """How many calls of `caller` were counted in this window."""
        return self._add(caller, at, 0)

    def forgive(self, caller: str, at: datetime) -> None:
        """Take back what `count` added."""
        self._add(caller, at, -1)

    def wait_s(self, at: datetime) -> int:
        """Seconds until the window ends."""
        return self.window_s - int(at.timestamp()) % self.window_s

    def _add(self, caller: str, at: datetime, calls: int) -> int:
        window = int(at.timestamp()) // self.window_s
        # A hash: a cache key is short and has no odd letters, and names nobody.
        digest = hashlib.sha256(caller.encode()).hexdigest()[:32]
        key = f"rate:{self.name}:{digest}:{window}"
        try:
            return _add(caches["default"], key, calls, 2 * self.window_s)
        except redis.RedisError as error:
            # Each process counts for itself until Redis is back: nobody may guess without limit.
            log.warning("counting calls without Redis: %s", error)
            return _add(caches["local"], key, calls, 2 * self.window_s)


class Rate(Calls):
    """At most `limit` calls of one caller in each window."""

    def __init__(self, name: str, *, limit: int, window: timedelta) -> None:
        super().__init__(name, window=window)
        self.limit = limit

    def ensure(self, caller: str, at: datetime) -> None:
        """Count one more call of `caller`. Raises Throttled above the limit."""
        if self.count(caller, at) > self.limit:
            raise Throttled(self.wait_s(at))

    def ensure_room(self, caller: str, at: datetime) -> None:
        """For limits on mistakes, counted when they are made. Raises Throttled at the limit."""
        if self.so_far(caller, at) >= self.limit:
            raise Throttled(self.wait_s(at))


def _add(cache: BaseCache, key: str, calls: int, timeout_s: int) -> int:
    try:
        return int(cache.incr(key, calls))
    except ValueError:  # the first call in this window
        cache.add(key, 0, timeout_s)
    return int(cache.incr(key, calls))


def network_of(address: str) -> str:
    """Whom an address stands for: itself, with IPv6 the /64 that one household gets."""
    if not address or not isinstance(ip_address(address), IPv6Address):
        return address
    return str(ip_network(f"{address}/64", strict=False).network_address)
