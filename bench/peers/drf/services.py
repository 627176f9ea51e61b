from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce

from bench.peers.drf.models import Gateway, Latest, Measurement, SparseMeasurement

DENSE_INTERVAL_S = 60
SPARSE_INTERVAL_S = 15 * 60
OLDEST_S = 7 * 86400
FUTURE_TOLERANCE_S = 300


@transaction.atomic
def store(*, gateway, tags, address, at):
    now = int(at.timestamp())
    readings = [
        {
            "sensor": sensor,
            "measured_at": measured_at(tag.get("timestamp"), now),
            "gateway": gateway.mac,
            "rssi_dbm": tag["rssi"],
            "payload": tag["data"],
        }
        for sensor, tag in sorted(tags.items())  # in one order, so that requests never deadlock
    ]
    for model, interval_s in (
        (Measurement, DENSE_INTERVAL_S),
        (SparseMeasurement, SPARSE_INTERVAL_S),
    ):
        model.objects.bulk_create(
            [model(slot=r["measured_at"] // interval_s * interval_s, **r) for r in readings],
            ignore_conflicts=True,
        )
    store_latest(readings)
    Gateway.objects.filter(mac=gateway.mac).update(
        first_seen_at=Coalesce(F("first_seen_at"), Value(at)),
        connected_at=Coalesce(F("connected_at"), Value(at)),
        last_seen_at=at,
        last_address=address,
        clock_offset_s=None,
        bad_tags=F("bad_tags") + 0,
        late_readings=F("late_readings") + 0,
    )


def store_latest(readings):
    known = dict(
        Latest.objects.select_for_update()
        .filter(sensor__in=[r["sensor"] for r in readings])
        .order_by("sensor")
        .values_list("sensor", "measured_at")
    )
    newer = [
        Latest(data_format=data_format(r["payload"]), **r)
        for r in readings
        if r["measured_at"] > known.get(r["sensor"], 0)
    ]
    Latest.objects.bulk_create(
        newer,
        update_conflicts=True,
        unique_fields=["sensor"],
        update_fields=["measured_at", "gateway", "rssi_dbm", "payload", "data_format"],
    )


def measured_at(stated, now):
    if stated is None or not now - OLDEST_S <= stated <= now + FUTURE_TOLERANCE_S:
        return now
    return stated


def data_format(payload):
    return payload[7] if payload[5:7] == b"\x99\x04" else None
