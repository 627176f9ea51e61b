"""Refusals in Google's error shape."""

from typing import Any


class Refused(Exception):
    """An answer in Google's error shape."""

    def __init__(
        self, http_status: int, status: str, message: str, *details: dict[str, Any]
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.retry_after: float | str | None = None  # the header as it is, usually seconds
        self.body = {
            "error": {
                "code": http_status,
                "message": message,
                "status": status,
                **({"details": list(details)} if details else {}),
            }
        }


def invalid(field: str, description: str) -> Refused:
    return Refused(
        400,
        "INVALID_ARGUMENT",
        description,
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": description}],
        },
        fcm_error("INVALID_ARGUMENT"),
    )


def no_longer_valid() -> Refused:
    return Refused(
        401,
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token.",
        error_info("ACCESS_TOKEN_EXPIRED"),
    )


def fcm_error(code: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}


def error_info(reason: str) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
    }
