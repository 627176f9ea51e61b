"""The one door to Firebase Cloud Messaging (HTTP v1)."""

import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from os import PathLike
from typing import Any, NamedTuple

import google.auth.transport
import msgspec
import requests
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import service_account
from pyfcm import FCMNotification
from requests.adapters import HTTPAdapter

from .base import DeliveryError

GOOGLE_BASE_URL = "https://fcm.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"

_LONGEST_RETRY_AFTER_S = 24 * 3600.0  # beyond a day it is a mistake, not a request


class FcmClient(FCMNotification):  # type: ignore[misc]  # the base is untyped
    """pyfcm with the parts replaced that must not run inside a worker.

    pyfcm sleeps for as long as Retry-After says, repeats a refused access token for ever, retries
    and sleeps again in urllib3 and in google-auth, fetches one access token per thread and half
    hour, waits two minutes for an answer, and reads every 403 and 404 as a dead device. Here a
    call is one request, a second one only after a refused access token, and every failure is a
    DeliveryError for the caller to schedule. Safe to share between threads.

    `base_url` is the scheme and host of an emulator; empty means Google. Access tokens come from
    the `token_uri` that the service account file names. `timeout_s` bounds connecting and each
    wait for an answer, of either server.
    """

    def __init__(
        self,
        service_account_file: str | PathLike[str],
        *,
        base_url: str | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        super().__init__(service_account_file=str(service_account_file))
        self._path = str(service_account_file)
        self._base_url = (base_url or GOOGLE_BASE_URL).rstrip("/")
        self._emulated = bool(base_url)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()  # one thread fetches an access token, the others use it
        self._account: service_account.Credentials | None = None

    def deliver(self, message: Mapping[str, Any]) -> str:
        """Send one FCM v1 `message` to its `token`; returns "projects/<project>/messages/<id>".

        Raises DeliveryError.
        """
        shown = message.get("notification", {})
        reply = self.notify(
            fcm_token=message["token"],
            notification_title=shown.get("title"),
            notification_body=shown.get("body"),
            data_payload=message.get("data"),
            android_config=message.get("android"),
            apns_config=message.get("apns"),
            timeout=self._timeout_s,
        )
        return str(reply["name"])

    def sign_in(self) -> None:
        """Fetch an access token, unless there is one. Raises DeliveryError."""
        self._access()

    def send_request(
        self, payload: bytes | None = None, timeout: float | None = None
    ) -> requests.Response:
        """POST `payload`, once more if the access token was refused. Raises DeliveryError."""
        access = self._access()
        response = self._post(payload, access, timeout)
        if response.status_code == 401:
            access = self._access(refused=access.token)
            response = self._post(payload, access, timeout)
            if response.status_code == 401:
                self._forget(access.token)
        return response

    def parse_response(self, response: requests.Response) -> dict[str, str]:
        """The accepted message's name. Raises DeliveryError."""
        if response.status_code != 200:
            after = retry_after_s(response.headers.get("Retry-After"), now=datetime.now(tz=UTC))
            raise _refusal(response.status_code, response.content, after)
        try:
            accepted = msgspec.json.decode(response.content, type=_Accepted)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            # Something between us and Google, a proxy's sign-in page perhaps, said "200".
            raise DeliveryError("the answer is not Firebase's", permanent=False) from exc
        return {"name": accepted.name}

    @property
    def requests_session(self) -> requests.Session:
        """This thread's session: keeps its connection and, unlike pyfcm's, never retries."""
        session: requests.Session | None = getattr(self.thread_local, "session", None)
        if session is None:
            session = self.thread_local.session = self._new_session()
        return session

    @property
    def fcm_end_point(self) -> str:
        """What the rest of pyfcm sends to."""
        return self._access().url

    def _get_access_token(self) -> str:
        """What the rest of pyfcm sends with."""
        return self._access().token

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.mount("http://", HTTPAdapter(max_retries=0))
        session.mount("https://", HTTPAdapter(max_retries=0))
        # Google may be behind the environment's proxy; an emulator beside us never is.
        session.trust_env = not self._emulated
        return session

    def _post(
        self, payload: bytes | None, access: "_Access", timeout: float | None
    ) -> requests.Response:
        wait_s = timeout or self._timeout_s
        try:
            return self.requests_session.post(
                access.url,
                data=payload,
                headers={"Content-Type": "application/json; charset=utf-8"},
                auth=_Bearer(access.token),
                timeout=(wait_s, wait_s),
                allow_redirects=False,
            )
        except requests.RequestException as exc:
            raise _unreachable("Firebase", exc) from exc

    def _access(self, refused: str | None = None) -> "_Access":
        """Where to send and with which access token, fetched if there is none or it was refused."""
        with self._lock:
            account = self._account or self._load_account()
            # Another thread may already have replaced the refused one.
            if not account.valid or account.token == refused:
                self._refresh(account)
            self._account = account
            url = f"{self._base_url}/v1/projects/{account.project_id}/messages:send"
            return _Access(url=url, token=str(account.token))

    def _load_account(self) -> service_account.Credentials:
        try:
            account = service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
                self._path, scopes=[SCOPE]
            )
        except OSError as exc:
            raise _misconfigured(f"cannot read {self._path}: {exc.strerror}") from exc
        # google-auth looks inside the file's JSON without asking first whether it is an object.
        except (GoogleAuthError, ValueError, TypeError, AttributeError) as exc:
            raise _misconfigured(f"{self._path} is not a service account file") from exc
        if not account.project_id:
            raise _misconfigured(f"{self._path} names no project_id")
        loaded: service_account.Credentials = account
        return loaded

    def _refresh(self, account: service_account.Credentials) -> None:
        # Until this succeeds, nothing is kept: the next call reads the file anew, so that a
        # mended one is used without a restart.
        self._account = None
        with self._new_session() as session:
            try:
                account.refresh(_TokenRequest(session, self._timeout_s))  # type: ignore[no-untyped-call]
            except (GoogleAuthError, ValueError, TypeError) as exc:
                raise _misconfigured("could not use the access token's answer") from exc

    def _forget(self, token: str) -> None:
        """Read the service account file again next time, unless another thread already did."""
        with self._lock:
            if self._account is not None and self._account.token == token:
                self._account = None


