"""Remote configuration: the document that a gateway downloads, and who may read it."""

import json
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from gateways import configuration, record
from gateways.configuration import Document
from gateways.models import Credential, Gateway, GatewayGroup, ServedConfiguration
from gateways.notes import Note
from gateways.proof import Request, find, presents_any
from gateways.record import Reply, refuse
from gateways.services import note_credential_used
from gateways.storage import known_credential
from ruuvinet.lib.mac import Mac

Kind = Credential.Kind
# Which credential fills which keys, by what `http_auth` or `remote_cfg_auth_type` says.
_DATA = {
    "basic": (Kind.BASIC, "http_user", "http_pass"),
    "bearer": (Kind.BEARER, "", "http_bearer_token"),
    "token": (Kind.TOKEN, "", "http_api_key"),
    "api_key": (Kind.API_KEY, "", "http_api_key"),
}
_REMOTE = {
    "basic": (Kind.BASIC, "remote_cfg_auth_basic_user", "remote_cfg_auth_basic_pass"),
    "bearer": (Kind.BEARER, "", "remote_cfg_auth_bearer_token"),
}


def serve(mac: Mac | None, request: Request) -> Reply:
    """The configuration of the gateway `mac`; None: of a gateway that is to have the fallback.

    401: it needs a credential, or the one presented is wrong; 404: there is none; 429: too many
    wrong ones from there.
    """
    gateway, group = _owner(mac)
    template = group.template if group else ""
    if not template and not (gateway and gateway.overrides):
        return refuse(404, "There is no configuration for this gateway.", None)
    credentials = _credentials(gateway, group, request.received_at)
    document = _document(gateway, template, credentials)
    address = gateway.last_address if gateway else None
    if fault := _fault(request, credentials, document, address):
        return fault
    try:
        configuration.ensure_valid(document)
    except ValueError as error:  # the keys may have changed since it was saved
        return refuse(404, f"The configuration is not valid. {error}", None)
    _note_served(gateway, group, document, request.received_at)
    return Reply(200, json.dumps(document, indent=2).encode(), {"Cache-Control": "no-store"})


def _owner(mac: Mac | None) -> tuple[Gateway | None, GatewayGroup | None]:
    if mac is None:
        return None, GatewayGroup.objects.filter(is_fallback=True).first()
    gateway = Gateway.objects.whitelisted().filter(mac=mac).select_related("group").first()
    return gateway, gateway.group if gateway else None


def _credentials(
    gateway: Gateway | None, group: GatewayGroup | None, at: datetime
) -> list[Credential]:
    """Of the gateway first, then of its group; the newest first."""
    active = Credential.objects.active(at)
    found = active.of(gateway) if gateway else active.filter(group=group)
    return sorted(found.order_by("-created_at"), key=lambda one: one.gateway_id is None)


def _document(gateway: Gateway | None, template: str, credentials: list[Credential]) -> Document:
    overrides = json.loads(gateway.overrides or "{}") if gateway else {}
    document = {"remote_cfg_use": True, **json.loads(template or "{}"), **overrides}
    posts = [one for one in credentials if one.purpose == Credential.Purpose.POSTS]
    remote = [one for one in credentials if one.purpose == Credential.Purpose.CONFIGURATION]
    _fill(document, posts, _DATA.get(document.get("http_auth", "")))
    _fill(document, remote, _REMOTE.get(document.get("remote_cfg_auth_type", "")))
    if document.get("http_stat_url"):
        _fill(document, posts, (Kind.BASIC, "http_stat_user", "http_stat_pass"))
    return document


def _fill(
    document: Document, credentials: list[Credential], wanted: tuple[str, str, str] | None
) -> None:
    """Fill in the newest credential that can be read, unless the document says its own."""
    if wanted is None or document.get(wanted[2]):
        return
    kind, user_key, secret_key = wanted
    for credential in credentials:
        if credential.kind == kind and credential.secret:
            document[secret_key] = credential.secret
            if user_key:
                document[user_key] = credential.name
            return


def _fault(
    request: Request, credentials: list[Credential], document: Document, last_address: str | None
) -> Reply | None:
    """The refusal, unless the request may read `document`.

    `last_address`: where the gateway last posted from, so that nobody beside it slows it down.
    """
    asked = [one for one in credentials if one.purpose == Credential.Purpose.CONFIGURATION]
    address, at = request.address, request.received_at
    is_slowed = record.GUESSES.are_too_many(address, at) and address != last_address
    known = [one for one in map(known_credential, asked) if one]
    examined = [one for one in known if not (is_slowed and one.is_chosen)]
    used = find(examined, request)
    if used:
        given: dict[str, Any] = {"credential_id": used.id, "address": address}
        Note(used.id, note_credential_used, given, at).write()
        return None
    is_presented = presents_any(known, request)
    if not (asked or is_presented or configuration.holds_secrets(document)):
        return None
    if is_presented:
        record.GUESSES.add(address, at)
        reason = Gateway.Rejection.CREDENTIAL
    else:
        reason = Gateway.Rejection.NO_CREDENTIAL
    return record.refusal(record.Rejected(Mac(0), reason, request, is_slowed=is_slowed))


@transaction.atomic
def _note_served(
    gateway: Gateway | None, group: GatewayGroup | None, document: Document, at: datetime
) -> None:
    """Keep each version that was served, and when it last was."""
    owner = {"gateway": gateway} if gateway else {"group": group}
    if gateway:  # two must not both make the next version
        Gateway.objects.select_for_update().get(pk=gateway.pk)
    elif group:
        GatewayGroup.objects.select_for_update().get(pk=group.pk)
    newest = ServedConfiguration.objects.filter(**owner).order_by("-version").first()
    text = json.dumps(document)
    if newest and newest.document == text:
        ServedConfiguration.objects.filter(pk=newest.pk).update(
            last_served_at=at, times=F("times") + 1
        )
        return
    version = newest.version + 1 if newest else 1
    ServedConfiguration.objects.create(
        **owner, version=version, document=text, first_served_at=at, last_served_at=at, times=1
    )
