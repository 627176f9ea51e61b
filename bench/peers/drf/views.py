import hmac

from django.utils import timezone
from rest_framework.response import Response
from rest_framework.views import APIView

from bench.peers.drf.models import Gateway
from bench.peers.drf.serializers import BodySerializer
from bench.peers.drf.services import store


class Record(APIView):
    def post(self, request):
        body = request.body  # before DRF reads the stream
        serializer = BodySerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        upload = serializer.validated_data["data"]
        gateway = Gateway.objects.filter(mac=upload["gw_mac"], whitelisted_at__isnull=False).first()
        if gateway is None or not is_signed(request, body, gateway.secret):
            return Response({"result": "error", "error": "Unauthorized request."}, status=403)
        store(
            gateway=gateway,
            tags=upload["tags"],
            address=request.META["REMOTE_ADDR"],
            at=timezone.now(),
        )
        return Response({"result": "success"}, headers={"X-Ruuvi-Gateway-Rate": "60"})


def is_signed(request, body, secret):
    given = request.headers.get("Ruuvi-HMAC-SHA256", "").lower()
    expected = hmac.digest(secret.encode(), body, "sha256").hex()
    return hmac.compare_digest(expected.encode(), given.encode())
