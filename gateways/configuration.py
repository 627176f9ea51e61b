"""Remote configuration of gateways: which keys there are, which are secret, what is valid. Pure, but for
the language of its complaints."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from ruuvinet.lib.mac import Mac

Document = dict[str, Any]
Check = Callable[[Any], bool]

MASK = "********"  # what is shown in place of a secret, and keeps it when it is saved
SECRETS = {
    "remote_cfg_auth_basic_pass", "remote_cfg_auth_bearer_token", "http_pass",
    "http_bearer_token", "http_api_key", "http_stat_pass", "mqtt_pass", "lan_auth_pass",
    "lan_auth_api_key", "lan_auth_api_key_rw",
}  # fmt: skip
WITH_PASSWORD = {"wifi_sta_config", "wifi_ap_config"}
URLS = {"remote_cfg_url", "http_url", "http_stat_url", "fw_update_url"}


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _int(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _text(longest: int = 255) -> Check:
    return lambda value: isinstance(value, str) and len(value) <= longest and "\0" not in value


def _one_of(*choices: str) -> Check:
    return lambda value: value in choices


def _is_url(value: Any) -> bool:
    if not _text()(value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_remote_url(value: Any) -> bool:
    """The firmware wants a dot in the host, and three characters."""
    host = (urlsplit(value).hostname or "") if _is_url(value) else ""
    return "." in host and len(host) >= 3


def _are_macs(value: Any) -> bool:
    if not isinstance(value, list) or len(value) > 100:
        return False
    try:
        return all(isinstance(text, str) and Mac.parse(text) for text in value)
    except ValueError:
        return False


def _wifi(**fields: Check) -> Check:
    return lambda value: (
        isinstance(value, dict)
        and value.keys() <= fields.keys()
        and all(fields[name](one) for name, one in value.items())
    )


_DATA_FORMATS = ("ruuvi", "ruuvi_raw_and_decoded", "ruuvi_decoded")
_BOOLEANS = [
    "remote_cfg_use_ssl_client_cert",
    "remote_cfg_use_ssl_server_cert",
    "use_http_ruuvi",
    "use_http",
    "http_use_ssl_client_cert",
    "http_use_ssl_server_cert",
    "http_use_extra_http_path",
    "http_use_extra_http_query",
    "http_use_extra_http_headers",
    "use_http_stat",
    "http_stat_use_ssl_client_cert",
    "http_stat_use_ssl_server_cert",
    "use_mqtt",
    "mqtt_disable_retained_messages",
    "mqtt_use_ssl_client_cert",
    "mqtt_use_ssl_server_cert",
    "ntp_use",
    "ntp_use_dhcp",
    "company_use_filtering",
    "scan_coded_phy",
    "scan_1mbit_phy",
    "scan_2mbit_phy",
    "scan_channel_37",
    "scan_channel_38",
    "scan_channel_39",
    "scan_default",
    "scan_filter_allow_listed",
    "use_eth",
    "eth_dhcp",
]
_TEXTS = [
    "mqtt_server",
    "mqtt_prefix",
    "mqtt_client_id",
    "mqtt_user",
    "mqtt_pass",
    "lan_auth_user",
    "lan_auth_pass",
    "lan_auth_api_key",
    "lan_auth_api_key_rw",
    "ntp_server1",
    "ntp_server2",
    "ntp_server3",
    "ntp_server4",
    "eth_static_ip",
    "eth_netmask",
    "eth_gw",
    "eth_dns1",
    "eth_dns2",
    "remote_cfg_auth_bearer_token",
    "http_bearer_token",
    "http_api_key",
]
_KEYS: dict[str, Check] = {
    **dict.fromkeys(_BOOLEANS, _is_bool),
    **dict.fromkeys(_TEXTS, _text()),
    "remote_cfg_use": lambda value: value is True,  # a gateway takes no document without it
    "remote_cfg_url": _is_remote_url,
    "remote_cfg_auth_type": _one_of("none", "no", "basic", "bearer"),
    "remote_cfg_auth_basic_user": _text(50),
    "remote_cfg_auth_basic_pass": _text(50),
    "remote_cfg_refresh_interval_minutes": _int(0, 65535),
    "http_url": _is_url,
    "http_period": _int(1, 3600),
    "http_data_format": _one_of(*_DATA_FORMATS),
    "http_auth": _one_of("none", "basic", "bearer", "token", "api_key"),
    "http_user": _text(50),
    "http_pass": _text(50),
    "http_stat_url": _is_url,
    "http_stat_user": _text(50),
    "http_stat_pass": _text(50),
    "mqtt_transport": _one_of("TCP", "SSL", "WS", "WSS"),
    "mqtt_data_format": _one_of("ruuvi_raw", *_DATA_FORMATS[1:]),
    "mqtt_port": _int(1, 65535),
    "mqtt_sending_interval": _int(0, 3600),
    "lan_auth_type": _one_of(
        "lan_auth_default", "lan_auth_ruuvi", "lan_auth_digest", "lan_auth_basic",
        "lan_auth_allow", "lan_auth_deny",
    ),
    "auto_update_cycle": _one_of("regular", "beta", "manual"),
    "auto_update_weekdays_bitmask": _int(0, 127),
    "auto_update_interval_from": _int(0, 24),
    "auto_update_interval_to": _int(0, 24),
    "auto_update_tz_offset_hours": _int(-12, 14),
    "fw_update_url": _is_url,
    "company_id": _int(0, 65535),
    "scan_filter_list": _are_macs,
    "coordinates": _text(63),
    "wifi_sta_config": _wifi(ssid=_text(32), password=_text(64)),
    "wifi_ap_config": _wifi(password=_text(64), channel=_int(1, 14)),
}  # fmt: skip


def parse(text: str) -> Document:
    """A template or overrides as typed. Raises ValueError, saying what is wrong with which key."""
    if not text.strip():
        return {}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(_("This is not valid JSON.")) from error
    if not isinstance(document, dict):
        raise ValueError(_("This is not a JSON object."))
    ensure_valid(document)
    return document


def ensure_valid(document: Mapping[str, Any]) -> None:
    """Raises ValueError."""
    for name, value in document.items():
        if name not in _KEYS:
            raise ValueError(_("No gateway knows the key %r.") % name[:64])
        if not _KEYS[name](value):
            raise ValueError(_("%s: no gateway takes this value.") % name)


def holds_secrets(document: Mapping[str, Any]) -> bool:
    """Whether it must not be served to everybody. A URL may carry a secret before @ or after ?."""
    passwords = [document.get(name, {}).get("password") for name in WITH_PASSWORD]
    urls = [str(document.get(name, "")) for name in URLS]
    return (
        any(document.get(name) for name in SECRETS)
        or any(passwords)
        or any("?" in url or "@" in url for url in urls)
    )


def masked(document: Document) -> Document:
    """As it may be shown."""
    return _with_secrets(document, lambda *_: MASK)


def unmasked(document: Document, stored: Document) -> Document:
    """`document` as it was edited, with the secrets of `stored` where the mask was left."""

    def secret(value: str, *place: str) -> str:
        if value != MASK:
            return value
        before: Any = stored
        for name in place:
            before = before.get(name, {}) if isinstance(before, dict) else {}
        if not isinstance(before, str):
            raise ValueError(_("%s: write the secret; none is stored.") % ".".join(place))
        return before

    return _with_secrets(document, secret)


def _with_secrets(document: Document, replace: Callable[..., str]) -> Document:
    changed = dict(document)
    for name, value in document.items():
        if name in SECRETS and value:
            changed[name] = replace(value, name)
        elif name in WITH_PASSWORD and value.get("password"):
            changed[name] = value | {"password": replace(value["password"], name, "password")}
    return changed
