"""What every way of telling a person about an alert has in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Trigger = Literal["over", "under", "different from"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One alert event, told to one person: all that any channel needs, and no database row.

    `current_value` and `threshold_value` are in the person's own unit, whose code is `unit`;
    `base_value` and `base_threshold` in the unit of the API. All text is finished, in `language`.
    `is_late` says that it comes long after `opened_at`, which `title` then tells too.
    `collapse_key` is the same each time one event is sent, so that a repeat replaces what is
    already shown.
    """

    email: str
    name: str  # of the sensor, as this person calls it
    sensor_mac: str  # "AA:BB:CC:DD:EE:FF"
    alert_type: str  # as the API spells it: "temperature", "humidityAbsolute"
    type_name: str  # for people: "Temperature"
    trigger: Trigger
    base_value: float
    base_threshold: float
    current_value: float | None
    threshold_value: float
    unit: str  # a code ("C", "F", "1"), never a symbol; empty where there is none
    value_text: str  # with its symbol: "9.5 °C"
    threshold_text: str
    description: str  # the person's own text for this alert, may be empty
    title: str  # what happened
    body: str  # where: the sensor's name
    subtitle: str  # the description again, may be empty
    language: str  # two letters, one that there are words for
    opened_at: datetime
    is_late: bool
    collapse_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where one notification goes: a device, a mailbox.

    `address` is what the channel delivers to: an FCM registration token, a mailbox, a URL.
    `platform` is "android" or "ios" in any case; anything else is treated as iOS. `secret` is
    what both sides know.
    """

    address: str
    platform: str = ""
    sound_file: str = "default"
    language: str = ""  # two letters; empty: the person's own
    secret: str = ""


class DeliveryError(Exception):
    """A notification did not arrive.

    `permanent` says that sending the same again cannot help. `retire_address` (only with
    `permanent`) says that the address itself is dead and must not be used again.
    `retry_after_s`, in seconds, is when the other side asked to be tried again, if it said so.
    `message` is short, fit for a log or a page, and holds no address and no secret.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        retry_after_s: float | None = None,
        retire_address: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        self.retire_address = retire_address


class Transport(ABC):
    """One channel. A new channel is one subclass in one file beside this one.

    `send` runs in `senders` threads at once, outside any transaction, and uses no database.
    """

    senders = 4
    each = 0  # of them, at most so many for one address; 0: all

    @property
    def missing(self) -> str:
        """Why nothing can be sent at all, such as "no credentials"; empty if all is set up."""
        return ""

    @abstractmethod
    def send(self, notification: Notification, destination: Destination) -> None:
        """Hand over one notification. Raises DeliveryError, and nothing else on purpose."""
