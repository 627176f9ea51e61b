"""The database's own limit: RuuviNet's rows in RuuviNet's tables, by the driver alone.

`python -m bench.peers.bare --batch 15 --share 0/2 --most 20000 DATABASE POST_BYTES FILE...` makes
the posts of every second gateway ready as parameters, and says `ready`. For each number that it
reads then, it commits batches for so many seconds and answers with a line of JSON. DATABASE is a
URL of PostgreSQL or a file of SQLite. Neither HTTP nor JSON nor HMAC nor ordering is in the time.
"""

import argparse
import gc
import json
import mmap
import sqlite3
import struct
import sys
import time
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

import msgspec
import numpy as np
import psycopg

from bench.bodies import GATEWAYS

DENSE_INTERVAL_S, SPARSE_INTERVAL_S = 60, 15 * 60


class Row(NamedTuple):
    sensor: int
    measured_at: int
    gateway: int
    rssi_dbm: int
    payload: bytes
    data_format: int


class Batch(NamedTuple):
    """What a transaction stores, in the order of sensors and of gateways."""

    rows: list[Row]
    may_be_free: list[bool]  # whether the sparse slot of a row is not known to be taken
    seen: list[tuple[int, int, int]]  # gateway, time and nonce of its post


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.peers.bare", description=__doc__)
    parser.add_argument("--batch", type=int, required=True, help="posts of a transaction")
    parser.add_argument("--share", default="0/1")
    parser.add_argument("--most", type=int, required=True, help="posts to make ready")
    parser.add_argument("database")
    parser.add_argument("post_bytes", type=int)
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    index, count = map(int, options.share.split("/"))
    posts = islice(_posts(options.files, options.post_bytes, index, count), options.most)
    kind = PostgreSQL if options.database.startswith("postgres") else SQLite
    database = kind(options.database)
    ready = iter([(len(b.seen), database.packed(b)) for b in _batches(posts, options.batch)])
    gc.freeze()
    _say("ready")
    for line in sys.stdin:
        _say(json.dumps(_run(database, ready, float(line))))


def _run(database, ready, seconds):
    """`seconds` of transactions; how many posts, in which time, and how long each took."""
    posts, took_ms = 0, []
    start = now = time.perf_counter()
    while now < start + seconds:
        size, batch = next(ready, (0, None))
        if not size:
            break
        database.commit(batch)
        before, now = now, time.perf_counter()
        posts += size
        took_ms.append((now - before) * 1000)
    return {
        "posts": posts,
        "seconds": now - start,
        "took_ms": took_ms,
        "ran_out": now < start + seconds,
    }


