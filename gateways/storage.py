"""The SQL around each post: what is known of its gateway, and that it was seen.

One statement each, however many posts there are.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
import psycopg
from django.conf import settings
from django.db import connection

from gateways.models import Credential
from gateways.proof import Known, KnownCredential, digest_of
from ruuvinet.lib.crypto import decrypted, encrypted
from ruuvinet.lib.mac import Mac


class Seen(NamedTuple):
    """What some accepted posts of one gateway say: the newest, and counts of all of them."""

    mac: int
    at: datetime
    address: str | None
    clock_offset_s: int | None
    bad_tags: int
    late_readings: int
    sent_at_s: int | None  # of the newest body, by the gateway's clock while that is right
    nonce: int | None
    replays: int  # bodies that are not newer than the one before

    def after(self, before: "Seen") -> "Seen":
        """Both together; `before` was received earlier."""
        is_replay = None not in (self.sent_at_s, before.sent_at_s) and (
            (self.sent_at_s or 0) < (before.sent_at_s or 0)
            or (self.sent_at_s, self.nonce) == (before.sent_at_s, before.nonce)
        )
        newest = before if is_replay or self.sent_at_s is None else self
        told_by = before if is_replay else self
        return self._replace(
            at=told_by.at,
            address=told_by.address,
            clock_offset_s=told_by.clock_offset_s,
            bad_tags=self.bad_tags + before.bad_tags,
            late_readings=self.late_readings + before.late_readings,
            sent_at_s=newest.sent_at_s,
            nonce=newest.nonce,
            replays=before.replays + is_replay,
        )


# Of a body that came again nothing is believed: whoever captured it may have sent it.
_IS_REPLAY = """
    ({sent_at_s} < newest_body_s OR {sent_at_s} = newest_body_s AND {nonce} = newest_nonce)
"""
_UPDATE = """
    UPDATE gateways_gateway SET
        first_seen_at = COALESCE(first_seen_at, {at}),
        connected_at = CASE
            WHEN {is_replay} THEN connected_at ELSE COALESCE(connected_at, {at}) END,
        last_seen_at = CASE WHEN {is_replay} THEN last_seen_at ELSE {at} END,
        last_address = CASE WHEN {is_replay} THEN last_address ELSE {address} END,
        clock_offset_s = CASE
            WHEN {is_replay} THEN gateways_gateway.clock_offset_s ELSE {clock_offset_s} END,
        bad_tags = gateways_gateway.bad_tags + {bad_tags},
        late_readings = gateways_gateway.late_readings + {late_readings},
        replays = gateways_gateway.replays + {replays} + CASE WHEN {is_replay} THEN 1 ELSE 0 END,
        newest_nonce = CASE
            WHEN {sent_at_s} >= COALESCE(newest_body_s, 0) THEN {nonce} ELSE newest_nonce END,
        newest_body_s = CASE
            WHEN {sent_at_s} >= COALESCE(newest_body_s, 0) THEN {sent_at_s} ELSE newest_body_s END
    {where}
"""
# Locked in the order of the gateways, so that transactions never lock crosswise.
_LOCKED = """
    FROM json_to_recordset(%s) AS seen (
        mac int8, at timestamptz, address inet, clock_offset_s int8, bad_tags int8,
        late_readings int8, sent_at_s int8, nonce int8, replays int8
    )
    JOIN (
        SELECT mac FROM gateways_gateway WHERE mac = ANY(%s) ORDER BY mac FOR NO KEY UPDATE
    ) AS locked ON locked.mac = seen.mac
    WHERE gateways_gateway.mac = locked.mac
"""


def _update(where: str, field: str) -> str:
    """The statement with its values named as `field` says, such as `seen.{}`."""
    values = {name: field.format(name) for name in Seen._fields}
    return _UPDATE.format(where=where, is_replay=_IS_REPLAY.format(**values), **values)


_ROW = _update("WHERE mac = %(mac)s", "%({})s")
_ALL = _update(_LOCKED, "seen.{}")


def write(seen: Sequence[Seen]) -> None:
    """Update the rows of gateways, each at most once in `seen`, ordered by MAC.

    Runs in the caller's transaction.
    """
    if connection.vendor == "postgresql":
        _write_at_once(seen)
    else:
        _write_rows(seen)


def whitelist(secrets: Mapping[Mac, str], at: datetime) -> None:
    """Whitelist gateways whose rows are there, with the signing secret of each.

    Runs in the caller's transaction.
    """
    since = connection.ops.adapt_datetimefield_value(at)
    with connection.cursor() as cursor:
        cursor.executemany(
            _WHITELIST, [(encrypted(secret), since, int(mac)) for mac, secret in secrets.items()]
        )


def _write_rows(seen: Sequence[Seen]) -> None:
    adapt = connection.ops.adapt_datetimefield_value
    rows = [row._asdict() | {"at": adapt(row.at)} for row in seen]
    with connection.cursor() as cursor:
        cursor.executemany(_ROW, rows)


def _write_at_once(seen: Sequence[Seen]) -> None:
    rows = msgspec.json.encode([row._asdict() for row in seen]).decode()
    macs = [row.mac for row in seen]
    # Not through Django's cursor, which would ask for the number of rows and so wait for it.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(_ALL, [rows, macs])


_WHITELIST = """
    UPDATE gateways_gateway
    SET secret = %s, whitelisted_at = %s, blacklisted_at = NULL, connected_at = NULL
    WHERE mac = %s
