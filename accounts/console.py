"""What pages of the console share: their dress, the audit trail, actions that ask first."""

from collections.abc import Callable, Collection, Iterable, Sequence
from string import hexdigits
from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import BigIntegerField, Model
from django.db.models.functions import Cast, Mod
from django.forms.widgets import Input
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import ngettext
from unfold import widgets

from accounts import audit
from accounts.models import AuditEntry, User
from ruuvinet.lib.mac import Mac

# Fields by which Django would let whoever sees a list filter it: ?token__startswith=a
_HIDDEN = {"address", "code_hash", "digest", "password", "secret_hash", "token", "url"}

# unfold ships no types; what it adds to Django's classes is chosen by plain attributes.
if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin, TabularInline
else:
    from unfold import admin as unfold_admin

    class ModelAdmin(unfold_admin.ModelAdmin):
        """What is sent to a list is an action: who may do none there has nothing to send."""

        def changelist_view(self, request, extra_context=None):
            if request.method == "POST" and not self.get_actions(request):
                raise PermissionDenied
            return super().changelist_view(request, extra_context)

        def lookup_allowed(self, lookup, value, request):
            """No guessing, letter by letter, at what pages do not show to everybody."""
            is_hidden = lookup.partition("__")[0] in _HIDDEN
            return not is_hidden and super().lookup_allowed(lookup, value, request)

    class TabularInline(unfold_admin.TabularInline):
        """The heads of columns are no labels of fields, so that these need their own."""

        def formfield_for_dbfield(self, db_field, request, **kwargs):
            field = super().formfield_for_dbfield(db_field, request, **kwargs)
            if field:
                widget = getattr(field.widget, "widget", field.widget)
                widget.attrs.setdefault("aria-label", str(field.label))
            return field


__all__ = [
    "STATUS_COLOURS",
    "AuditedAdmin",
    "MacSearch",
    "ModelAdmin",
    "ReadOnly",
    "TabularInline",
    "answered",
    "charts",
    "going_out",
    "mac_or_404",
]

ModelT = TypeVar("ModelT", bound=Model)
_DRESS: tuple[tuple[type[forms.Widget], Collection[str]], ...] = (
    (forms.CheckboxInput, widgets.CHECKBOX_CLASSES),
    (forms.Select, widgets.SELECT_CLASSES),
    (forms.Textarea, widgets.TEXTAREA_CLASSES),
    (forms.FileInput, ()),
    (Input, widgets.INPUT_CLASSES),
)


def dress(fields: Iterable[forms.Field]) -> None:
    """Make fields that a form declares by itself look like those that the console makes."""
    for field in fields:
        kind = next((classes for kind, classes in _DRESS if isinstance(field.widget, kind)), ())
        field.widget.attrs.setdefault("class", " ".join(kind))


class AuditedAdmin(ModelAdmin[ModelT]):
    """Whatever Django notes in its own history, which knows no address, is in the trail too."""

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> Any:
        form = super().get_form(request, obj, change=change, **kw)
        dress(form.base_fields.values())
        return form

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        return self._noted(request, super().log_addition(request, obj, message), obj)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        return self._noted(request, super().log_change(request, obj, message), obj)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> list[LogEntry]:
        gone = list(queryset)
        entries = super().log_deletions(request, queryset)
        for obj in gone:
            self.note(request, f"Deleted {self.opts.verbose_name}.", obj)
        return entries

    def _noted(self, request: HttpRequest, entry: LogEntry, obj: Model) -> LogEntry:
        self.note(request, entry.get_change_message(), obj)
        return entry

    def note(self, request: HttpRequest, what: str, obj: Model) -> None:
        """Add to the audit trail; `what` names fields, never their values."""
        assert isinstance(request.user, User)  # noqa: S101  # the console needs a sign-in
        audit.note(
            kind=AuditEntry.Kind.CONSOLE,
            actor=request.user.email,
            address=request.META["REMOTE_ADDR"],
            action=f"{self.opts.verbose_name}: {what}",
            about=str(obj),
            result="done",
            at=timezone.now(),
        )

    def ask(
        self,
        request: HttpRequest,
        form: forms.Form,
        *,
        action: str,
        title: str,
        button: str,
        chosen: Iterable[Model],
        explanation: object = "",
        template: str = "admin/ask.html",
        **more: Any,
    ) -> HttpResponse:
        """The page between choosing rows and the action, which comes back with `confirm`."""
        dress(form.fields.values())
        return TemplateResponse(
            request,
            template,
            {
                **self.admin_site.each_context(request),
                "title": title,
                "opts": self.opts,
                "form": form,
                "action": action,
                "button": button,
                "explanation": explanation,
                "chosen": list(chosen),
                "checkbox_name": ACTION_CHECKBOX_NAME,
                **more,
            },
        )


def going_out(number: int) -> str:
    """What is said after deliveries or mails are tried again."""
    return ngettext("%d goes out within a minute.", "%d go out within a minute.", number) % number


# Of deliveries and mails, by their status.
STATUS_COLOURS = {"sent": "success", "failed": "danger", "pending": "info"}


class MacSearch:
    """Finds rows by the address of a sensor or gateway: all of it, or its last four digits."""

    mac_field = "mac"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        term = search_term.strip()
        if found := _by_mac(queryset, self.mac_field, term):
            return found[0], False
        fields = [name for name in self.search_fields if name != self.mac_field]  # type: ignore[attr-defined]  # of the page
        if not fields:
            return (queryset.none() if term else queryset), False
        return super().get_search_results(request, queryset, term)  # type: ignore[misc]  # of the page


def _by_mac(queryset: Any, field: str, term: str) -> list[Any]:
    """The rows in a list of one, or an empty list for a term that is no address."""
    try:
        return [queryset.filter(**{field: Mac.parse(term)})]
    except ValueError:
        digits = term.replace(":", "")
    if len(digits) != 4 or set(digits) - set(hexdigits):
        return []
    tail = Mod(Cast(field, BigIntegerField()), 0x10000)
    return [queryset.annotate(_tail=tail).filter(_tail=int(digits, 16))]


class ReadOnly:
    """For pages and tables within them: what happened is shown, not edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


SPANS_S = {"hour": 3600, "day": 86400, "week": 7 * 86400, "month": 31 * 86400, "year": 366 * 86400}


def charts(
    request: HttpRequest, *, spans: Sequence[str], now: int, draw: Callable[[int, int], list[Any]]
) -> JsonResponse:
    """What ruuvinet/console.js draws: `draw(since, until)` for the span that is asked for.

    Times are Unix seconds (UTC). `spans` are those of SPANS_S that may be asked for; whoever asks
    for none of them gets the first.
    """
    asked = request.GET.get("range", "")
    since = now - SPANS_S[asked if asked in spans else spans[0]]
    return JsonResponse({"since": since, "until": now, "series": draw(since, now)})


def mac_or_404(text: str) -> Mac:
    """The address that a URL names. Raises Http404."""
    try:
        return Mac.parse(text)
    except ValueError as error:
        raise Http404 from error


def answered(request: HttpRequest) -> Any:
    """The form's data when the page of `ask` was sent, None when it is to be shown."""
    return request.POST if "confirm" in request.POST else None
