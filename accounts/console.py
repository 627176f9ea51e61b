"""What pages of the console share: their dress, the audit trail, actions that ask first."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.forms.widgets import Input
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold import widgets

from accounts import audit
from accounts.models import AuditEntry, User

# unfold ships no types; what it adds to Django's classes is chosen by plain attributes.
if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin, TabularInline
else:
    from unfold.admin import ModelAdmin, TabularInline

__all__ = ["AuditedAdmin", "ModelAdmin", "ReadOnly", "TabularInline", "answered"]

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

    list_filter_submit = False
    list_filter_sheet = False  # filters stand beside the list, or below it on a phone

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kw)
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
        explanation: str = "",
    ) -> HttpResponse:
        """The page between choosing rows and the action, which comes back with `confirm`."""
        dress(form.fields.values())
        return TemplateResponse(
            request,
            "admin/ask.html",
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
            },
        )


class ReadOnly:
    """For pages and tables within them: what happened is shown, not edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def answered(request: HttpRequest) -> Any:
    """The form's data when the page of `ask` was sent, None when it is to be shown."""
    return request.POST if "confirm" in request.POST else None
