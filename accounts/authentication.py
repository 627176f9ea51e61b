"""Who is calling the user API."""

from typing import Any, cast

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

from accounts.models import AccessToken, User
from accounts.services import use_token
from ruuvinet.lib.views import ApiView


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`, or the bare token, which iOS sends."""

    def authenticate(self, request: Request) -> tuple[User, AccessToken] | None:
        header = request.headers.get("Authorization", "").strip()
        if not header:
            return None
        scheme, _, rest = header.partition(" ")
        token = use_token(rest.strip() if scheme.lower() == "bearer" else header, timezone.now())
        if token is None:
            raise AuthenticationFailed
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Makes a refusal 401; "Basic" would open the browser's own sign-in window."""
        return "Bearer"


class UserView(ApiView):
    """An endpoint for people who signed in. Everybody else is answered 401."""

    authentication_classes = [BearerAuthentication]
    permission_classes = [IsAuthenticated]

    @property
    def user(self) -> User:
        return cast(User, self.request.user)

    @property
    def token(self) -> AccessToken:
        """The session that the caller uses."""
        return cast(Any, self.request.auth)  # type: ignore[no-any-return]
