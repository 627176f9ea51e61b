"""Combinations of settings that would fail at 3 a.m.: refused at start, with a hint."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security)
def encryption_keys(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """ENCRYPTION_KEYS must be Fernet keys, at least one."""
    try:
        usable = bool([Fernet(key) for key in settings.ENCRYPTION_KEYS])
    except ValueError:
        usable = False
    if usable:
        return []
    return [
        Error(
            "ENCRYPTION_KEYS holds no usable key.",
            hint="Make one: python -c 'from cryptography.fernet import Fernet; "
            "print(Fernet.generate_key().decode())'. Several are separated by commas; "
            "the first one encrypts.",
            id="ruuvinet.E001",
        )
    ]


@register()
def gateway_rate(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Outside 1 to 3600 a gateway takes its own 10 seconds instead."""
    if 1 <= settings.GATEWAY_RATE_S <= 3600:
        return []
    return [
        Error(
            f"GATEWAY_RATE_S is {settings.GATEWAY_RATE_S}; gateways ignore it.",
            hint="Use 1 to 3600 seconds.",
            id="ruuvinet.E002",
        )
    ]


@register()
def partition_days(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """How late a reading may come depends on it, and how much is dropped at once."""
    if 1 <= settings.PARTITION_DAYS <= 31:
        return []
    return [
        Error(
            f"PARTITION_DAYS is {settings.PARTITION_DAYS}.",
            hint="Use 1 to 31; 7 is a week.",
            id="ruuvinet.E020",
        )
    ]


@register()
def gateway_policy(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """A policy that is misspelt would let nobody in."""
    known = {"signature", "either", "both", "certificate"}
    if settings.GATEWAY_POLICY in known:
        return []
    return [
        Error(
            f"GATEWAY_POLICY is {settings.GATEWAY_POLICY!r}.",
            hint=f"Use one of {', '.join(sorted(known))}.",
            id="ruuvinet.E011",
        )
    ]


@register()
def public_url(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Allowed hosts and secure cookies follow from its host and scheme."""
    parts = urlsplit(settings.PUBLIC_URL)
    if parts.scheme in {"http", "https"} and parts.hostname:
        return []
    return [
        Error(
            f"PUBLIC_URL is {settings.PUBLIC_URL!r}, which is no address.",
            hint="Write it with its scheme, for example https://ruuvi.example.com.",
            id="ruuvinet.E005",
        )
    ]


@register()
def web_process(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """A process that may do nothing answers nobody."""
    return [
        Error(f"{name} is {value}.", hint="Use at least 1.", id="ruuvinet.E004")
        for name, value in [
            ("QUEUE_LIMIT", settings.QUEUE_LIMIT),
            ("WEB_THREADS", settings.WEB_THREADS),
        ]
        if value < 1
    ]


@register()
def fcm_credentials(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """An emulator without credentials would look like push that works."""
    if settings.FCM_BASE_URL and not settings.FCM_SERVICE_ACCOUNT_FILE:
        return [
            Error(
                "FCM_BASE_URL is set without FCM_SERVICE_ACCOUNT_FILE.",
                hint="manage.py fcm_emulator --service-account-file PATH writes one.",
                id="ruuvinet.E003",
            )
        ]
    return []


@register()
def retention(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Less than a day would empty the audit trail, or another history, each night."""
    names = (
        "AUDIT_RETENTION_DAYS",
        "ALERT_RETENTION_DAYS",
        "GATEWAY_HISTORY_DAYS",
        "DENSE_RETENTION_DAYS",
        "SPARSE_RETENTION_DAYS",
    )
    return [
        Error(f"{name} is {getattr(settings, name)}.", hint="Use 1 or more.", id="ruuvinet.E010")
        for name in names
        if getattr(settings, name) < 1
    ]