# --- What there is to store ---------------------------------------------------------------
def _posts(files, post_bytes, index, count):
    """The bodies of the gateways whose number leaves `index`, in the order in which wrk has them."""
    maps = []
    for path in files:
        with open(path, "rb") as file:
            maps.append(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
    for place in range(len(maps[0]) // post_bytes):
        for thread, posts in enumerate(maps):
            if (place * len(maps) + thread) % GATEWAYS % count == index:
                _, _, body = posts[place * post_bytes : (place + 1) * post_bytes].partition(
                    b"\r\n\r\n"
                )
                yield msgspec.json.decode(body)["data"]


def _batches(posts, size):
    taken = {}  # the sparse slot of each sensor that an earlier batch took
    while some := list(islice(posts, size)):
        rows = sorted(
            Row(
                sensor=_mac(mac),
                measured_at=tag["timestamp"],
                gateway=gateway,
                rssi_dbm=tag["rssi"],
                payload=bytes.fromhex(tag["data"]),
                data_format=int(tag["data"][14:16], 16),
            )
            for gateway, post in ((_mac(post["gw_mac"]), post) for post in some)
            for mac, tag in post["tags"].items()
        )
        slots = [row.measured_at // SPARSE_INTERVAL_S for row in rows]
        free = [taken.get(row.sensor) != slot for row, slot in zip(rows, slots, strict=True)]
        taken.update((row.sensor, slot) for row, slot in zip(rows, slots, strict=True))
        seen = sorted((_mac(p["gw_mac"]), p["timestamp"], p["nonce"]) for p in some)
        yield Batch(rows, free, seen)


def _mac(text):
    return int(text.replace(":", ""), 16)


# --- PostgreSQL -----------------------------------------------------------------------------
# One statement, and so one round trip and one transaction.
_ALL = f"""
    WITH heard AS MATERIALIZED (
        SELECT * FROM unnest(
            $1::int8[], $2::int4[], $3::int8[], $4::int2[], $5::bytea[], $6::int2[], $7::bool[]
        ) AS heard (sensor, measured_at, gateway, rssi_dbm, payload, data_format, may_be_free)
    ), dense AS (
        INSERT INTO sensors_measurement (sensor, slot, offset_s, gateway, rssi_dbm, payload)
        SELECT sensor, measured_at - measured_at % {DENSE_INTERVAL_S},
            measured_at % {DENSE_INTERVAL_S}, gateway, rssi_dbm, payload
        FROM heard ON CONFLICT (sensor, slot) DO NOTHING
    ), sparse AS (
        INSERT INTO sensors_sparsemeasurement (sensor, slot, offset_s, gateway, rssi_dbm, payload)
        SELECT sensor, measured_at - measured_at % {SPARSE_INTERVAL_S},
            measured_at % {SPARSE_INTERVAL_S}, gateway, rssi_dbm, payload
        FROM heard WHERE may_be_free ON CONFLICT (sensor, slot) DO NOTHING
    ), latest AS (
        INSERT INTO sensors_latest (sensor, measured_at, gateway, rssi_dbm, payload, data_format)
        SELECT sensor, measured_at, gateway, rssi_dbm, payload, data_format FROM heard
        ON CONFLICT (sensor) DO UPDATE SET
            measured_at = excluded.measured_at, gateway = excluded.gateway,
            rssi_dbm = excluded.rssi_dbm, payload = excluded.payload,
            data_format = excluded.data_format
        WHERE excluded.measured_at > sensors_latest.measured_at
    )
    UPDATE gateways_gateway SET
        first_seen_at = coalesce(first_seen_at, now()), connected_at = coalesce(connected_at, now()),
        last_seen_at = now(), last_address = '127.0.0.1', clock_offset_s = NULL,
        newest_body_s = greatest(newest_body_s, seen.sent_at_s),
        newest_nonce = CASE WHEN seen.sent_at_s >= coalesce(newest_body_s, 0)
            THEN seen.nonce ELSE newest_nonce END
    FROM unnest($8::int8[], $9::int8[], $10::int8[]) AS seen (mac, sent_at_s, nonce)
    WHERE gateways_gateway.mac = seen.mac
"""  # noqa: S608  # two numbers of ours
# Type and NumPy's name of each parameter's elements; payloads have one length.
_INT8, _INT4, _INT2, _BYTEA, _BOOL = (20, ">i8"), (23, ">i4"), (21, ">i2"), (17, None), (16, "?")
_ROWS = (_INT8, _INT4, _INT8, _INT2, _BYTEA, _INT2)


class PostgreSQL:
    """The protocol's own calls: psycopg's cursors would pack parameters while the clock runs."""

    def __init__(self, url):
        self._connection = psycopg.connect(url)
        self._pq = self._connection.pgconn
        self._done(self._pq.prepare(b"all", _ALL.encode()))

    def packed(self, batch):
        columns = [
            *zip(*batch.rows, strict=True),
            batch.may_be_free,
            *zip(*batch.seen, strict=True),
        ]
        kinds = (*_ROWS, _BOOL, _INT8, _INT8, _INT8)
        return [_array(*kind, column) for kind, column in zip(kinds, columns, strict=True)]

    def commit(self, packed):
        self._done(self._pq.exec_prepared(b"all", packed, [1] * len(packed)))

    def _done(self, result):
        if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
            raise RuntimeError(result.error_message.decode())


def _array(oid, name, values):
    """A one-dimensional array in PostgreSQL's binary form: each element behind its length."""
    dtype = np.dtype(name or f"V{len(values[0])}")
    elements = np.empty(len(values), [("size", ">i4"), ("value", dtype)])
    elements["size"] = dtype.itemsize
    elements["value"] = np.array(values, dtype)
    return struct.pack("!iiIii", 1, 0, oid, len(values), 1) + elements.tobytes()


# --- SQLite -----------------------------------------------------------------------------------
_HISTORY = """
    INSERT INTO {table} (sensor, slot, offset_s, gateway, rssi_dbm, payload)
    VALUES (?1, ?2 - ?2 % {interval_s}, ?2 % {interval_s}, ?3, ?4, ?5)
    ON CONFLICT (sensor, slot) DO NOTHING
"""
_DENSE = _HISTORY.format(table="sensors_measurement", interval_s=DENSE_INTERVAL_S)
_SPARSE = _HISTORY.format(table="sensors_sparsemeasurement", interval_s=SPARSE_INTERVAL_S)
_LATEST = """
    INSERT INTO sensors_latest (sensor, measured_at, gateway, rssi_dbm, payload, data_format)
    VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (sensor) DO UPDATE SET
        measured_at = excluded.measured_at, gateway = excluded.gateway,
        rssi_dbm = excluded.rssi_dbm, payload = excluded.payload,
        data_format = excluded.data_format
    WHERE excluded.measured_at > sensors_latest.measured_at
"""
_SEEN = """
    UPDATE gateways_gateway SET
        first_seen_at = coalesce(first_seen_at, ?4), connected_at = coalesce(connected_at, ?4),
        last_seen_at = ?4, last_address = '127.0.0.1', clock_offset_s = NULL,
        newest_nonce = CASE WHEN ?2 >= coalesce(newest_body_s, 0) THEN ?3 ELSE newest_nonce END,
        newest_body_s = max(coalesce(newest_body_s, 0), ?2)
    WHERE mac = ?1
"""


class SQLite:
    def __init__(self, file):
        self._connection = sqlite3.connect(file, isolation_level=None)
        # Those of ruuvinet.settings.
        self._connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "PRAGMA wal_autocheckpoint=8000; PRAGMA mmap_size=268435456;"
        )

    def packed(self, batch):
        history = [row[:5] for row in batch.rows]
        free = zip(history, batch.may_be_free, strict=True)
        return history, [row for row, may_be_free in free if may_be_free], batch.rows, batch.seen

    def commit(self, packed):
        history, sparse, latest, seen = packed
        at = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(_DENSE, history)
        self._connection.executemany(_SPARSE, sparse)
        self._connection.executemany(_LATEST, latest)
        self._connection.executemany(_SEEN, [(*post, at) for post in seen])
        self._connection.execute("COMMIT")


def _say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
