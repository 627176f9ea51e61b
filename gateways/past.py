"""What gateways answer at their own `/history`, kept in files: bodies like those that they post."""

from collections.abc import Iterable

from gateways import shaping, wire
from ruuvinet.lib.mac import Mac
from sensors.past import Fault, Readings


def read_bodies(bodies: Iterable[tuple[int, bytes]]) -> tuple[Readings, list[Fault]]:
    """The tags of bodies, each with the line at which its body stands; and what is wrong with others."""
    readings, faults = Readings([], [], [], [], [], []), []
    for line, body in bodies:
        try:
            upload = wire.read_body(body)
            gateway = Mac.parse(upload.gw_mac)
        except ValueError as error:
            faults.append(Fault(line, str(error)))
            continue
        for text, raw in upload.tags.items():
            try:
                sensor, at, rssi_dbm, payload = shaping.read_tag(text, raw)
                if at is None or not payload:
                    raise ValueError("without a time" if at is None else "not decoded, and no data")
            except ValueError as error:
                faults.append(Fault(line, f"{text[:40]}: {error}"))
                continue
            readings.lines.append(line)
            readings.sensors.append(sensor)
            readings.times.append(at)
            readings.gateways.append(gateway)
            readings.rssi_dbm.append(rssi_dbm)
            readings.payloads.append(payload)
    return readings, faults
