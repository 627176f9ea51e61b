"""The ways in which the emulator can be told to fail."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from alerts.fcm_emulator.refusals import Refused, error_info, fcm_error, invalid, no_longer_valid

_REFUSALS: dict[str, Callable[[], Refused]] = {
    "expired_token": no_longer_valid,
    "unregistered": partial(
        Refused, 404, "NOT_FOUND", "Requested entity was not found.", fcm_error("UNREGISTERED")
    ),
    "sender_mismatch": partial(
        Refused, 403, "PERMISSION_DENIED", "SenderId mismatch", fcm_error("SENDER_ID_MISMATCH")
    ),
    "invalid_token": partial(
        invalid, "message.token", "The registration token is not a valid FCM registration token"
    ),
    "permission_denied": partial(
        Refused,
        403,
        "PERMISSION_DENIED",
        "Firebase Cloud Messaging API has not been used in this project before or it is disabled.",
        error_info("SERVICE_DISABLED"),
    ),
    "quota": partial(
        Refused,
        429,
        "RESOURCE_EXHAUSTED",
        "Quota exceeded for quota metric 'Send requests'.",
        fcm_error("QUOTA_EXCEEDED"),
    ),
    "unavailable": partial(
        Refused,
        503,
        "UNAVAILABLE",
        "The service is currently unavailable.",
        fcm_error("UNAVAILABLE"),
    ),
    "internal": partial(
        Refused, 500, "INTERNAL", "Internal error encountered.", fcm_error("INTERNAL")
    ),
}
MODES = ("ok", "hang", *_REFUSALS)


class Hang(Exception):
    """No answer at all for `wait_s` seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


@dataclass
class Behaviour:
    """What `FcmEmulator.behave` was told. Raises ValueError for what makes no sense."""

    mode: str
    retry_after_s: float | str | None = None
    times: int | None = None
    token: str | None = None
    hang_s: float = 60.0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}")
        if self.times is not None and (type(self.times) is not int or self.times < 0):
            raise ValueError("times must be a whole number or null")
        if self.token is not None and not isinstance(self.token, str):
            raise ValueError("token must be text or null")
        if type(self.hang_s) not in (int, float) or not 0 <= self.hang_s <= 3600:
            raise ValueError("hang_s must be seconds, 3600 at most")
        after = self.retry_after_s
        if after is not None and not re.fullmatch(r"[ -~]{0,100}", str(after)):
            raise ValueError("retry_after_s must be seconds, or plain text for the header")

    def carry_out(self) -> None:
        """Raises Refused or Hang, unless the mode is "ok"."""
        if self.mode == "hang":
            raise Hang(self.hang_s)
        if self.mode in _REFUSALS:
            refused = _REFUSALS[self.mode]()
            refused.retry_after = self.retry_after_s
            raise refused
