"""Lists of gateways that an operator wants whitelisted at once: read, judged, then done.

A line is `AA:BB:CC:DD:EE:FF,key` or `AA:BB:CC:DD:EE:FF,key,name`; the first may be a header.
"""

import csv
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from io import StringIO
from typing import NamedTuple

from django.db import transaction
from django.utils.translation import gettext as _

from gateways.models import Gateway
from gateways.services import ensure_secret, whitelist_new
from ruuvinet.lib.mac import Mac

MAX_LINES = 1000  # in one transaction, which others wait for; import_gateways takes any number
_HEADERS = {"mac", "macaddress", "mac address"}


class Fate(StrEnum):
    """What will happen to a line."""

    WHITELIST = "whitelist"
    NAME = "name"
    NOTHING = "nothing"
    FAULT = "fault"


class Line(NamedTuple):
    """A line, counted from 1, and what is to become of it; `mac` is None for one that is no entry."""

    number: int
    mac: Mac | None
    key: str
    name: str
    fate: Fate
    says: str


def preview(text: str) -> list[Line]:
    """What `confirm` would do with the lines of `text`. One query. Raises ValueError for too many."""
    lines = _read(text)
    if len(lines) > MAX_LINES:
        raise ValueError(_("These are more than %d lines.") % MAX_LINES)
    known = Gateway.objects.in_bulk({line.mac for line in lines if line.mac is not None})
    return [_judged(line, known.get(line.mac) if line.mac else None) for line in lines]


@transaction.atomic
def confirm(text: str, at: datetime) -> list[Line]:
    """Whitelist and name what `preview` says, as it is now; returns its lines."""
    lines = preview(text)
    secrets = {line.mac: line.key for line in lines if line.mac and line.fate == Fate.WHITELIST}
    whitelist_new(secrets=secrets, at=at)
    names = {
        line.mac: line.name for line in lines if line.mac and line.fate != Fate.FAULT and line.name
    }
    named = list(Gateway.objects.filter(mac__in=names).only("mac", "name"))
    for gateway in named:
        gateway.name = names[gateway.mac]
    Gateway.objects.bulk_update(named, ["name"])
    return lines


def _read(text: str) -> list[Line]:
    rows = csv.reader(StringIO(text.lstrip("\ufeff")), skipinitialspace=True)
    found: list[Line] = []
    for number, row in enumerate(_rows(rows), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and cells[0].lower() in _HEADERS):
            continue
        found.append(_parsed(number, cells, {line.mac for line in found}))
    return found


def _rows(rows: Iterable[list[str]]) -> Iterable[list[str]]:
    try:
        yield from rows
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _parsed(number: int, cells: list[str], before: set[Mac | None]) -> Line:
    mac, key, name = [*cells, "", ""][:3]
    fault = Line(number, None, "", "", Fate.FAULT, "")
    if len(cells) not in (2, 3):
        return fault._replace(says=_("expected the address, the key and perhaps a name"))
    try:
        address = Mac.parse(mac)
    except ValueError:
        return fault._replace(says=_("a MAC address looks like AA:BB:CC:DD:EE:FF"))
    fault = fault._replace(mac=address, name=name)
    try:
        ensure_secret(key)
    except ValueError as error:
        return fault._replace(says=str(error))
    if address in before:
        return fault._replace(says=_("is listed before"))
    if len(name) > Gateway.MAX_NAME:
        return fault._replace(says=_("a name has at most %d characters") % Gateway.MAX_NAME)
    return Line(number, address, key, name, Fate.WHITELIST, "")


def _judged(line: Line, gateway: Gateway | None) -> Line:
    if line.fate == Fate.FAULT:
        return line
    if gateway is None:
        return line._replace(says=_("will be whitelisted; it has not knocked yet"))
    if gateway.whitelisted_at is None:
        was = _("it waits") if gateway.blacklisted_at is None else _("it is blacklisted now")
        return line._replace(says=_("will be whitelisted; %s") % was)
    if gateway.secret != line.key:
        return line._replace(
            fate=Fate.FAULT,
            says=_("is whitelisted with another key, which stays: blacklist it first"),
        )
    if line.name and line.name != gateway.name:
        return line._replace(fate=Fate.NAME, says=_("is whitelisted already; gets this name"))
    return line._replace(fate=Fate.NOTHING, says=_("is whitelisted already"))
