"""Whose edit wins: clients say when each edit was made, and an older one never replaces a newer."""

from datetime import UTC, datetime, timedelta

from ruuvinet.lib.api import DomainError

MAX_AHEAD = timedelta(minutes=5)


class NewerExists(DomainError):
    status = 409
    code = "ER_CONFLICT"
    sub_code = "ER_OLD_ENTRY"

    def __init__(self, message: str = "Newer setting already exists") -> None:
        super().__init__(message)


def edit_time(timestamp: int | None, *, stored: datetime | None, now: datetime) -> datetime:
    """When an edit was made, to the second. Raises NewerExists if `stored` is later.

    `timestamp` is the client's, in Unix seconds: None means now, and so does more than MAX_AHEAD
    and, for what was never stored, 0, with which Android posts what nobody edited yet.
    """
    edited_at = now.replace(microsecond=0)
    if timestamp == 0 and stored is None:
        timestamp = None
    if timestamp is not None and timestamp <= int((now + MAX_AHEAD).timestamp()):
        edited_at = datetime.fromtimestamp(timestamp, UTC)
    if stored is not None and int(stored.timestamp()) > int(edited_at.timestamp()):
        raise NewerExists
    return edited_at
