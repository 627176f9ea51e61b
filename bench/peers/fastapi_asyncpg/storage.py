"""Set-based statements: one for each table, whatever the number of readings."""

DENSE_INTERVAL_S = 60
SPARSE_INTERVAL_S = 15 * 60
OLDEST_S = 7 * 86400
FUTURE_TOLERANCE_S = 300

GATEWAY = "SELECT secret FROM gateway WHERE mac = $1 AND whitelisted_at IS NOT NULL"
HISTORY = """
    INSERT INTO {table} (sensor, slot, measured_at, gateway, rssi_dbm, payload)
    SELECT sensor, measured_at / {interval_s} * {interval_s}, measured_at, $5, rssi_dbm, payload
    FROM unnest($1::bigint[], $2::int[], $3::smallint[], $4::bytea[])
        AS reading (sensor, measured_at, rssi_dbm, payload)
    ON CONFLICT (sensor, slot) DO NOTHING
"""
DENSE = HISTORY.format(table="measurement", interval_s=DENSE_INTERVAL_S)
SPARSE = HISTORY.format(table="sparse_measurement", interval_s=SPARSE_INTERVAL_S)
LATEST = """
    INSERT INTO latest (sensor, measured_at, gateway, rssi_dbm, payload, data_format)
    SELECT sensor, measured_at, $5, rssi_dbm, payload, data_format
    FROM unnest($1::bigint[], $2::int[], $3::smallint[], $4::bytea[], $6::smallint[])
        AS reading (sensor, measured_at, rssi_dbm, payload, data_format)
    ON CONFLICT (sensor) DO UPDATE SET
        measured_at = excluded.measured_at, gateway = excluded.gateway,
        rssi_dbm = excluded.rssi_dbm, payload = excluded.payload,
        data_format = excluded.data_format
    WHERE excluded.measured_at > latest.measured_at
"""
SEEN = """
    UPDATE gateway SET
        first_seen_at = coalesce(first_seen_at, $2), connected_at = coalesce(connected_at, $2),
        last_seen_at = $2, last_address = $3, clock_offset_s = NULL,
        bad_tags = bad_tags + 0, late_readings = late_readings + 0
    WHERE mac = $1
"""


async def store(connection, *, gateway, tags, address, at):
    now = int(at.timestamp())
    # In one order, so that requests never deadlock.
    readings = sorted(
        (parse_mac(mac), measured_at(tag.timestamp, now), tag.rssi, bytes.fromhex(tag.data))
        for mac, tag in tags.items()
    )
    sensors, times, rssi_dbm, payloads = (list(column) for column in zip(*readings, strict=True))
    columns = (sensors, times, rssi_dbm, payloads, gateway)
    formats = [data_format(payload) for payload in payloads]
    async with connection.transaction():
        await connection.execute(DENSE, *columns)
        await connection.execute(SPARSE, *columns)
        await connection.execute(LATEST, *columns, formats)
        await connection.execute(SEEN, gateway, at, address)


def parse_mac(text):
    return int(text.replace(":", ""), 16)


def measured_at(stated, now):
    if stated is None or not now - OLDEST_S <= stated <= now + FUTURE_TOLERANCE_S:
        return now
    return stated


def data_format(payload):
    return payload[7] if payload[5:7] == b"\x99\x04" else None
