"""Alerts to a server of a person's own: JSON, signed, and never into our own network.

The name is resolved once and the connection goes to the address that was checked, so that a name
which changes in between cannot lead us elsewhere. Redirects are not followed.
"""

import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from ruuvinet.lib.http import normal_address

from .base import DeliveryError, Destination, Notification, Transport
from .fcm import retry_after_s

TIMEOUT_S = 10.0  # of connecting and of each wait
ALL_IN_S = 20.0  # of everything: a server that drips must not keep a sender
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # the only part of IPv6 that is the internet


class Webhook(Transport):
    """POST to a person's own URL; `destination.secret` signs."""

    senders = 16
    each = 2  # each address is somebody else's server: one that hangs must not delay the others

    def send(self, notification: Notification, destination: Destination) -> None:
        """Post one notification. Raises DeliveryError."""
        url = urlsplit(destination.address)
        body = json.dumps(document_for(notification), ensure_ascii=False).encode()
        sent_at = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "RuuviNet",
            "X-RuuviNet-Event": notification.collapse_key,
            "X-RuuviNet-Timestamp": str(sent_at),
            "X-RuuviNet-Signature": signature(destination.secret, sent_at, body),
        }
        try:
            status, retry_after = _post(url, body, headers)
        except (OSError, HTTPException, ValueError) as error:
            late = isinstance(error, TimeoutError)
            what = "did not answer in time" if late else "could not be reached"
            raise DeliveryError(f"the server {what}", permanent=False) from error
        _judge(status, retry_after)


def ensure_url(text: str) -> None:
    """Raises ValueError for a URL that alerts will never be posted to, with the reason.

    A name is not resolved: where it leads is checked each time something is sent.
    """
    url = urlsplit(text)
    if not url.hostname or not _may_use(url) or not (text.isascii() and text.isprintable()):
        raise ValueError("the URL is not one of https")
    if url.username is not None or url.password is not None:
        raise ValueError("the URL must hold no user name and no password")
    if url.port == 0:  # raises ValueError for what is no port
        raise ValueError("the port is 0")
    if _is_address(url.hostname) and not _may_reach(url.hostname):
        raise ValueError("the address is not a public one")


def document_for(notification: Notification) -> dict[str, object]:
    """What is posted. Values are in the unit of the API, whatever the person reads."""
    return {
        "id": notification.collapse_key,
        "type": "alert",
        "time": notification.opened_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "late": notification.is_late,
        "sensor": notification.sensor_mac,
        "name": notification.name,
        "alertType": notification.alert_type,
        "trigger": notification.trigger,
        "value": notification.base_value,
        "threshold": notification.base_threshold,
        "description": notification.description,
        "text": notification.title,
    }


def signature(secret: str, sent_at: int, body: bytes) -> str:
    """`sha256=` and the hex HMAC of `<sent_at>.<body>`; the time keeps old posts from returning."""
    signed = f"{sent_at}.".encode() + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _post(url: SplitResult, body: bytes, headers: dict[str, str]) -> tuple[int, str | None]:
    """Status and Retry-After of the answer, whose body nobody reads."""
    secure = url.scheme == "https"
    if not url.hostname or not _may_use(url):
        raise _refused("the URL is not one of https")
    port = url.port or (443 if secure else 80)
    connection = _Pinned(_checked_address(url.hostname, port), url.hostname, port, secure=secure)
    alarm = threading.Timer(ALL_IN_S, connection.shut)
    alarm.start()
    try:
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.http.request("POST", path, body, headers)
        with connection.http.getresponse() as response:
            return response.status, response.getheader("Retry-After")
    finally:
        alarm.cancel()
        connection.http.close()


class _Pinned:
    """A connection to a host by an address that was chosen before."""

    def __init__(self, address: str, host: str, port: int, *, secure: bool) -> None:
        self.raw: socket.socket | None = None

        def connect(_: object, timeout: float | None, source: object) -> socket.socket:
            self.raw = socket.create_connection((address, port), timeout)
            return self.raw

        if secure:
            context = ssl.create_default_context()
            self.http: HTTPConnection = HTTPSConnection(
                host, port, timeout=TIMEOUT_S, context=context
            )
        else:
            self.http = HTTPConnection(host, port, timeout=TIMEOUT_S)
        self.http._create_connection = connect  # type: ignore[attr-defined]  # the one way to pin it

    def shut(self) -> None:
        sock = self.http.sock or self.raw
        if sock is not None:
            with suppress(OSError):  # the other side hung up meanwhile
                sock.shutdown(socket.SHUT_RDWR)


def _checked_address(host: str, port: int) -> str:
    """One address of `host`, all of which must be public. Raises DeliveryError, OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not all(map(_may_reach, addresses)):
        raise _refused("the server's address is not a public one")
    return addresses[0]


def _may_use(url: SplitResult) -> bool:
    return url.scheme == "https" or (url.scheme == "http" and settings.WEBHOOK_PRIVATE_ADDRESSES)


def _may_reach(address: str) -> bool:
    return settings.WEBHOOK_PRIVATE_ADDRESSES or is_public(address)


def _is_address(host: str) -> bool:
    return bool(normal_address(host))


def is_public(address: str) -> bool:
    """Whether `address` is on the internet, also when it is wrapped into another."""
    ip = ip_address(normal_address(address) or "0.0.0.0")  # noqa: S104  # what is none is refused
    if isinstance(ip, IPv6Address) and (ip.sixtofour or ip.teredo or ip not in _GLOBAL_UNICAST):
        return False  # the first two may end at any IPv4 address, and so may some of the others
    return ip.is_global and not ip.is_multicast


def _refused(why: str) -> DeliveryError:
    return DeliveryError(why, permanent=True)


def _judge(status: int, retry_after: str | None) -> None:
    if 200 <= status < 300:
        return
    if status == 410:
        raise DeliveryError("the server wants no more (410)", permanent=True, retire_address=True)
    temporary = status in (408, 425, 429) or status >= 500
    after = retry_after_s(retry_after, now=datetime.now(tz=UTC))
    raise DeliveryError(
        f"the server answered {status}", permanent=not temporary, retry_after_s=after
    )
