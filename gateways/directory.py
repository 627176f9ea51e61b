"""Whitelisted gateways and their secrets, remembered for seconds in each process."""

import time

from gateways.models import Gateway
from ruuvinet.lib.mac import Mac

REMEMBERED_S = 3.0
LARGEST = 20_000  # entries; strangers may invent any number of addresses


_remembered: dict[Mac, tuple[float, str | None]] = {}


def secret_of(mac: Mac) -> str | None:
    """The secret of the whitelisted gateway `mac`; None for any other. Raises DatabaseError.

    May be REMEMBERED_S seconds old; in the process that whitelists or blacklists, it never is.
    """
    now = time.monotonic()
    found = _remembered.get(mac)
    if found and found[0] > now:
        return found[1]
    secret = Gateway.objects.whitelisted().filter(mac=mac).values_list("secret", flat=True).first()
    if len(_remembered) >= LARGEST:
        _remembered.clear()  # cheap, and a flood is over in a moment or goes on anyway
    _remembered[mac] = (now + REMEMBERED_S, secret)
    return secret


def forget(mac: Mac) -> None:
    """Ask the database about `mac` the next time."""
    _remembered.pop(mac, None)


def forget_all() -> None:
    _remembered.clear()
