"""How often an address presented wrong credentials, in this process: an event loop asks."""

from datetime import datetime

from ruuvinet.lib.rates import network_of

ALLOWED = 10  # in a minute
LARGEST = 20_000  # networks; strangers may have any number of them


class Guesses:
    """Counts of the present minute by network, lost with the process."""

    def __init__(self) -> None:
        self._minute = 0
        self._counts: dict[str, int] = {}

    def add(self, address: str, at: datetime) -> None:
        self._turn(at)
        network = network_of(address)
        if len(self._counts) < LARGEST:
            self._counts[network] = self._counts.get(network, 0) + 1

    def are_too_many(self, address: str, at: datetime) -> bool:
        self._turn(at)
        return bool(self._counts) and self._counts.get(network_of(address), 0) >= ALLOWED

    def _turn(self, at: datetime) -> None:
        minute = int(at.timestamp()) // 60
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
