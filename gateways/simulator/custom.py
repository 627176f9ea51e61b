"""What the owner of a gateway chose on its page for a custom server, and remote configuration."""

import json
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateways.simulator.client import Answer, Endpoint, NoAnswer

AUTH_MODES = ("none", "basic", "bearer", "token", "api_key")
BODY_FORMATS = ("ruuvi", "ruuvi_raw_and_decoded", "ruuvi_decoded")
# Gateway firmware: all of a download but Host and authorization.
_DOWNLOAD = {"Accept": "text/html,application/octet-stream,*/*", "User-Agent": "RuuviGateway"}


class NotConfigured(Exception):
    """The server has no usable configuration; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom:
    """How to authorize and what to send. `secret` of Basic is `user:password`."""

    auth: str = "none"
    secret: str = ""
    body_format: str = "ruuvi"
    header: str = ""  # one more, `Name: value`

    def headers(self) -> dict[str, str]:
        """The headers that a post carries because of these choices."""
        authorization = {
            "none": "",
            "basic": f"Basic {b64encode(self.secret.encode()).decode()}",
            "bearer": f"Bearer {self.secret}",
            "token": f"Token {self.secret}",
            "api_key": self.secret,
        }[self.auth]
        headers = {"Authorization": authorization} if authorization else {}
        name, _, value = self.header.partition(":")
        return headers | ({name.strip(): value.strip()} if value else {})


@dataclass(frozen=True, slots=True)
class Configured:
    """What a downloaded configuration says about posts."""

    url: str
    period_s: int
    custom: Custom


async def download(url: str, mac: str, custom: Custom) -> Configured:
    """Fetch a configuration as the firmware does: by MAC, then the fallback. Raises NotConfigured.

    A `url` that ends in .json is fetched as it is.
    """
    base = url.rstrip("/")
    urls = [f"{base}/{mac.replace(':', '')}.json", f"{base}/gw_cfg.json"]
    answer = Answer(0)
    for place in [url] if urlsplit(url).path.endswith(".json") else urls:
        try:
            answer = await Endpoint(place).get(
                {**_DOWNLOAD, "ruuvi_gw_mac": mac, **custom.headers()}
            )
        except NoAnswer as exc:
            raise NotConfigured(str(exc)) from exc
        if answer.status == 200:
            return read(answer.body)
    raise NotConfigured(f"status {answer.status} {answer.body[:200].decode(errors='replace')}")


def read(body: bytes) -> Configured:
    """Take over what a document says, as the firmware does. Raises NotConfigured."""
    try:
        document = json.loads(body) if body.startswith(b"{") else None
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("remote_cfg_use") is not True:
        raise NotConfigured("not a configuration with remote_cfg_use")
    auth = document.get("http_auth", "none")
    secrets = {
        "basic": f"{document.get('http_user', '')}:{document.get('http_pass', '')}",
        "bearer": document.get("http_bearer_token", ""),
        "token": document.get("http_api_key", ""),
        "api_key": document.get("http_api_key", ""),
    }
    body_format = document.get("http_data_format", "ruuvi")
    custom = Custom(
        auth=auth if auth in AUTH_MODES else "none",
        secret=secrets.get(auth, ""),
        body_format=body_format if body_format in BODY_FORMATS else "ruuvi",
    )
    return Configured(document.get("http_url", ""), int(document.get("http_period", 10)), custom)
