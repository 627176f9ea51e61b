"""What of the console joins rooms."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin import UserAdmin
from accounts.models import User
from ruuvinet.services import delete_account


@admin.register(User)
class PersonAdmin(UserAdmin):
    def delete_model(self, request: HttpRequest, obj: User) -> None:
        delete_account(user=obj, at=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            delete_account(user=user, at=timezone.now())
