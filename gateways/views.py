"""The doors of the gateways and of those who decide about them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.internal import InternalView
from gateways import networks, proof, remote, services
from gateways import record as recording
from gateways.models import Gateway
from gateways.serializers import (
    BlacklistRequest,
    NetworkRequest,
    RegisterSensorRequest,
    WhitelistRequest,
    names_network,
    read_gateways,
)
from gateways.status import receive
from gateways.wire import MAX_BODY_BYTES
from ruuvinet.lib.api import InvalidMacAddress, Unauthorized
from ruuvinet.lib.mac import Mac
from ruuvinet.lib.views import success
from sensors.services import register_sensor


@csrf_exempt
def record(request: HttpRequest, secret: str = "") -> HttpResponse:
    """`POST /record`, as gateway firmware sends it."""
    return _answered(request, recording.record, secret)


@csrf_exempt
def status(request: HttpRequest, secret: str = "") -> HttpResponse:
    """`POST /status`, as gateway firmware sends it."""
    return _answered(request, receive, secret)


def configuration(request: HttpRequest, name: str = "") -> HttpResponse:
    """What a gateway downloads: `<MAC>.json`, the fallback, or the one that its header names."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    asked, named = _request(request, b""), _mac_of(name)
    if named:
        reply = remote.serve(named, asked)
    elif name in {"", "gw_cfg"}:
        reply = _by_header(_mac_of(request.headers.get("ruuvi-gw-mac", "")), asked)
    else:
        reply = recording.refuse(404, "There is no such configuration.", None)
    response = HttpResponse(reply.body, status=reply.status, headers=reply.headers)
    response["Content-Type"] = "application/json"
    return response


def _by_header(mac: Mac | None, asked: proof.Request) -> recording.Reply:
    """That of the gateway which a header names; the fallback when it has none or none is named."""
    reply = remote.serve(mac, asked)
    return remote.serve(None, asked) if mac and reply.status == 404 else reply


def _mac_of(text: str) -> Mac | None:
    digits = text.replace(":", "")
    if not re.fullmatch(r"[0-9A-Fa-f]{12}", digits):
        return None
    return Mac(int(digits, 16))


def _request(request: HttpRequest, body: bytes, secret: str = "") -> proof.Request:
    return proof.Request(
        body,
        request.headers,
        timezone.now(),
        request.META["REMOTE_ADDR"],
        request.META.get("QUERY_STRING", ""),
        secret.removesuffix("/"),
    )


def _answered(
    request: HttpRequest, receive: Callable[[proof.Request], recording.Reply], secret: str
) -> HttpResponse:
    if secret:
        request.path = request.path.removesuffix(secret)  # Django logs that of refused requests
    reply = _reply_to(request, receive, secret)
    response = HttpResponse(
        reply.body, status=reply.status, headers=reply.headers, content_type="application/json"
    )
    response["Content-Length"] = str(len(reply.body))  # the firmware sizes its buffer by it
    return response


def _reply_to(
    request: HttpRequest, receive: Callable[[proof.Request], recording.Reply], secret: str
) -> recording.Reply:
    if request.method != "POST":
        reply = recording.refuse(405, "Only POST.", None)
        return reply._replace(headers=reply.headers | {"Allow": "POST"})
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY_BYTES:
        return recording.refuse(413, "The body is too large.", "ER_INVALID_FORMAT")
    try:
        body = request.body
    except UnreadablePostError:
        return recording.refuse(400, "The body ended early.", "ER_INVALID_FORMAT")
    except RequestDataTooBig:
        return recording.refuse(413, "The body is too large.", "ER_INVALID_FORMAT")
    return receive(_request(request, body, secret))


class Whitelist(InternalView):
    def post(self, request: Request) -> Response:
        """Accept a gateway's posts, those of a list of gateways, or an address, from now on."""
        if names_network(request.data):
            return _decide_about_network(self, networks.allow)
        if isinstance(request.data, list):
            return self._whitelist_list(read_gateways(request.data))
        asked = self.asked(WhitelistRequest)
        (told,) = self._whitelist({asked["macAddress"]: asked["secret"]})
        return success({"gateway": told}, gateway=told["macAddress"], blockedAt=told["blockedAt"])

    def _whitelist_list(self, secrets: dict[str, str]) -> Response:
        told = self._whitelist(secrets)
        beside = [{"gateway": one["macAddress"], "blockedAt": one["blockedAt"]} for one in told]
        return success({"gateways": told}, gateways=beside)

    def _whitelist(self, secrets: dict[str, str]) -> list[dict[str, Any]]:
        """Secrets by MAC as written in; the gateways as they are told out."""
        self.about = ", ".join(secrets) if len(secrets) == 1 else f"{len(secrets)} gateways"
        gateways = services.whitelist_all(
            secrets={Mac.parse(text): secret for text, secret in secrets.items()},
            at=self.at,
            must_be_seen=settings.WHITELIST_SEEN_ONLY,
        )
        return [
            {"macAddress": text, "blockedAt": _unix(gateway.rejected_at) or None}
            for text, gateway in zip(secrets, gateways, strict=True)
        ]


class Blacklist(InternalView):
    def post(self, request: Request) -> Response:
        """Refuse a gateway's posts, or an address, from now on. May be repeated."""
        if names_network(request.data):
            return _decide_about_network(self, networks.block)
        mac = self.about = self.asked(BlacklistRequest)["macAddress"]
        services.blacklist(mac=Mac.parse(mac), at=self.at)
        return success({"gateway": mac}, gateway=mac)


class GatewayInfo(InternalView):
    refusal = Unauthorized

    def get(self, request: Request) -> Response:
        """How a gateway fares; Unix seconds, 0 for never, zeros for an unknown one."""
        text = self.about = request.query_params.get("gateway", "")
        try:
            mac = Mac.parse(text)
        except ValueError as error:
            self.about = ""
            raise InvalidMacAddress("Invalid MAC address format") from error
        gateway = Gateway.objects.filter(mac=mac).first() or Gateway(mac=mac)
        info = {
            "GatewayId": text,
            "Whitelisted": _unix(gateway.whitelisted_at),
            "Connected": _unix(gateway.connected_at),
            "Latest": _unix(gateway.last_seen_at),
            "InvalidSignatureTimestamp": _unix(gateway.rejected_at),
        }
        return success({"gateway": info})


class RegisterSensor(InternalView):
    def post(self, request: Request) -> Response:
        """Remember a sensor that was made, and its secret. 409 when another secret is known."""
        asked = self.asked(RegisterSensorRequest)
        mac = self.about = asked["macAddress"]
        register_sensor(mac=Mac.parse(mac), secret=asked["secret"])
        return success({"sensor": mac, "macAddress": mac})


def _decide_about_network(view: InternalView, decide: Callable[..., object]) -> Response:
    asked = view.asked(NetworkRequest)
    address = view.about = asked["ipAddress"]
    end = asked.get("expiresAt")
    decide(
        address,
        reason=asked.get("reason", ""),
        expires_at=None if end is None else datetime.fromtimestamp(end, UTC),
    )
    return success(asked, ipAddress=address)


def _unix(at: datetime | None) -> int:
    return int(at.timestamp()) if at else 0
