CREATE TABLE gateway (
    mac bigint PRIMARY KEY,
    secret text NOT NULL,
    whitelisted_at timestamptz,
    first_seen_at timestamptz,
    connected_at timestamptz,
    last_seen_at timestamptz,
    last_address inet,
    clock_offset_s bigint,
    bad_tags bigint NOT NULL DEFAULT 0,
    late_readings bigint NOT NULL DEFAULT 0
);
CREATE TABLE measurement (
    sensor bigint NOT NULL,
    slot integer NOT NULL,
    measured_at integer NOT NULL,
    gateway bigint NOT NULL,
    rssi_dbm smallint NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (sensor, slot)
);
CREATE TABLE sparse_measurement (LIKE measurement INCLUDING ALL);
CREATE TABLE latest (
    sensor bigint PRIMARY KEY,
    measured_at integer NOT NULL,
    gateway bigint NOT NULL,
    rssi_dbm smallint NOT NULL,
    payload bytea NOT NULL,
    data_format smallint
);
CREATE INDEX latest_by_gateway ON latest (gateway);
