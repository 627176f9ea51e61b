"""The page of the console that asks for a second factor, and on which each person sets up theirs."""

from collections.abc import Callable
from typing import Any

import django_otp
from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_lockout_response
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from rest_framework.exceptions import Throttled

from accounts import audit, second_factor
from accounts.console import dress
from accounts.models import AuditEntry, User

PATH = "/admin/second-factor"


class SecondFactorMiddleware:
    """Sends whoever has not shown a second factor, and has or needs one, to the page for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if path.startswith("/admin/") and path not in _open_pages() and _is_to_show_it(request):
            return redirect_to_login(request.get_full_path(), PATH)
        return self.get_response(request)


def _open_pages() -> tuple[str, ...]:
    return PATH, reverse("admin:login"), reverse("admin:logout")


def _is_to_show_it(request: HttpRequest) -> bool:
    user = request.user
    if not isinstance(user, User) or not user.is_staff or _has_shown_it(user):
        return False
    return bool(settings.SECOND_FACTOR_REQUIRED) or user.has_second_factor


def _has_shown_it(user: User) -> bool:
    """Whether this session did; the library's middleware puts the answer on the user."""
    return getattr(user, "otp_device", None) is not None


class CodeForm(forms.Form):
    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=32,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        dress(self.fields.values())


@never_cache
@sensitive_post_parameters("code", "sealed")
def page(request: HttpRequest) -> HttpResponseBase:
    """What there is to do next: show a code, set it all up, or turn it off."""
    user = request.user
    if not isinstance(user, User) or not user.is_staff:
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    form = CodeForm(request.POST or None)
    try:
        if not user.has_second_factor:
            return _set_up(request, user, form)
        return (_turn_off if _has_shown_it(user) else _ask)(request, user, form)
    except Throttled:
        form.add_error(None, _("Too many wrong codes. Try again within the hour."))
        return _shown(request, form, _("Second factor"), status=429)


def _ask(request: HttpRequest, user: User, form: CodeForm) -> HttpResponseBase:
    if not form.is_valid():
        return _shown(request, form, _("Second factor"), button=_("Go on"))
    refusal = _redeemed(request, user, form, button=_("Go on"))
    if refusal:
        return refusal
    django_otp.login(request, user.second_factor)
    request.session.cycle_key()
    return redirect(_next(request))


def _turn_off(request: HttpRequest, user: User, form: CodeForm) -> HttpResponseBase:
    words: dict[str, Any] = {
        "button": _("Turn it off"),
        "left": len(user.second_factor.recovery_digests),
    }
    if request.method == "POST" and "off" not in request.POST:
        return redirect(_next(request))  # asked before, in another tab, and answered since in this
    if not form.is_valid():
        return _shown(request, form, _("Your second factor is on"), **words)
    refusal = _redeemed(request, user, form, **words)
    if refusal:
        return refusal
    second_factor.turn_off(user)
    _note(request, user, "Turned off.")
    return redirect("admin:index")


def _redeemed(
    request: HttpRequest, user: User, form: CodeForm, **words: Any
) -> HttpResponseBase | None:
    """None for a right code, else the answer to a wrong one, which django-axes counts."""
    names = {"username": user.email}
    if not AxesProxyHandler.is_allowed(request, names):
        locked: HttpResponse = get_lockout_response(request, credentials=names)
        return locked
    if second_factor.redeem(user, form.cleaned_data["code"], timezone.now()):
        return None
    user_login_failed.send(sender=__name__, credentials=names, request=request)
    form.add_error("code", _("This code is wrong, or was used already."))
    return _shown(request, form, _("Second factor"), **words)


def _set_up(request: HttpRequest, user: User, form: CodeForm) -> HttpResponseBase:
    now = timezone.now()
    try:
        key = second_factor.unseal(user, request.POST.get("sealed", ""), now)
    except ValueError:  # also at first; whoever took too long begins anew
        key, form = second_factor.new_key(), CodeForm()
    if form.is_valid():
        codes = second_factor.turn_on(user, key=key, code=form.cleaned_data["code"], at=now)
        if codes:
            django_otp.login(request, user.second_factor)
            _note(request, user, "Turned on.")
            return _shown(request, None, _("Keep these recovery codes"), codes=codes)
        form.add_error("code", _("This code is wrong. Is the clock of your phone right?"))
    return _shown(
        request, form, _("Set up a second factor"), button=_("Turn it on"),
        key=key, picture=second_factor.picture(user, key),
        sealed=second_factor.seal(user, key, now), is_required=settings.SECOND_FACTOR_REQUIRED,
    )  # fmt: skip


def _shown(
    request: HttpRequest, form: CodeForm | None, title: str, *, status: int = 200, **more: Any
) -> TemplateResponse:
    context = {**admin.site.each_context(request), "title": title, "form": form, **more}
    return TemplateResponse(request, "admin/second_factor.html", context, status=status)


def _next(request: HttpRequest) -> str:
    wanted = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if is_ours else reverse("admin:index")


def _note(request: HttpRequest, user: User, what: str) -> None:
    audit.note(
        kind=AuditEntry.Kind.CONSOLE,
        actor=user.email,
        address=request.META["REMOTE_ADDR"],
        action=f"second factor: {what}",
        about=user.email,
        result="done",
        at=timezone.now(),
    )
