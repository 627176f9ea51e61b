"""Networks that are refused before any other work, remembered for seconds in each process."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from gateways.models import NetworkRule
from ruuvinet.lib.api import error_body
from ruuvinet.lib.http import normal_network

log = logging.getLogger(__name__)

REMEMBERED_S = 3.0
# The console has a lock of its own, and whoever blocked themselves must come back somehow;
# balancers ask for the health.
OPEN_PATHS = ("/admin", "/static/", "/health")

# For IPv4 and IPv6: prefix lengths, longest first, and whether the networks of each are blocked,
# by the leading bits of their addresses.
_Rules = dict[int, list[tuple[int, dict[int, bool]]]]

_rules: _Rules = {}
_good_until = 0.0
_changes = 0
_lock = threading.Lock()


def is_blocked(address: str) -> bool:
    """Whether requests from `address`, in its normal form, are refused.

    May be REMEMBERED_S seconds old; in the process that changes a rule, it never is. While the
    database cannot be reached, what was known before counts.
    """
    if is_stale():
        refresh()
    return is_known_as_blocked(address)


def is_stale() -> bool:
    return time.monotonic() >= _good_until


def is_known_as_blocked(address: str) -> bool:
    """As `is_blocked`, without asking the database however old the rules are."""
    if not _rules or not address:
        return False
    ip = ip_address(address)
    bits = int(ip)
    for length, networks in _rules.get(ip.version, ()):
        blocked = networks.get(bits >> (ip.max_prefixlen - length))
        if blocked is not None:
            return blocked
    return False


def refresh() -> None:
    """Read the rules in one thread; the others go on with those that they have, if they have."""
    global _rules, _good_until
    if not _lock.acquire(blocking=_good_until == 0):
        return
    try:
        if time.monotonic() < _good_until:
            return
        before = _changes
        try:
            _rules = _read(timezone.now())
        except (OperationalError, InterfaceError) as error:
            log.warning("blocked networks cannot be read: %s", type(error).__name__)
        if before == _changes:  # otherwise what was read may be old already
            _good_until = time.monotonic() + REMEMBERED_S
    finally:
        _lock.release()


def _read(at: datetime) -> _Rules:
    in_force = NetworkRule.objects.filter(Q(expires_at=None) | Q(expires_at__gt=at))
    found: dict[int, dict[int, dict[int, bool]]] = {}
    for text, is_allowed in in_force.values_list("network", "is_allowed"):
        network = ip_network(text)
        length = network.prefixlen
        key = int(network.network_address) >> (network.max_prefixlen - length)
        found.setdefault(network.version, {}).setdefault(length, {})[key] = not is_allowed
    return {version: sorted(lengths.items(), reverse=True) for version, lengths in found.items()}


def forget() -> None:
    """Ask the database the next time."""
    global _good_until, _changes
    _changes += 1
    _good_until = 0.0


def changed() -> None:
    """Forget now, and again when the change can be seen: another thread may read in between."""
    forget()
    transaction.on_commit(forget)


def block(text: str, *, reason: str = "", expires_at: datetime | None = None) -> NetworkRule:
    """Refuse the address or network `text` until `expires_at`. Raises ValueError."""
    return _decide(text, is_allowed=False, reason=reason, expires_at=expires_at)


def allow(text: str, *, reason: str = "", expires_at: datetime | None = None) -> NetworkRule:
    """Let the address or network `text` pass, also inside one that is refused. As `block`."""
    return _decide(text, is_allowed=True, reason=reason, expires_at=expires_at)


def _decide(text: str, **decision: Any) -> NetworkRule:
    """In place of all that was decided about this network before."""
    rule, _ = NetworkRule.objects.update_or_create(network=normal_network(text), defaults=decision)
    changed()
    return rule


class BlockedNetworksMiddleware:
    """Refuses blocked networks at what Django serves, after the client's address is known."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(OPEN_PATHS) and is_blocked(request.META["REMOTE_ADDR"]):
            return JsonResponse(error_body("Forbidden.", "ER_FORBIDDEN"), status=403)
        return self.get_response(request)
