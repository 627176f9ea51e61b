from django.contrib import admin

from subscriptions.models import Subscription


@admin.register(Subscription)
class SubscriptionAdmin(admin.ModelAdmin[Subscription]):
    list_display = ("user", "name", "starts_at", "ends_at", "push_alert_allowed")
    list_select_related = ("user",)
    raw_id_fields = ("user",)
    search_fields = ("user__email", "name")
