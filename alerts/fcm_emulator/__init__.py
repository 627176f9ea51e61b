"""Firebase Cloud Messaging on one's own machine, for development, tests and demonstrations.

Speaks Google's access token endpoint (`POST /token`) and FCM's
`POST /v1/projects/<project>/messages:send`, as strict about credentials and message shapes as
they are. Nothing reaches a phone: an accepted message is kept, and told to whoever asked.

- `GET /messages`: the accepted ones, `DELETE /messages`: forget them;
- `POST /behaviour`: misbehave, see `FcmEmulator.behave`.
"""

from alerts.fcm_emulator.account import CLIENT_EMAIL, GRANT_TYPE, SCOPE
from alerts.fcm_emulator.behaviour import MODES
from alerts.fcm_emulator.describe import describe
from alerts.fcm_emulator.emulator import FcmEmulator
from alerts.fcm_emulator.refusals import Refused
from alerts.fcm_emulator.shape import parse_request

__all__ = [
    "CLIENT_EMAIL",
    "GRANT_TYPE",
    "MODES",
    "SCOPE",
    "FcmEmulator",
    "Refused",
    "describe",
    "parse_request",
]
