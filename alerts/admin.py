"""Rules, what they found, and who was told."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from alerts.models import AlertEvent, AlertRule, Delivery, PushToken
from alerts.services import configure_rule


@admin.register(AlertRule)
class AlertRuleAdmin(admin.ModelAdmin[AlertRule]):
    list_display = ("sensor", "type", "min", "max", "user", "enabled", "triggered", "triggered_at")
    list_filter = ("triggered", "enabled", "type")
    list_select_related = ("sensor", "user")
    raw_id_fields = ("user", "sensor")
    search_fields = ("user__email", "description")
    fields = (
        "user",
        "sensor",
        "type",
        "enabled",
        "min",
        "max",
        "delay_s",
        "description",
        "counter",
        "triggered",
        "triggered_at",
        "configured_at",
    )
    readonly_fields = ("counter", "triggered", "triggered_at", "configured_at")

    def save_model(self, request: HttpRequest, obj: AlertRule, form: Any, change: bool) -> None:
        configure_rule(obj, at=timezone.now())


class _ReadOnly:
    """History is shown, not edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class DeliveryInline(_ReadOnly, admin.TabularInline[Delivery, AlertEvent]):
    model = Delivery
    fields = ("__str__", "status", "outcome", "attempts", "created_at", "sent_at")
    readonly_fields = fields


@admin.register(AlertEvent)
class AlertEventAdmin(_ReadOnly, admin.ModelAdmin[AlertEvent]):
    list_display = (
        "sensor_name",
        "type",
        "trigger",
        "value",
        "threshold",
        "user",
        "opened_at",
        "resolved_at",
        "told",
    )
    list_filter = (("resolved_at", admin.EmptyFieldListFilter), "type")
    list_select_related = ("user",)
    ordering = ("-opened_at",)
    search_fields = ("sensor_name", "user__email")
    date_hierarchy = "opened_at"
    inlines = (DeliveryInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertEvent]:
        sent = Count("deliveries", filter=Q(deliveries__status=Delivery.Status.SENT))
        return super().get_queryset(request).annotate(sent=sent, all=Count("deliveries"))

    @admin.display(description="told")
    def told(self, event: AlertEvent) -> str:
        return f"{vars(event)['sent']} of {vars(event)['all']}"


@admin.register(Delivery)
class DeliveryAdmin(_ReadOnly, admin.ModelAdmin[Delivery]):
    list_display = (
        "event",
        "channel",
        "__str__",
        "status",
        "outcome",
        "attempts",
        "created_at",
        "sent_at",
    )
    list_filter = ("status", "channel")
    list_select_related = ("event",)
    fields = (
        "event",
        "channel",
        "status",
        "outcome",
        "attempts",
        "created_at",
        "next_attempt_at",
        "sent_at",
    )
    ordering = ("-created_at",)
    actions = ("retry_now",)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.change_delivery")

    @admin.action(description="Try again now", permissions=["retry"])
    def retry_now(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        now = timezone.now()
        over = [Delivery.Status.FAILED, Delivery.Status.NOT_SENT]
        again = queryset.filter(status__in=over).update(
            status=Delivery.Status.PENDING, created_at=now, next_attempt_at=now
        )
        self.message_user(request, f"{again} go out within a minute.", messages.SUCCESS)


@admin.register(PushToken)
class PushTokenAdmin(admin.ModelAdmin[PushToken]):
    list_display = (
        "__str__",
        "user",
        "name",
        "language",
        "created_at",
        "retired_at",
        "retired_reason",
    )
    list_filter = ("platform", ("retired_at", admin.EmptyFieldListFilter))
    list_select_related = ("user",)
    raw_id_fields = ("user",)
    search_fields = ("user__email", "name")
    readonly_fields = ("created_at", "retired_at", "retired_reason")

    def get_fields(self, request: HttpRequest, obj: PushToken | None = None) -> Any:
        fields = ["user", "platform", "name", "language", "sound_file"]
        return [*fields, "token"] if obj is None else [*fields, *self.readonly_fields]
