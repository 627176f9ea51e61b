"""Which packets of a sensor reach a gateway, and how strong they are."""

from dataclasses import dataclass

from gateways.simulator.nature import chance, salt
from gateways.simulator.world import AIR_TX_POWER_DBM, Kind, Sensor

# Newest samples tried before a sensor counts as not heard. Even the weakest link misses this many
# in a row only once in a million times, and a post after a long pause costs no more than others.
LOOKBACK = 32


@dataclass(frozen=True, slots=True)
class Packet:
    """One advertisement as received by one gateway."""

    mac: str
    rssi_dbm: int
    sent_at_s: float  # simulated Unix seconds
    ble_phy: str
    ble_chan: int  # 37-39 legacy, 0-36 extended advertising
    ble_tx_power_dbm: int | None  # only where the advertisement announces it
    data: bytes


class Link:
    """The way from one sensor to one gateway, with its own distance and its own losses."""

    def __init__(self, sensor: Sensor, gateway_mac: str) -> None:
        self._sensor = sensor
        self._stream = salt(sensor.identity.mac, gateway_mac)
        strength = chance(self._stream, -1)
        self._mean_rssi_dbm = -85 + 37 * strength
        self._heard_share = 0.35 + 0.6 * strength  # of all packets

    def newest(self, after_s: float, until_s: float) -> Packet | None:
        """The newest packet heard in that span (simulated Unix seconds), or None if none was."""
        newest = self._sensor.number_at(until_s)
        oldest = max(self._sensor.number_at(after_s), newest - LOOKBACK)
        for number in range(newest, oldest, -1):
            if chance(self._stream, number) < self._heard_share:
                return self._packet(number)
        return None

    def _packet(self, number: int) -> Packet:
        extended = self._sensor.identity.kind is Kind.AIR
        channel = chance(self._stream + 1, number)
        return Packet(
            mac=self._sensor.identity.mac,
            rssi_dbm=round(self._mean_rssi_dbm + 10 * chance(self._stream + 2, number) - 5),
            sent_at_s=self._sensor.measured_at_s(number),
            ble_phy="2M" if extended else "1M",
            ble_chan=int(37 * channel) if extended else 37 + int(3 * channel),
            ble_tx_power_dbm=AIR_TX_POWER_DBM if extended else None,
            data=self._sensor.advertisement(number),
        )
