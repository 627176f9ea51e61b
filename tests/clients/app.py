"""Apps as they are: what each sends, byte for byte, and how strictly it reads the answer."""

import json

from django.test import Client

from accounts.models import OutgoingMail

NOW = 1775069475  # 2026-04-01 18:51:15 UTC; Unix seconds
SENSOR = "F4:1F:0C:28:CB:D6"
DF5 = "0201061BFF99040515714D9FC56DFFF0FFF803E4B516E84D7EF41F0C28CBD6"
# iOS refuses a reply with any other.
IOS_CODES = {
    *("ER_FORBIDDEN", "ER_UNAUTHORIZED", "ER_INTERNAL", "ER_INVALID_FORMAT", "ER_USER_NOT_FOUND"),
    *("ER_SENSOR_NOT_FOUND", "ER_TOKEN_EXPIRED", "ER_THROTTLED", "ER_CONFLICT", "ER_OLD_ENTRY"),
    *("ER_SUBSCRIPTION_NOT_FOUND", "ER_SHARE_COUNT_REACHED", "ER_SENSOR_SHARE_COUNT_REACHED"),
    *("ER_CLAIM_COUNT_REACHED", "ER_NO_DATA_TO_SHARE", "ER_SENSOR_ALREADY_SHARED"),
    *("ER_SENSOR_ALREADY_CLAIMED", "ER_SENSOR_ALREADY_REGISTERED", "ER_UNABLE_TO_SEND_EMAIL"),
    *("ER_MISSING_ARGUMENT", "ER_INVALID_DENSITY_MODE", "ER_INVALID_SORT_MODE"),
    *("ER_INVALID_TIME_RANGE", "ER_INVALID_EMAIL_ADDRESS", "ER_INVALID_MAC_ADDRESS"),
    *("ER_INVALID_ENUM_VALUE",),
}


def mailed_code(email):
    return json.loads(OutgoingMail.objects.filter(address=email).latest("pk").variables)["token"]


class App:
    """A client with its own headers. `send` returns the decoded answer."""

    headers: dict[str, str] = {}
    content_type = "application/json"

    def __init__(self):
        self.client = Client()
        self.token = ""
        self.statuses = []

    def authorization(self):
        return {"Authorization": self.token} if self.token else {}

    def send(self, method, path, body=None):
        content = b"" if body is None else json.dumps(body).encode()
        return self.send_bytes(method, path, content, self.content_type, self.authorization())

    def put(self, url, content, content_type):
        """The second step of an upload, without a token."""
        assert url.startswith("http://testserver/")
        return self.send_bytes("PUT", url.removeprefix("http://testserver"), content, content_type)

    def send_bytes(self, method, path, content, content_type, authorization=None):
        reply = self.client.generic(
            method,
            path,
            content,
            content_type=content_type,
            headers={**self.headers, **(authorization or {})},
        )
        self.statuses.append(reply.status_code)
        assert reply["Content-Type"] == "application/json"
        answer = json.loads(reply.content)
        self.read(reply, answer)
        return answer

    def read(self, reply, answer):
        assert answer["result"] in ("success", "error")