def retry_after_s(header: str | None, *, now: datetime) -> float | None:
    """Seconds from a Retry-After header (seconds or an HTTP date); None if absent or unreadable.

    Never negative, and a day at most.
    """
    text = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,15}(\.[0-9]+)?", text):
        wait_s = float(text)
    else:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        wait_s = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    return min(max(wait_s, 0.0), _LONGEST_RETRY_AFTER_S)


class _Access(NamedTuple):
    url: str
    token: str


class _Bearer(requests.auth.AuthBase):
    """As an `auth`, since requests would let a ~/.netrc entry replace a plain header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _TokenRequest(google.auth.transport.Request):
    """How google-auth reaches the token endpoint.

    google-auth's own waits two minutes for an answer. And only a complete answer returns from
    here, because google-auth sleeps and repeats on an incomplete one.
    """

    def __init__(self, session: requests.Session, timeout_s: float) -> None:
        self._session = session
        self._timeout_s = timeout_s

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_unused: Any,
    ) -> "_TokenResponse":
        wait_s = timeout or self._timeout_s
        try:
            response = self._session.request(
                method,
                url,
                data=body,
                headers=dict(headers or {}),
                timeout=(wait_s, wait_s),
                allow_redirects=False,
            )
        except requests.RequestException as exc:
            raise _unreachable("the access token server", exc) from exc
        if response.status_code != 200:
            raise _no_token(response)
        return _TokenResponse(response)


class _TokenResponse(google.auth.transport.Response):
    """google-auth's view of an answer."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def data(self) -> bytes:
        return self._response.content


class _Accepted(msgspec.Struct):
    name: str


class _Violation(msgspec.Struct):
    field: str = ""


class _Detail(msgspec.Struct, rename="camel"):
    error_code: str = ""
    field_violations: list[_Violation] = []


class _Error(msgspec.Struct):
    status: str = ""
    message: str = ""
    details: list[_Detail] = []

    @property
    def code(self) -> str:
        """FCM's own word where it gave one, else Google's general one; empty if neither."""
        words = [*(detail.error_code for detail in self.details), self.status]
        return next((word for word in words if re.fullmatch("[A-Z_]{1,40}", word)), "")

    @property
    def fields(self) -> list[str]:
        return [each.field for detail in self.details for each in detail.field_violations]

    @property
    def blames_token(self) -> bool:
        # Google does not always add the field to this sentence.
        said = "registration token is not a valid" in self.message
        return said or "message.token" in self.fields


class _ErrorReply(msgspec.Struct):
    error: _Error


class _TokenErrorReply(msgspec.Struct):
    error: str = ""


def _refusal(status: int, body: bytes, after_s: float | None) -> DeliveryError:
    """What an answer other than 200 means for the delivery and for the device."""
    error = _google_error(body)
    said = f"{status} {error.code}".strip()
    if status == 404 and error.code == "UNREGISTERED":
        return _dead("the app is no longer installed on this device", said)
    if status == 403 and error.code == "SENDER_ID_MISMATCH":
        return _dead("the app on this device belongs to another Firebase project", said)
    if status == 400 and error.blames_token:
        return _dead("the device's address is not valid", said)
    if status == 400:
        where = ", ".join(field[:60] for field in error.fields[:3])
        return DeliveryError(
            f"Firebase did not accept the message ({said}{': ' if where else ''}{where})",
            permanent=True,
        )
    if status in (401, 403):
        return _misconfigured(f"Firebase refused the service account ({said})")
    if status == 404:  # not the device: that one says UNREGISTERED
        return _misconfigured(f"Firebase does not know the project or the address ({said})")
    what = "Firebase asks to slow down" if status == 429 else "Firebase failed"
    return DeliveryError(f"{what} ({said})", permanent=False, retry_after_s=after_s)


def _google_error(body: bytes) -> _Error:
    try:
        return msgspec.json.decode(body, type=_ErrorReply).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Error()  # a proxy's page: the HTTP status alone must do


def _no_token(response: requests.Response) -> DeliveryError:
    status = response.status_code
    if status == 429 or status >= 500:
        after = retry_after_s(response.headers.get("Retry-After"), now=datetime.now(tz=UTC))
        return DeliveryError(
            f"the access token server failed ({status})", permanent=False, retry_after_s=after
        )
    try:
        code = msgspec.json.decode(response.content, type=_TokenErrorReply).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        code = ""
    said = f"{status} {code if re.fullmatch('[a-z_]{1,40}', code) else ''}".strip()
    return _misconfigured(f"the service account was refused an access token ({said})")


def _dead(reason: str, said: str) -> DeliveryError:
    return DeliveryError(f"{reason} ({said})", permanent=True, retire_address=True)


def _misconfigured(reason: str) -> DeliveryError:
    """An operator must mend it. Until then no device is to blame, so it is only temporary."""
    return DeliveryError(f"push is not set up: {reason}", permanent=False)


def _unreachable(who: str, exc: requests.RequestException) -> DeliveryError:
    # The exception's own text is long and full of object addresses; the chain keeps it.
    late = isinstance(exc, requests.Timeout)
    what = "did not answer in time" if late else "could not be reached"
    return DeliveryError(f"{who} {what}", permanent=False)
