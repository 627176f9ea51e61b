"""The doors of the gateways and of those who decide about them."""

from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response

from gateways import record as recording
from gateways import services
from gateways.models import Gateway
from gateways.serializers import BlacklistRequest, RegisterSensorRequest, WhitelistRequest
from gateways.wire import MAX_BODY_BYTES
from ruuvinet.lib.api import (
    Forbidden,
    InvalidMacAddress,
    Unauthorized,
    secret_matches,
    success_body,
)
from ruuvinet.lib.mac import Mac
from ruuvinet.lib.views import ApiView
from sensors.services import register_sensor


@csrf_exempt
def record(request: HttpRequest) -> HttpResponse:
    """`POST /record`, as gateway firmware sends it."""
    reply = _reply_to(request)
    response = HttpResponse(
        reply.body, status=reply.status, headers=reply.headers, content_type="application/json"
    )
    response["Content-Length"] = str(len(reply.body))  # the firmware sizes its buffer by it
    return response


def _reply_to(request: HttpRequest) -> recording.Reply:
    if request.method != "POST":
        reply = recording.refuse(405, "Only POST.", None)
        return reply._replace(headers=reply.headers | {"Allow": "POST"})
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY_BYTES:
        return recording.refuse(413, "The body is too large.", "ER_INVALID_FORMAT")
    try:
        body = request.body
    except UnreadablePostError:
        return recording.refuse(400, "The body ended early.", "ER_INVALID_FORMAT")
    return recording.record(
        body=body,
        headers=request.headers,
        received_at=timezone.now(),
        address=request.META["REMOTE_ADDR"],
    )


class InternalView(ApiView):
    """Guarded by `X-Internal-Secret`; an unset INTERNAL_SECRET lets nobody in."""

    refusal: type[Forbidden] | type[Unauthorized] = Forbidden

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        if not secret_matches(request.headers.get("X-Internal-Secret"), settings.INTERNAL_SECRET):
            raise self.refusal("Invalid credentials.")


class Whitelist(InternalView):
    def post(self, request: Request) -> Response:
        """Accept a gateway's posts from now on. 409 when it is whitelisted already."""
        asked = WhitelistRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        mac = asked.validated_data["macAddress"]
        gateway = services.whitelist(
            mac=Mac.parse(mac), secret=asked.validated_data["secret"], at=timezone.now()
        )
        blocked_at = _unix(gateway.rejected_at) or None
        return Response(
            success_body(
                {"gateway": {"macAddress": mac, "blockedAt": blocked_at}},
                gateway=mac,
                blockedAt=blocked_at,
            )
        )


class Blacklist(InternalView):
    def post(self, request: Request) -> Response:
        """Refuse a gateway's posts from now on. May be repeated."""
        asked = BlacklistRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        mac = asked.validated_data["macAddress"]
        services.blacklist(mac=Mac.parse(mac), at=timezone.now())
        return Response(success_body({"gateway": mac}, gateway=mac))


class GatewayInfo(InternalView):
    refusal = Unauthorized

    def get(self, request: Request) -> Response:
        """How a gateway fares; Unix seconds, 0 for never, zeros for an unknown one."""
        text = request.query_params.get("gateway", "")
        try:
            mac = Mac.parse(text)
        except ValueError as error:
            raise InvalidMacAddress("Invalid MAC address format") from error
        gateway = Gateway.objects.filter(mac=mac).first() or Gateway(mac=mac)
        info = {
            "GatewayId": text,
            "Whitelisted": _unix(gateway.whitelisted_at),
            "Connected": _unix(gateway.connected_at),
            "Latest": _unix(gateway.last_seen_at),
            "InvalidSignatureTimestamp": _unix(gateway.rejected_at),
        }
        return Response(success_body({"gateway": info}))


class RegisterSensor(InternalView):
    def post(self, request: Request) -> Response:
        """Remember a sensor that was made, and its secret. 409 when another secret is known."""
        asked = RegisterSensorRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        mac = asked.validated_data["macAddress"]
        register_sensor(mac=Mac.parse(mac), secret=asked.validated_data["secret"])
        return Response(success_body({"sensor": mac, "macAddress": mac}))


def _unix(at: datetime | None) -> int:
    return int(at.timestamp()) if at else 0
