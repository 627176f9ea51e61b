"""The door of machines that we trust: the web shop, the factory line, scripts."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from accounts import audit
from accounts.models import AuditEntry
from ruuvinet.lib.api import Forbidden, Unauthorized, secret_matches
from ruuvinet.lib.http import is_trusted
from ruuvinet.lib.rates import Rate, network_of
from ruuvinet.lib.views import ApiView

WRONG_SECRETS = Rate("wrong-secrets", limit=20, window=timedelta(minutes=1))


class InternalView(ApiView):
    """Guarded by a secret in `header`, compared with the setting `secret_name`; unset, nobody.

    A call leaves an entry in the audit trail. `at` is when it came, `about` is what the view says
    that it is about.
    """

    actor = "internal"
    header = "X-Internal-Secret"
    secret_name, networks_name = "INTERNAL_SECRET", "INTERNAL_NETWORKS"
    refusal: type[Forbidden] | type[Unauthorized] = Forbidden

    def setup(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.at = timezone.now()
        self.about = ""
        self.kind = AuditEntry.Kind.CALL

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            response = super().dispatch(request, *args, **kwargs)
        except Exception:  # a fault of ours belongs into the trail too, and goes on as it was
            self._note("500")
            raise
        # One that has to wait is not noted: a flood must not fill the trail.
        if request.method != "OPTIONS" and response.status_code != Throttled.status_code:
            code = getattr(response, "data", {}).get("code", "")
            self._note(f"{response.status_code} {code}".strip())
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return
        caller = network_of(self._address)
        WRONG_SECRETS.ensure_room(caller, self.at)
        if not self._is_trusted():
            WRONG_SECRETS.count(caller, self.at)
            self.kind = AuditEntry.Kind.REFUSED
            raise self.refusal("Invalid credentials.")

    @property
    def _address(self) -> str:
        return str(self.request.META["REMOTE_ADDR"])

    def _is_trusted(self) -> bool:
        networks = getattr(settings, self.networks_name)
        accepted = getattr(settings, self.secret_name)
        known = secret_matches(self.request.headers.get(self.header), accepted)
        return known and (not networks or is_trusted(self._address, networks))

    def _note(self, result: str) -> None:
        audit.note(
            kind=self.kind,
            actor=self.actor,
            address=self._address,
            action=f"{self.request.method} {self.request.path}",
            about=self.about,
            result=result,
            at=self.at,
        )