"""
# A policy that asks for no credential does not read any.
_READ = """
    SELECT
        g.mac, g.secret, g.offered_secret, g.previous_secret, g.key_state,
        COALESCE(NULLIF(g.policy, ''), NULLIF(t.policy, ''), %s) AS policy,
        COALESCE(g.period_s, t.period_s), g.last_seen_at, g.last_address,
        g.newest_body_s, c.id, c.kind, c.name, c.digest, c.secret, c.last_used_at
    FROM gateways_gateway g
    LEFT JOIN gateways_gatewaygroup t ON t.id = g.group_id
    LEFT JOIN gateways_credential c ON
        (c.gateway_id = g.mac OR c.group_id = g.group_id)
        AND COALESCE(NULLIF(g.policy, ''), NULLIF(t.policy, ''), %s) <> 'signature'
        AND c.purpose = 'posts' AND c.revoked_at IS NULL
        AND (c.expires_at IS NULL OR c.expires_at > %s)
    WHERE g.whitelisted_at IS NOT NULL AND g.mac IN ({})
    ORDER BY g.mac
"""


def read(macs: Collection[Mac], at: datetime) -> dict[Mac, Known]:
    """What is known of those of `macs` that are whitelisted, in one query."""
    policy = settings.GATEWAY_POLICY
    given = [policy, policy, connection.ops.adapt_datetimefield_value(at), *map(int, macs)]
    with connection.cursor() as cursor:
        cursor.execute(_READ.format(",".join(["%s"] * len(macs))), given)
        rows = cursor.fetchall()
    return {Mac(mac): _known(list(found)) for mac, found in groupby(rows, lambda row: row[0])}


def _known(rows: Sequence[Any]) -> Known:
    _, own, offered, previous, key_state, policy, period_s, last_seen_at, address, newest = rows[0][
        :10
    ]
    keys = [_plain(stored) for stored in (offered, previous, own)]
    return Known(
        keys=tuple(dict.fromkeys(key for key in keys if key)),
        policy=policy,
        credentials=tuple(_credentials(rows)),
        period_s=period_s,
        offered_key=keys[0],
        key_state=key_state,
        last_seen_at=_aware(last_seen_at),
        last_address=address,
        newest_body_s=newest,
    )


def _credentials(rows: Sequence[Any]) -> Iterator[KnownCredential]:
    for key, kind, name, digest, secret, last_used_at in (row[10:] for row in rows):
        if key is not None:
            known = _known_as(key, kind, name, digest, _plain(secret), _aware(last_used_at))
            if known:
                yield known


def known_credential(row: Credential) -> KnownCredential | None:
    """What is needed to examine a credential; None when its secret cannot be read any more."""
    return _known_as(row.pk, row.kind, row.name, row.digest, row.secret, row.last_used_at)


def _known_as(
    key: int, kind: str, name: str, digest: Any, plain: str, last_used_at: datetime | None
) -> KnownCredential | None:
    if not plain and digest is None:  # lost with its key: it lets nobody in
        return None
    known = bytes(digest) if digest is not None else digest_of(kind, name, plain)
    # The subject of a certificate is chosen too, but the proxy has verified who presents it.
    is_chosen = bool(plain) and kind != Credential.Kind.SUBJECT
    return KnownCredential(key, kind, name, known, is_chosen, last_used_at)


def _plain(stored: str) -> str:
    return _decrypted(stored, tuple(settings.ENCRYPTION_KEYS)) if stored else ""


@lru_cache(50_000)  # a gateway is looked up for nearly every post
def _decrypted(stored: str, _keys: tuple[str, ...]) -> str:
    return decrypted(stored)


def _aware(value: datetime | None) -> datetime | None:
    """SQLite's times come without their zone, which is UTC."""
    return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value
