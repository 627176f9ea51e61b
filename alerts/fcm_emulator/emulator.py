"""What the emulator knows and does; `server` carries it over HTTP."""

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

from alerts.fcm_emulator import account
from alerts.fcm_emulator.behaviour import Behaviour
from alerts.fcm_emulator.describe import describe
from alerts.fcm_emulator.refusals import Refused, no_longer_valid
from alerts.fcm_emulator.server import Handler, Server
from alerts.fcm_emulator.shape import parse_request

_TOKEN_LIFE_S = 3599


class FcmEmulator:
    """The server, in threads of its own, from entering the context until leaving it.

    `port` 0 takes a free one. `public_url` is how others reach it, if not by `host` and `port`
    (from another container, say). `say` is called with one or two lines of text for each push,
    by one thread at a time. Entering raises OSError if the port is taken.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        public_url: str | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._address = (host, port)
        self._public_url = public_url
        self._say = say
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._public_keys: dict[str, str] = {}  # by key id
        self._bearers: dict[str, float] = {}  # until when on the monotonic clock
        self._behaviours: dict[str | None, Behaviour] = {}  # by FCM token; None is every token
        self._messages: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._server = Server(self._address, partial(Handler, self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="fcm-emulator"
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()  # lets go of the requests that hang
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    @property
    def base_url(self) -> str:
        """Scheme, host and port, for FCM_BASE_URL."""
        if self._public_url:
            return self._public_url.rstrip("/")
        if self._server is None:
            raise RuntimeError("the emulator has not been started")
        host, port = self._server.server_address[:2]
        if isinstance(host, bytes):
            host = host.decode()
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104  # compared, not bound

    @property
    def token_uri(self) -> str:
        return f"{self.base_url}/token"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What was accepted, oldest first.

        Each is `{"name", "received_at" (ISO 8601, UTC), "message" (as it was sent)}`.
        """
        with self._lock:
            return list(self._messages)

    def clear(self) -> None:
        """Forget the accepted messages."""
        with self._lock:
            self._messages.clear()

    def behave(
        self,
        mode: str,
        *,
        retry_after_s: float | str | None = None,
        times: int | None = None,
        token: str | None = None,
        hang_s: float = 60.0,
    ) -> Behaviour:
        """Answer the next valid sends with `mode`: one of `MODES`.

        For `times` sends, or until told otherwise; for one FCM `token` only, or for all.
        `retry_after_s` becomes the Retry-After header as it is, so it may be text. "hang" holds
        the connection `hang_s` seconds and then drops it. "ok" for all tokens forgets everything.
        Raises ValueError.
        """
        behaviour = Behaviour(mode, retry_after_s, times, token, hang_s)
        with self._lock:
            if mode == "ok" and token is None:
                self._behaviours.clear()
            else:
                self._behaviours[token] = behaviour
        return behaviour

    def service_account_file(self, path: str | os.PathLike[str]) -> Path:
        """Make `path` a service account file for this emulator, readable by its owner only.

        A file this emulator wrote before keeps its key, and is pointed at the present address.
        Raises ValueError, and leaves it alone, if the file is anything else; OSError.
        """
        path = Path(path)
        info = account.read_own(path) if path.exists() else account.new_service_account()
        public_key = account.public_pem(info["private_key"])
        with self._lock:
            self._public_keys[info["private_key_id"]] = public_key
        text = json.dumps(info | {"token_uri": self.token_uri}, indent=2) + "\n"
        account.write_private(path, text)
        return path

    # --- What the handler asks ---------------------------------------------------------------

    def issue_bearer(self, form: Mapping[str, list[str]]) -> dict[str, Any]:
        """An access token for a correctly signed assertion. Raises ValueError saying why not."""
        if form.get("grant_type") != [account.GRANT_TYPE]:
            raise ValueError("grant_type must be " + account.GRANT_TYPE)
        with self._lock:
            keys = dict(self._public_keys)
        # google-auth names Google's endpoint even when it asks another; other libraries name ours.
        audiences = [account.GOOGLE_TOKEN_URI, self.token_uri]
        account.verify_assertion(form.get("assertion", [""])[0], keys=keys, audiences=audiences)
        bearer = "ya29." + secrets.token_urlsafe(48)
        with self._lock:
            self._bearers[bearer] = time.monotonic() + _TOKEN_LIFE_S
        return {"access_token": bearer, "expires_in": _TOKEN_LIFE_S, "token_type": "Bearer"}

    def send(self, project_id: str, bearer: str, body: bytes) -> dict[str, Any]:
        """Accept one `messages:send`; returns its answer. Raises Refused, Hang."""
        with self._lock:
            if self._bearers.get(bearer, 0.0) < time.monotonic():
                raise no_longer_valid()
        if project_id != account.PROJECT_ID:
            raise Refused(403, "PERMISSION_DENIED", f"Permission denied on project {project_id}")
        request = parse_request(body)
        message = request["message"]
        self._misbehave(message.get("token"), bearer)
        if request.get("validate_only") or request.get("validateOnly"):
            return {"name": f"projects/{project_id}/messages/fake_message_id"}
        name = f"projects/{project_id}/messages/0:{time.time_ns()}%{secrets.token_hex(8)}"
        received_at = datetime.now(tz=UTC)
        with self._lock:
            self._messages.append(
                {"name": name, "received_at": received_at.isoformat(), "message": message}
            )
            if self._say is not None:
                self._say(describe(message, received_at=received_at))
        return {"name": name}

    def wait_hanging(self, wait_s: float) -> None:
        """Hold a request, until the emulator stops at the latest."""
        self._stopping.wait(wait_s)

    def _misbehave(self, token: str | None, bearer: str) -> None:
        with self._lock:
            told = (self._behaviours.get(token), self._behaviours.get(None))
            behaviour = next((each for each in told if each and each.times != 0), None)
            if behaviour is None:
                return
            if behaviour.times is not None:
                behaviour.times -= 1
            if behaviour.mode == "expired_token":
                self._bearers.pop(bearer, None)
        behaviour.carry_out()
