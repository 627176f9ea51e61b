"""What of the console joins rooms."""

from typing import Any

from axes.admin import AccessAttemptAdmin, AccessFailureLogAdmin, AccessLogAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from accounts.admin import UserAdmin
from accounts.console import AuditedAdmin, ModelAdmin, ReadOnly, answered, mac_or_404
from accounts.models import User
from alerts.selectors import timeline
from operations.models import Notice
from ruuvinet import notices
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

    @admin.action(description=_("Unclaim, as its owner can"), permissions=["change"])
    def unclaim(self, request: HttpRequest, queryset: QuerySet[Sensor]) -> None:
        for sensor in queryset.select_related("owner"):
            if sensor.owner is None:
                self.message_user(request, gettext("%s is nobody's.") % sensor, messages.WARNING)
                continue
            unclaim_sensor(user=sensor.owner, mac=sensor.mac, delete_data=False, at=timezone.now())
            self.note(request, "Unclaimed.", sensor)
            self.message_user(request, gettext("%s is nobody's now.") % sensor, messages.SUCCESS)


class OpenFilter(admin.SimpleListFilter):
    title, parameter_name = _("state"), "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("open")), ("over", _("over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Notice]) -> QuerySet[Notice]:
        if self.value() not in ("open", "over"):
            return queryset
        return queryset.filter(over_at__isnull=self.value() == "open")


class WishForm(forms.Form):
    wanted = forms.BooleanField(label=_("Tell me by e-mail, and when it is over"), required=False)


@admin.register(Notice)
class NoticeAdmin(ReadOnly, AuditedAdmin[Notice]):
    """What somebody should look at: ruuvinet.notices finds it."""

    list_display = ("what", "subject", "since", "told_at", "over_at")
    list_filter = (OpenFilter, "what")
    search_fields = ("about",)
    ordering = ("-since",)
    fields = ("what", "subject", "since", "told_at", "over_at")
    actions_list = ("tell_me",)

    @admin.display(description=_("about"), ordering="about")
    def subject(self, notice: Notice) -> str:
        if notice.what not in notices.OF_GATEWAYS:
            return notice.about
        url = reverse("admin:gateways_gateway_change", args=[notice.about])
        return format_html('<a href="{}">{}</a>', url, notice.about)

    @action(  # type: ignore[untyped-decorator]  # unfold ships no types
        description=_("By e-mail?"), icon="mail", url_path="tell-me"
    )
    def tell_me(self, request: HttpRequest) -> HttpResponse:
        """Each person's own choice, whatever rights they have."""
        assert isinstance(request.user, User)  # noqa: S101  # the console needs a sign-in
        form = WishForm(answered(request), initial={"wanted": request.user.wants_notices})
        if not form.is_valid():
            return self.ask(
                request, form, action="", chosen=[], title=gettext("Notices by e-mail"),
                button=gettext("Save"), explanation=gettext(
                    "Each trouble is told once, and once more when it is over."
                ),
            )  # fmt: skip
        request.user.wants_notices = form.cleaned_data["wanted"]
        request.user.save(update_fields=["wants_notices"])
        return redirect("admin:operations_notice_changelist")


for model, page in (
    (AccessAttempt, AccessAttemptAdmin),
    (AccessFailureLog, AccessFailureLogAdmin),
    (AccessLog, AccessLogAdmin),
):
    # The pages that axes brings, dressed as all others, without the action that anybody may do.
    admin.site.unregister(model)
    admin.site.register(model, type(page.__name__, (ModelAdmin, page), {"actions": ()}))
