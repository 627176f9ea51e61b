"""Alerts and phones, for the apps."""

from datetime import timedelta

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import UserView
from alerts import services
from alerts.models import PushToken, Webhook
from alerts.selectors import rules_by_sensor
from alerts.serializers import (
    AlertRequest,
    AlertsQuery,
    PushRegisterRequest,
    PushUnregisterRequest,
    WebhookRequest,
    alert_item,
    flat_alert_item,
    push_token_item,
    webhook_item,
)
from ruuvinet.lib.rates import Rate, network_of
from ruuvinet.lib.views import ApiView, success

# A number has 32 bits: nobody shall find those of others by trying.
WRONG_PHONES = Rate("wrong-phones", limit=20, window=timedelta(minutes=5))


class Alerts(UserView):
    def get(self, request: Request) -> Response:
        """The caller's rules: by sensor as the apps read them, and flat as documented."""
        rules = rules_by_sensor(self.user, self.asked(AlertsQuery).get("sensor"))
        return success(
            {
                "sensors": [
                    {"sensor": str(mac), "alerts": [alert_item(rule) for rule in of_sensor]}
                    for mac, of_sensor in rules.items()
                ],
                "alerts": [
                    flat_alert_item(rule) for of_sensor in rules.values() for rule in of_sensor
                ],
            }
        )

    def post(self, request: Request) -> Response:
        """Make or change one rule of the caller."""
        changes = self.asked(AlertRequest)
        services.edit_rule(
            user=self.user,
            sensor=changes.pop("sensor"),
            type_=changes.pop("type"),
            timestamp=changes.pop("timestamp", None),
            changes=changes,
            at=timezone.now(),
        )
        return success({"action": "success"})


class PushRegister(UserView):
    def post(self, request: Request) -> Response:
        """Tell the caller through this phone from now on. May be repeated."""
        asked = self.asked(PushRegisterRequest)
        token = services.register_push_token(
            user=self.user,
            token=asked["token"],
            platform=asked["type"],
            name=asked.get("name") or asked["type"],
            at=timezone.now(),
            **asked.get("params", {}),
        )
        return success({"tokenId": token.pk, **push_token_item(token)})


class PushUnregister(ApiView):
    """Open to all: apps call it after they signed out. The token, or its number, is the secret."""

    def post(self, request: Request) -> Response:
        """Never tell anybody through this phone again."""
        asked = self.asked(PushUnregisterRequest)
        caller, now = network_of(request.META["REMOTE_ADDR"]), timezone.now()
        WRONG_PHONES.ensure_room(caller, now)
        try:
            services.unregister_push_token(token=asked.get("token"), token_id=asked.get("id"))
        except services.UnknownPushToken:
            WRONG_PHONES.count(caller, now)
            raise
        return success()


class PushList(UserView):
    def get(self, request: Request) -> Response:
        """The phones of the caller."""
        tokens = PushToken.objects.filter(user=self.user, retired_at=None).order_by("created_at")
        return success({"tokens": [push_token_item(token) for token in tokens]})


class Webhooks(UserView):
    """The caller's own server; one for each person."""

    def get(self, request: Request) -> Response:
        """Where the caller is told. The list has one entry or none."""
        webhooks = Webhook.objects.filter(user=self.user)
        return success({"webhooks": [webhook_item(webhook) for webhook in webhooks]})

    def post(self, request: Request) -> Response:
        """Tell the caller there from now on. The secret is new, and told only this once."""
        url = self.asked(WebhookRequest)["url"]
        webhook = services.set_webhook(user=self.user, url=url, at=timezone.now())
        return success({"webhook": {**webhook_item(webhook), "secret": webhook.secret}})

    def delete(self, request: Request) -> Response:
        """Tell nobody there any more. May be repeated."""
        Webhook.objects.filter(user=self.user).delete()
        return success()
