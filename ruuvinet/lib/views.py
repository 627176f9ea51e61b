"""What every JSON endpoint does."""

from collections.abc import Mapping
from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from ruuvinet.lib.api import success_body


class ApiView(APIView):
    """An endpoint in three lines: `asked` translates in, one verb, `success` translates out."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "OPTIONS":  # a browser asks without a token, and as often as it likes
            super().initial(request, *args, **kwargs)

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]  # as DRF's own
        return success()

    def asked(self, shape: type[Serializer[Any]]) -> dict[str, Any]:
        """The valid body, or query of a GET. Raises ValidationError, MissingArgument."""
        request = self.request
        given = request.query_params.dict() if request.method == "GET" else request.data
        serializer = shape(data=given)
        serializer.is_valid(raise_exception=True)
        return cast(dict[str, Any], serializer.validated_data)


def success(data: Mapping[str, Any] | None = None, **beside: Any) -> Response:
    """200 with the envelope around `data`."""
    return Response(success_body(data, **beside))
