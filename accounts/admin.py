from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import mail, second_factor
from accounts.console import STATUS_COLOURS, AuditedAdmin, ModelAdmin, ReadOnly, going_out
from accounts.models import AccessToken, AuditEntry, OutgoingMail, User, UserSetting


class NewUserForm(UserCreationForm):  # type: ignore[misc]  # unfold ships no types
    class Meta:
        model = User
        fields = ("email",)
        field_classes = {"email": forms.EmailField}

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).strip().lower()


class UserAdmin(AuditedAdmin[User], DjangoUserAdmin[User]):
    """Registered in ruuvinet.admin, where deleting a person tidies up all rooms."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A superuser may delete a person with all that hangs on it, read-only history too."""
        found, counts, missing, protected = super().get_deleted_objects(objs, request)
        return found, counts, set() if request.user.is_superuser else missing, protected

    form = UserChangeForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "usable_password", "password1", "password2"),
                "description": _("Only people who open this console need a password."),
            },
        ),
    )
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        (
            _("Rights"),
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        (_("Notices"), {"fields": ("wants_notices",)}),
        (_("Dates"), {"fields": ("last_login", "created_at")}),
    )
    readonly_fields = ("last_login", "created_at")
    list_display = ("email", "is_staff", "is_active", "has_second_factor", "last_login")
    list_select_related = ("second_factor",)
    list_filter = ("is_staff", "is_active")
    search_fields = ("email",)
    ordering = ("email",)
    actions = ("reset_second_factor",)

    @admin.display(description=_("second factor"), boolean=True)
    def has_second_factor(self, user: User) -> bool:
        return user.has_second_factor

    @admin.action(description=_("Reset the second factor"), permissions=["change"])
    def reset_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """For somebody whose phone is lost: the password alone opens the console again."""
        for user in queryset:
            if second_factor.turn_off(user):
                self.note(request, "Reset the second factor.", user)
                self.message_user(request, _("%s signs in by password alone now.") % user)


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(AuditedAdmin[Group], DjangoGroupAdmin):
    """Rights that several people have."""


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, ModelAdmin[AuditEntry]):
    list_display = ("at", "actor", "address", "action", "about", "result")
    list_filter = ("kind", "result")
    search_fields = ("actor", "address", "action", "about")
    ordering = ("-at",)
    date_hierarchy = "at"
    show_full_result_count = False


@admin.register(AccessToken)
class SessionAdmin(AuditedAdmin[AccessToken]):
    """Who is signed in. A session can be ended, which is to delete it; nothing else."""

    list_display = ("user", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("user__email",)
    ordering = ("-last_used_at",)
    fields = ("user", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(UserSetting)
class UserSettingAdmin(ModelAdmin[UserSetting]):
    list_display = ("user", "name", "value", "edited_at")
    list_select_related = ("user",)
    raw_id_fields = ("user",)
    search_fields = ("user__email", "name")


@admin.register(OutgoingMail)
class OutgoingMailAdmin(ModelAdmin[OutgoingMail]):
    """What became of mails. Without a mail server a superuser may read those that hold a code."""

    list_display = ("address", "template", "state", "outcome", "attempts", "created_at", "sent_at")
    list_filter = ("status", "template")
    search_fields = ("address",)
    ordering = ("-created_at",)
    fields = (
        "address",
        "template",
        "status",
        "outcome",
        "attempts",
        "created_at",
        "next_attempt_at",
        "expires_at",
        "sent_at",
    )
    actions = ("retry_now",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: OutgoingMail | None = None) -> Any:
        shown: Any = self.fields
        return ["text", *shown] if obj and _may_read(request, obj) else shown

    @display(  # type: ignore[untyped-decorator]  # unfold ships no types
        description=_("status"), ordering="status", label=STATUS_COLOURS
    )
    def state(self, obj: OutgoingMail) -> tuple[str, str]:
        return obj.status, obj.get_status_display()

    @admin.display(description=_("text"))
    def text(self, obj: OutgoingMail) -> str:
        subject, words, _html = mail.render(obj)
        return format_html("<b>{}</b><pre>{}</pre>", subject, words)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_outgoingmail")

    @admin.action(description=_("Try again now"), permissions=["retry"])
    def retry_now(self, request: HttpRequest, queryset: QuerySet[OutgoingMail]) -> None:
        now = timezone.now()
        waiting = queryset.filter(status=OutgoingMail.Status.PENDING)
        again = waiting.update(next_attempt_at=now)
        self.message_user(request, going_out(again))


def _may_read(request: HttpRequest, obj: OutgoingMail) -> bool:
    """Only people at home, who have no mail server, need it, and only while the code works."""
    if settings.EMAIL_URL or not request.user.is_superuser or not obj.variables:
        return False
    return obj.expires_at is not None and obj.expires_at > timezone.now()
