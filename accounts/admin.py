from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.http import HttpRequest

from accounts.console import AuditedAdmin, ReadOnlyAdmin
from accounts.models import AuditEntry, User


class NewUserForm(AdminUserCreationForm[User]):
    class Meta:
        model = User
        fields = ("email",)
        field_classes = {"email": forms.EmailField}

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).strip().lower()


@admin.register(User)
class UserAdmin(AuditedAdmin[User], DjangoUserAdmin[User]):
    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A superuser may delete a person with all that hangs on it, read-only history too."""
        found, counts, missing, protected = super().get_deleted_objects(objs, request)
        return found, counts, set() if request.user.is_superuser else missing, protected

    add_form = NewUserForm
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "usable_password", "password1", "password2"),
                "description": "Only people who open this console need a password.",
            },
        ),
    )
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        (
            "Rights",
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        ("Dates", {"fields": ("last_login", "created_at")}),
    )
    readonly_fields = ("last_login", "created_at")
    list_display = ("email", "is_staff", "is_active", "last_login")
    list_filter = ("is_staff", "is_active")
    search_fields = ("email",)
    ordering = ("email",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    list_display = ("at", "actor", "address", "action", "about", "result")
    list_filter = ("kind", "result")
    search_fields = ("actor", "address", "action", "about")
    ordering = ("-at",)
    date_hierarchy = "at"
    show_full_result_count = False
