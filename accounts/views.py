"""The doors of people: sign-in, sessions, settings, leaving."""

from typing import Any

from django.conf import settings
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services, sign_in
from accounts.authentication import UserView
from accounts.internal import InternalView
from accounts.serializers import DeleteRequest, RegisterRequest, SettingRequest
from ruuvinet.lib.api import NotFound
from ruuvinet.lib.views import ApiView, success


class Register(ApiView):
    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if InternalView.header in request.headers:
            return _register_for_support(request, *args, **kwargs)
        return super().dispatch(request, *args, **kwargs)

    def post(self, request: Request) -> Response:
        """Mail a sign-in code. The same for people that are known and others.

        With `X-Internal-Secret` no mail is sent, and the answer holds the code.
        """
        email = self.asked(RegisterRequest)["email"]
        sign_in.send_code(email, address=request.META["REMOTE_ADDR"], at=timezone.now())
        return success({"email": email})


class RegisterForSupport(InternalView):
    def post(self, request: Request) -> Response:
        email = self.about = self.asked(RegisterRequest)["email"]
        return success({"email": email, "token": sign_in.code_for_support(email, at=self.at)})


_register_for_support = RegisterForSupport.as_view()


class Sessions(UserView):
    def get(self, request: Request) -> Response:
        sessions = [
            {
                "id": session.pk,
                "createdAt": int(session.created_at.timestamp()),
                "lastAccessed": int(session.last_used_at.timestamp()),
                "current": session == self.token,
            }
            for session in self.user.access_tokens.order_by("-last_used_at")
        ]
        return success({"sessions": sessions})

    def delete(self, request: Request) -> Response:
        """End all sessions, the caller's too."""
        self.user.access_tokens.all().delete()
        return success()


class Session(UserView):
    def delete(self, request: Request, session_id: int) -> Response:
        if not self.user.access_tokens.filter(pk=session_id).delete()[0]:
            raise NotFound("No such session.")
        return success()


class Settings(UserView):
    steady = True  # the web UI asks every minute

    def get(self, request: Request) -> Response:
        values: dict[str, str | int] = {}
        for setting in self.user.settings.order_by("name"):
            values[setting.name] = setting.value
            values[f"{setting.name}_lastUpdated"] = int(setting.edited_at.timestamp())
        return success({"settings": values}, status="success")

    def post(self, request: Request) -> Response:
        asked = self.asked(SettingRequest)
        action = services.save_setting(
            user=self.user,
            name=asked["name"],
            value=asked["value"],
            timestamp=asked.get("timestamp"),
            now=timezone.now(),
        )
        return success({"action": action}, status="success")


class RequestDelete(UserView):
    def post(self, request: Request) -> Response:
        """Mail a link that deletes the account."""
        email = self.asked(DeleteRequest)["email"]
        services.request_deletion(user=self.user, email=email, at=timezone.now())
        return success({"email": email})


class AirFirmwareUpdate(ApiView):
    def get(self, request: Request) -> Response:
        """Firmware of Ruuvi Air: there is none here, so the apps offer none."""
        return success({"latest": None, "beta": None, "alpha": None})


class AppleAppSiteAssociation(ApiView):
    def get(self, request: Request) -> Response:
        """Tells iOS to open the links in our mails in the app IOS_APP_ID, if one is set."""
        details = [{"appID": settings.IOS_APP_ID, "paths": ["/verify", "/verify/*"]}]
        return Response(
            {"applinks": {"apps": [], "details": details if settings.IOS_APP_ID else []}}
        )
