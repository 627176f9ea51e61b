"""The doors of the web shop and of people with a code."""

from datetime import timedelta

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import UserView
from accounts.internal import InternalView
from ruuvinet.lib.rates import Rate
from ruuvinet.lib.views import success
from subscriptions import services
from subscriptions.selectors import history_of
from subscriptions.serializers import (
    ClaimCodeRequest,
    SubscriptionRegisterRequest,
    allowance_of,
    code_body,
    subscription_body,
)

WRONG_CODES = Rate("wrong-codes", limit=20, window=timedelta(minutes=15))


class SubscriptionRegister(InternalView):
    """What was paid in the shop, to be claimed by whoever has the code."""

    actor = "shop"
    header = "X-Shop-Secret"
    secret_name, networks_name = "SHOP_SECRET", "SHOP_NETWORKS"

    def post(self, request: Request) -> Response:
        asked = self.asked(SubscriptionRegisterRequest)
        code = services.register_code(
            text=asked["claimCode"],
            allowance=allowance_of(asked),
            valid_days=asked["validDays"],
            creator_id=asked["creatorId"],
            at=self.at,
        )
        self.about = str(code)
        return success(code_body(code, text=asked["claimCode"]))


class MySubscription(UserView):
    steady = True  # the web app asks every few seconds

    def get(self, request: Request) -> Response:
        """What the caller has and had, the active one first."""
        return self._history()

    def post(self, request: Request) -> Response:
        """Start what a code gives, at once. The answer is that of GET."""
        now = timezone.now()
        WRONG_CODES.ensure_room(str(self.user.pk), now)
        code = self.asked(ClaimCodeRequest)["code"]
        try:
            services.claim_code(user=self.user, text=code, at=now)
        except services.CodeNotFound:
            WRONG_CODES.count(str(self.user.pk), now)
            raise
        return self._history()

    def _history(self) -> Response:
        history = history_of(self.user, timezone.now())
        return success(
            {"subscriptions": [subscription_body(one, is_active=counts) for one, counts in history]}
        )
