"""The links that mails hold. Apps get JSON; a browser gets a page, whose button does the deed."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation.trans_real import parse_accept_lang_header
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.mail import LANGUAGES
from accounts.sign_in import LinkRefused
from ruuvinet import services
from ruuvinet.lib.views import ApiView, success


class MailedLink(ApiView):
    """`?token=`, or the token as the rest of the path. HEAD is refused: mail scanners send it."""

    http_method_names = ["get", "post", "options"]

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Cache-Control"] = "no-store"  # it holds a code or a session
        return answer

    def code(self, token: str | None) -> str:
        """The code in the link. Raises LinkRefused unless it is of letters and digits."""
        code = token or self.request.query_params.get("token", "")
        if not (code.isascii() and code.isalnum()):
            raise LinkRefused
        return code

    def is_browser(self) -> bool:
        return "text/html" in self.request.headers.get("Accept", "")

    def page(self, name: str, *, status: int = 200, **context: object) -> HttpResponse:
        """A page in the first language of the browser's that we speak."""
        asked = parse_accept_lang_header(self.request.headers.get("Accept-Language", "").lower())
        spoken = [tag[:2] for tag, _ in asked if tag[:2] in LANGUAGES]
        template = f"pages/{(spoken or LANGUAGES)[0]}/{name}.html"
        return render(self.request, template, context, status=status)


class Verify(MailedLink):
    def get(self, request: Request, token: str | None = None) -> HttpResponseBase:
        """Sign in with a mailed code. A browser is shown the code instead."""
        if not self.is_browser():
            return self.sign_in(self.code(token))
        try:
            code = self.code(token)
        except LinkRefused:
            return self.page("refused", status=403)
        return self.page("verify", code=code.upper(), station_url=settings.STATION_URL)

    def post(self, request: Request, token: str | None = None) -> HttpResponseBase:
        """The page's button: on to the web UI, which signs in. Apps: as GET."""
        code = self.code(token)
        if self.is_browser() and settings.STATION_URL:
            return HttpResponseRedirect(
                f"{settings.STATION_URL}/?{urlencode({'token': code})}", status=303
            )
        return self.sign_in(code)

    def sign_in(self, code: str) -> Response:
        address = self.request.META["REMOTE_ADDR"]
        signed_in = services.sign_in(code=code, address=address, at=timezone.now())
        return success(
            {
                "email": signed_in.user.email,
                "accessToken": signed_in.token,
                "newUser": signed_in.is_new,
            }
        )


class VerifyDelete(MailedLink):
    def get(self, request: Request, token: str | None = None) -> HttpResponseBase:
        """Delete the account that the link is for. A browser is asked first."""
        if self.is_browser():
            return self.page("delete")
        services.confirm_deletion(code=self.code(token), at=timezone.now())
        return success()

    def post(self, request: Request, token: str | None = None) -> HttpResponseBase:
        """The page's button. Apps: as GET."""
        try:
            services.confirm_deletion(code=self.code(token), at=timezone.now())
        except LinkRefused:
            if self.is_browser():
                return self.page("refused", status=403)
            raise
        return self.page("deleted") if self.is_browser() else success()
