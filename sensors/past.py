"""Readings of the past, from files: into the history, beside what is there already.

What is stored wins. Neither Latest nor alerts hear of it: nobody is told today that it was cold
last winter.
"""

from collections.abc import Collection
from typing import NamedTuple

from django.db import connection, transaction

from ruuvinet.lib.mac import Mac
from sensors import storage
from sensors.models import Sensor
from sensors.partitions import TABLES, WEEK_S, cover

EARLIEST = 1451606400  # 2016-01-01, Unix seconds: RuuviTags are not older
FUTURE_TOLERANCE_S = 300
NO_RSSI_DBM = 127  # "not available" in Bluetooth
NO_GATEWAY = 0


class Fault(NamedTuple):
    """What is wrong with a line, counted from 1."""

    line: int
    text: str


class Readings(NamedTuple):
    """Receptions as columns, each with the line that it comes from; times in Unix seconds (UTC)."""

    lines: list[int]
    sensors: list[int]
    times: list[int]
    gateways: list[int]
    rssi_dbm: list[int]
    payloads: list[bytes]


class Past:
    """Where readings of files go.

    `now` is Unix seconds. `register` adds sensors that are not known, which nobody owns then.
    """

    def __init__(self, *, now: int, register: bool = False) -> None:
        self._newest, self._register = now + FUTURE_TOLERANCE_S, register
        self._known: set[int] = set()
        self._weeks: set[int] = set()

    def keep(self, readings: Readings) -> list[Fault]:
        """Store what can be stored, in one transaction; returns what is wrong with the rest."""
        self._get_to_know(set(readings.sensors))
        faults = self._faults(readings)
        keys = list(zip(readings.sensors, readings.times, strict=True))
        good = [row for row in sorted(range(len(keys)), key=keys.__getitem__) if row not in faults]
        self._make_partitions({readings.times[row] // WEEK_S for row in good})
        with transaction.atomic():
            storage.write_past(
                [readings.sensors[row] for row in good],
                [readings.times[row] for row in good],
                [readings.gateways[row] for row in good],
                [readings.rssi_dbm[row] for row in good],
                [readings.payloads[row] for row in good],
            )
        return [Fault(readings.lines[row], faults[row]) for row in sorted(faults)]

    def _faults(self, readings: Readings) -> dict[int, str]:
        faults = {}
        for row, (sensor, at, rssi) in enumerate(
            zip(readings.sensors, readings.times, readings.rssi_dbm, strict=True)
        ):
            if sensor not in self._known:
                faults[row] = f"{Mac(sensor)} is not known: --register adds it"
            elif at < EARLIEST:
                faults[row] = "the time is before 2016"
            elif at > self._newest:
                faults[row] = "the time is in the future"
            elif not -128 <= rssi <= 127:
                faults[row] = f"rssi_dbm cannot be {rssi}"
        return faults

    def _get_to_know(self, sensors: Collection[int]) -> None:
        unknown = [Mac(sensor) for sensor in sensors if sensor not in self._known]
        if not unknown:
            return
        if self._register:
            Sensor.objects.bulk_create([Sensor(mac=mac) for mac in unknown], ignore_conflicts=True)
        known = Sensor.objects.filter(mac__in=unknown).values_list("mac", flat=True)
        self._known.update(map(int, known))

    def _make_partitions(self, weeks: set[int]) -> None:
        for week in sorted(weeks - self._weeks):
            for table in TABLES:
                cover(table, week * WEEK_S, (week + 1) * WEEK_S)
        self._weeks |= weeks


def batch_size() -> int:
    """Lines in a transaction. On SQLite all other writers wait for it, which must stay short."""
    return 20_000 if connection.vendor == "postgresql" else 2_000
