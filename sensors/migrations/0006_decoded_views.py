"""Views of the history with decoded columns, for Grafana and for whoever speaks SQL (PostgreSQL).

They read what sensors sell and send today: formats 5, C5, 6 and E1. The decoders in Python stay the
reference; tests/sensors/test_decoded_views.py holds these to them with every published vector.
`ruuvi_decode` is a plain SQL function, which PostgreSQL merges into the query around it: columns
that nobody asks for are not computed.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

MADE = r"""
CREATE FUNCTION ruuvi_mac(text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ('x' || lpad(replace($1, ':', ''), 16, '0'))::bit(64)::bigint;

CREATE FUNCTION ruuvi_mac_text(bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN upper(rtrim(regexp_replace(lpad(to_hex($1), 12, '0'), '(..)', '\1:', 'g'), ':'));

CREATE FUNCTION ruuvi_u16(bytea, integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (get_byte($1, $2) << 8) | get_byte($1, $2 + 1);

CREATE FUNCTION ruuvi_s16(bytea, integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN ruuvi_u16($1, $2) < 32768 THEN ruuvi_u16($1, $2) ELSE ruuvi_u16($1, $2) - 65536 END;

-- A byte, the flags and which of their bits is the lowest of nine.
CREATE FUNCTION ruuvi_nine(integer, integer, integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NULLIF(($1 << 1) | (($2 >> $3) & 1), 511);

-- What follows Ruuvi's company id, if that is in one of the first three structures.
CREATE FUNCTION ruuvi_payload(advertisement bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    start integer := 0;
    after integer;
BEGIN
    WHILE start + 5 < length(advertisement) LOOP
        after := start + 1 + get_byte(advertisement, start);
        IF after = start + 1 OR after > length(advertisement) THEN
            RETURN NULL;
        END IF;
        IF substring(advertisement FROM start + 2 FOR 3) = '\xff9904' AND after > start + 4 THEN
            RETURN substring(advertisement FROM start + 5 FOR after - start - 4);
        END IF;
        start := after;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION ruuvi_decode(advertisement bytea) RETURNS TABLE (
    data_format integer,
    temperature_c double precision,
    humidity_pct double precision,
    pressure_pa integer,
    acceleration_x_mg integer,
    acceleration_y_mg integer,
    acceleration_z_mg integer,
    battery_mv integer,
    tx_power_dbm integer,
    movement_counter integer,
    sequence integer,
    pm1_0_ug_m3 double precision,
    pm2_5_ug_m3 double precision,
    pm4_0_ug_m3 double precision,
    pm10_0_ug_m3 double precision,
    co2_ppm integer,
    voc_index integer,
    nox_index integer,
    luminosity_lx double precision,
    sound_instant_dba double precision,
    sound_average_dba double precision,
    sound_peak_db_spl double precision
) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT
    f,
    NULLIF(ruuvi_s16(p, 1), -32768) / 200::float8,
    NULLIF(ruuvi_u16(p, 3), 65535) / 400::float8,
    NULLIF(ruuvi_u16(p, 5), 65535) + 50000,
    CASE f WHEN 5 THEN NULLIF(ruuvi_s16(p, 7), -32768) END,
    CASE f WHEN 5 THEN NULLIF(ruuvi_s16(p, 9), -32768) END,
    CASE f WHEN 5 THEN NULLIF(ruuvi_s16(p, 11), -32768) END,
    CASE f
        WHEN 5 THEN NULLIF(ruuvi_u16(p, 13) >> 5, 2047) + 1600
        WHEN 197 THEN NULLIF(ruuvi_u16(p, 7) >> 5, 2047) + 1600 END,
    CASE f
        WHEN 5 THEN NULLIF(ruuvi_u16(p, 13) & 31, 31) * 2 - 40
        WHEN 197 THEN NULLIF(ruuvi_u16(p, 7) & 31, 31) * 2 - 40 END,
    CASE f
        WHEN 5 THEN NULLIF(get_byte(p, 15), 255)
        WHEN 197 THEN NULLIF(get_byte(p, 9), 255) END,
    CASE f
        WHEN 5 THEN NULLIF(ruuvi_u16(p, 16), 65535)
        WHEN 197 THEN NULLIF(ruuvi_u16(p, 10), 65535)
        WHEN 6 THEN get_byte(p, 15)
        WHEN 225 THEN NULLIF((get_byte(p, 25) << 16) | ruuvi_u16(p, 26), 16777215) END,
    CASE f WHEN 225 THEN NULLIF(ruuvi_u16(p, 7), 65535) / 10::float8 END,
    CASE f
        WHEN 225 THEN NULLIF(ruuvi_u16(p, 9), 65535) / 10::float8
        WHEN 6 THEN NULLIF(ruuvi_u16(p, 7), 65535) / 10::float8 END,
    CASE f WHEN 225 THEN NULLIF(ruuvi_u16(p, 11), 65535) / 10::float8 END,
    CASE f WHEN 225 THEN NULLIF(ruuvi_u16(p, 13), 65535) / 10::float8 END,
    CASE f
        WHEN 225 THEN NULLIF(ruuvi_u16(p, 15), 65535)
        WHEN 6 THEN NULLIF(ruuvi_u16(p, 9), 65535) END,
    CASE f
        WHEN 225 THEN ruuvi_nine(get_byte(p, 17), get_byte(p, 28), 6)
        WHEN 6 THEN ruuvi_nine(get_byte(p, 11), get_byte(p, 16), 6) END,
    CASE f
        WHEN 225 THEN ruuvi_nine(get_byte(p, 18), get_byte(p, 28), 7)
        WHEN 6 THEN ruuvi_nine(get_byte(p, 12), get_byte(p, 16), 7) END,
    CASE f
        WHEN 225 THEN NULLIF((get_byte(p, 19) << 16) | ruuvi_u16(p, 20), 16777215) / 100::float8
        WHEN 6 THEN round(
            (exp(NULLIF(get_byte(p, 13), 255) * ln(65536::float8) / 254) - 1)::numeric, 2
        )::float8 END,
    CASE f
        WHEN 225 THEN (ruuvi_nine(get_byte(p, 22), get_byte(p, 28), 3) + 90) / 5::float8 END,
    CASE f
        WHEN 225 THEN (ruuvi_nine(get_byte(p, 23), get_byte(p, 28), 4) + 90) / 5::float8
        WHEN 6 THEN (ruuvi_nine(get_byte(p, 14), get_byte(p, 16), 4) + 90) / 5::float8 END,
    CASE f
        WHEN 225 THEN (ruuvi_nine(get_byte(p, 24), get_byte(p, 28), 5) + 90) / 5::float8 END
FROM (
    SELECT f, CASE WHEN f IS NOT NULL THEN p END AS p
    FROM (SELECT ruuvi_payload(advertisement) AS p OFFSET 0) AS found,
    LATERAL (
        SELECT CASE
            WHEN get_byte(p, 0) = 5 AND length(p) >= 24 THEN 5
            WHEN get_byte(p, 0) = 6 AND length(p) >= 20 THEN 6
            WHEN get_byte(p, 0) = 197 AND length(p) >= 18 THEN 197
            WHEN get_byte(p, 0) = 225 AND length(p) >= 40 THEN 225
        END AS f
    ) AS known
    OFFSET 0  -- once for each row and not once for each column
) AS readable
$$;
"""
VIEW = """
CREATE VIEW {view} AS
SELECT
    m.sensor, ruuvi_mac_text(m.sensor) AS mac, {slot} to_timestamp(m.measured_at) AS measured_at,
    ruuvi_mac_text(m.gateway) AS gateway, m.rssi_dbm, decoded.*
FROM {table} AS m CROSS JOIN LATERAL ruuvi_decode(m.payload) AS decoded
"""
SENSORS = """
CREATE VIEW ruuvi_sensors AS
SELECT
    s.mac AS sensor, ruuvi_mac_text(s.mac) AS mac,
    COALESCE(NULLIF(a.name, ''), 'Ruuvi ' || upper(lpad(to_hex(s.mac & 65535), 4, '0'))) AS name,
    s.offset_temperature_c, s.offset_humidity_pct, s.offset_pressure_pa
FROM sensors_sensor AS s
LEFT JOIN sensors_access AS a ON a.sensor_id = s.mac AND a.user_id = s.owner_id
"""
VIEWS = (
    ("ruuvi_dense", "sensors_measurement", "m.slot,"),
    ("ruuvi_sparse", "sensors_sparsemeasurement", "m.slot,"),
    ("ruuvi_latest", "sensors_latest", ""),
)


def make(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(MADE)
        for view, table, slot in VIEWS:
            cursor.execute(VIEW.format(view=view, table=table, slot=slot))
        cursor.execute(SENSORS)


def drop(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "DROP VIEW ruuvi_sensors, ruuvi_latest, ruuvi_sparse, ruuvi_dense;"
            "DROP FUNCTION ruuvi_decode(bytea), ruuvi_payload(bytea),"
            " ruuvi_nine(integer, integer, integer), ruuvi_s16(bytea, integer),"
            " ruuvi_u16(bytea, integer), ruuvi_mac_text(bigint), ruuvi_mac(text)"
        )


class Migration(migrations.Migration):
    dependencies = [("sensors", "0005_room_for_updates")]
    operations = [migrations.RunPython(make, drop)]
