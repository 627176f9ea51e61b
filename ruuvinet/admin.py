"""What of the console joins rooms."""

from typing import Any

from axes.admin import AccessAttemptAdmin, AccessFailureLogAdmin, AccessLogAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.admin import UserAdmin
from accounts.console import ModelAdmin, mac_or_404
from accounts.models import User
from alerts.selectors import timeline
from ruuvinet.sensor_services import drop_rules_of_strangers, unclaim_sensor
from ruuvinet.services import delete_account
from sensors.admin import SensorAdmin
from sensors.models import Sensor

EVENTS_SHOWN = 5


@admin.register(User)
class PersonAdmin(UserAdmin):
    def delete_model(self, request: HttpRequest, obj: User) -> None:
        delete_account(user=obj, at=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            delete_account(user=user, at=timezone.now())


@admin.register(Sensor)
class OwnedSensorAdmin(SensorAdmin):
    actions = ("unclaim",)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        mac = mac_or_404(object_id)
        events = {"events": timeline(mac, EVENTS_SHOWN)}
        if not request.user.has_perm("alerts.view_alertevent"):
            events = {}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | events)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Whoever cannot read the sensor any more is not told of it either."""
        super().save_related(request, form, formsets, change)
        drop_rules_of_strangers(form.instance.mac, timezone.now())

    @admin.action(description="Unclaim, as its owner can", permissions=["change"])
    def unclaim(self, request: HttpRequest, queryset: QuerySet[Sensor]) -> None:
        for sensor in queryset.select_related("owner"):
            if sensor.owner is None:
                self.message_user(request, f"{sensor} is nobody's.", messages.WARNING)
                continue
            unclaim_sensor(user=sensor.owner, mac=sensor.mac, delete_data=False, at=timezone.now())
            self.note(request, "Unclaimed.", sensor)
            self.message_user(request, f"{sensor} is nobody's now.", messages.SUCCESS)


for model, page in (
    (AccessAttempt, AccessAttemptAdmin),
    (AccessFailureLog, AccessFailureLogAdmin),
    (AccessLog, AccessLogAdmin),
):
    # The pages that axes brings, dressed as all others, without the action that anybody may do.
    admin.site.unregister(model)
    admin.site.register(model, type(page.__name__, (ModelAdmin, page), {"actions": ()}))
