"""`manage.py doctor`: what is wrong with this installation, in plain words, and how to mend it.

One small function for each thing that can be wrong, all in CHECKS. What the settings alone show is
left to Django's system checks, which also refuse to start: ruuvinet.checks.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import NamedTuple

import requests
from django.conf import settings
from django.core import checks as django_checks
from django.core.mail import get_connection
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts.models import User
from alerts.models import PushToken
from alerts.selectors import evaluation_backlog
from alerts.transports.base import DeliveryError
from alerts.transports.fcm import FcmClient
from gateways.models import Gateway
from operations.models import Heartbeat
from ruuvinet import health

log = logging.getLogger(__name__)

OLDEST_POSTGRESQL = 15
FREE_BYTES = 1_000_000_000
CLOCK_TOLERANCE_S = 5
MANY_MESSAGES = 1000
LATE_S = 300
SHORTEST_SECRET = 20  # characters
PATIENCE_S = 5.0
SECRETS = ("SECRET_KEY", "INTERNAL_SECRET", "SHOP_SECRET", "METRICS_TOKEN")
# As examples and haste have them; all longer than SHORTEST_SECRET are refused by what they begin with.
DEFAULTS = ("change", "secret", "password", "example", "django-insecure", "tests-only", "your")


class Finding(NamedTuple):
    """Something that is wrong, and what mends it."""

    problem: str
    mend: str


Check = Callable[[], Iterator[Finding]]


def examine() -> Iterator[tuple[str, list[Finding]]]:
    """Each check's name and what it found; those that need a database only while there is one."""
    _asked.cache_clear()
    is_there = True
    for name, check in CHECKS.items():
        if not is_there and name in NEED_DATABASE:
            continue
        found = _look(check)
        is_there = is_there and not (found and name in {"database", "migrations"})
        yield name, found


def _look(check: Check) -> list[Finding]:
    try:
        return list(check())
    except Exception as error:  # a doctor that dies of one illness finds no other
        log.debug("a check failed", exc_info=error)
        return [Finding(f"This could not be looked at: {error!r}.", "Look at what else is wrong.")]


# --- Settings --------------------------------------------------------------------------------
def _settings() -> Iterator[Finding]:
    """On the internet also what `manage.py check --deploy` says."""
    is_public = settings.PUBLIC_URL.startswith("https:")
    for message in django_checks.run_checks(include_deployment_checks=is_public):
        is_said_below = message.id == "security.W009"  # of the secret key
        if message.level >= django_checks.WARNING and not (message.is_silenced() or is_said_below):
            yield Finding(message.msg, message.hint or f"See docs/settings.md ({message.id}).")


def _debug() -> Iterator[Finding]:
    if settings.DEBUG and settings.HOST not in {"127.0.0.1", "::1", "localhost"}:
        yield Finding(
            "DEBUG is on, and others can reach this server: its error pages show settings.",
            "Set DEBUG=false.",
        )


def _secrets() -> Iterator[Finding]:
    given = [
        (name, secret.strip())
        for name in SECRETS
        for secret in str(getattr(settings, name)).split(",")
        if secret.strip()
    ]
    for name, secret in given:
        if len(secret) < SHORTEST_SECRET or len(set(secret)) < 8:
            yield Finding(f"{name} can be guessed: it is too short or too regular.", _NEW_SECRET)
        elif secret.lower().startswith(DEFAULTS):
            yield Finding(f"{name} looks like one that an example gave.", _NEW_SECRET)
    owners: dict[str, str] = {}
    for name, secret in given:
        if owners.setdefault(secret, name) != name:
            yield Finding(
                f"{name} and {owners[secret]} are the same: whoever is given one has both.",
                _NEW_SECRET,
            )


_NEW_SECRET = "Set it to what `openssl rand -hex 32` prints."  # noqa: S105  # an advice


def _secret_files() -> Iterator[Finding]:
    for path in (settings.BASE_DIR / ".env", settings.DATA_DIR / "secrets.env"):
        if path.is_file() and path.stat().st_mode & 0o077:
            yield Finding(f"{path} holds secrets, and others may read it.", f"chmod 600 {path}")


def _proxies() -> Iterator[Finding]:
    if settings.PUBLIC_URL.startswith("https:") and not settings.TRUSTED_PROXIES:
        yield Finding(
            "PUBLIC_URL is https, so a proxy stands in front, but no proxy is trusted: every client "
            "has the proxy's address, is counted and blocked as one, and certificates do not count.",
            "Set TRUSTED_PROXIES to the proxy's address, 127.0.0.1 if it is on this machine.",
        )
    for network in settings.TRUSTED_PROXIES:
        if network.prefixlen == 0:
            yield Finding(
                f"TRUSTED_PROXIES holds {network}: anybody may invent the address they come from.",
                "Name only the addresses of your own proxies.",
            )


# --- Database --------------------------------------------------------------------------------
def _database() -> Iterator[Finding]:
    try:
        connection.ensure_connection()
        (version, *_) = connection.get_database_version()
        if connection.vendor == "postgresql" and version < OLDEST_POSTGRESQL:
            yield Finding(
                f"PostgreSQL is older than {OLDEST_POSTGRESQL}.", "Upgrade the database server."
            )
    except (DatabaseError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        yield Finding(
            f"The database cannot be reached: {reason}.",
            "Start it, and look at DATABASE_URL: host, port, user, password and name.",
        )


def _migrations() -> Iterator[Finding]:
    if problem := health.database_part().problem:
        yield Finding(f"{problem.capitalize()}.", "Run `manage.py migrate`.")


def _partitions() -> Iterator[Finding]:
    if health.partitions_part(timezone.now()).problem:
        yield Finding(
            "The history has no partition for tomorrow; soon readings cannot be stored.",
            "Start beat and a worker, which make them each hour, or restart `manage.py serve`, and "
            "look into the log for why they were not made.",
        )


def _stored_secrets() -> Iterator[Finding]:
    sample = Gateway.objects.whitelisted().exclude(secret="").values_list("secret", flat=True)[:100]
    if sample and not any(sample):
        yield Finding(
            "None of ENCRYPTION_KEYS can read the stored keys of gateways: all posts are refused.",
            "Put the key back that was used before, behind the new one, or whitelist them again.",
        )


def _console() -> Iterator[Finding]:
    if not User.objects.filter(is_superuser=True, is_active=True).exists():
        yield Finding("Nobody can use the console.", "Run `manage.py createsuperuser`.")


# --- Jobs ------------------------------------------------------------------------------------
def _broker() -> Iterator[Finding]:
    lengths = health.queue_lengths()
    if lengths is None:
        yield Finding(
            "The broker cannot be reached: alerts and mails wait for it.",
            "Start Redis and look at REDIS_URL."
            if settings.REDIS_URL
            else f"Let the user who runs RuuviNet write to {settings.DATA_DIR / 'broker'}.",
        )
    for queue, length in (lengths or {}).items():
        if length > MANY_MESSAGES:
            yield Finding(
                f"{length} messages wait in the queue {queue}: the workers are behind, or none runs.",
                "Start more workers (`celery -A ruuvinet worker`) and look at their log.",
            )


def _jobs() -> Iterator[Finding]:
    names = {
        Heartbeat.BEAT: ("The timetable (beat)", "celery -A ruuvinet beat"),
        Heartbeat.WORKER: ("The worker that judges alerts", "celery -A ruuvinet worker"),
        Heartbeat.DELIVERY: ("The worker that sends", "celery -A ruuvinet worker -Q delivery"),
    }
    for part in health.heartbeat_parts(timezone.now()):
        if part.problem:
            what, command = names[part.name]
            yield Finding(
                f"{what} does not work: {part.problem}.",
                f"`make run` or systemd (docs/deployment.md) starts it; otherwise `{command}`. After a start "
                "it takes a minute.",
            )


def _judging() -> Iterator[Finding]:
    behind, lag_s = evaluation_backlog(timezone.now())
    if lag_s > LATE_S:
        yield Finding(
            f"Readings of {behind} sensors wait for their rules, the first for {lag_s} s.",
            "Start more workers (`celery -A ruuvinet worker`) and look at their log.",
        )


# --- The machine and the world ---------------------------------------------------------------
def _database_clock() -> Iterator[Finding]:
    if connection.vendor != "postgresql":  # a file has no clock of its own
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        yield from _compared(cursor.fetchone()[0], "the database's server")


def _public_clock() -> Iterator[Finding]:
    """A server that answers at PUBLIC_URL says its time with each answer, to the second."""
    answer = _asked()
    if isinstance(answer, requests.Response) and (date := answer.headers.get("Date")):
        yield from _compared(parsedate_to_datetime(date), "the server at PUBLIC_URL")


def _compared(at: datetime, whose: str) -> Iterator[Finding]:
    offset_s = abs((timezone.now() - at).total_seconds())
    if offset_s > CLOCK_TOLERANCE_S:
        yield Finding(
            f"The clocks of this machine and of {whose} differ by {offset_s:.0f} s.",
            "Let both keep the time (`timedatectl set-ntp true`): what is judged depends on it.",
        )


def _disk() -> Iterator[Finding]:
    folder = settings.DATA_DIR
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        yield Finding(f"{folder} cannot be written to.", "Give it to the user who runs RuuviNet.")
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        yield Finding(
            f"{free / 1e9:.1f} GB are left on the disk of {folder}.",
            "Make room. What cannot be stored is refused, and gateways keep it only for a while.",
        )


def _public_url() -> Iterator[Finding]:
    answer = _asked()
    url = f"{settings.PUBLIC_URL}/health"
    if isinstance(answer, requests.exceptions.SSLError):
        yield Finding(
            f"{url} has a certificate that this machine does not trust; nor will phones.",
            "Let the proxy serve a valid certificate with its whole chain, for this very name.",
        )
    elif isinstance(answer, requests.RequestException):
        yield Finding(
            f"Nobody answers at {url}.",
            "Start RuuviNet; if it runs, look at PUBLIC_URL, at the name's address and the proxy.",
        )
    elif answer.status_code != 200 or answer.content != health.LIVE:
        yield Finding(
            f"At {url} somebody else answers, or a proxy that does not lead here "
            f"(status {answer.status_code}).",
            "Look at PUBLIC_URL and at the proxy. It must not redirect.",
        )


@cache
def _asked() -> requests.Response | requests.RequestException:
    """What is answered at PUBLIC_URL, asked once for each examination."""
    try:
        return requests.get(
            f"{settings.PUBLIC_URL}/health", timeout=PATIENCE_S, allow_redirects=False
        )
    except requests.RequestException as error:
        return error


def _push() -> Iterator[Finding]:
    if not settings.FCM_SERVICE_ACCOUNT_FILE:
        return
    client = FcmClient(
        settings.FCM_SERVICE_ACCOUNT_FILE, base_url=settings.FCM_BASE_URL, timeout_s=PATIENCE_S
    )
    try:
        client.sign_in()
    except DeliveryError as error:
        yield Finding(
            f"Pushes cannot be sent: {error.message}.",
            "Give FCM_SERVICE_ACCOUNT_FILE a fresh key of a service account of your Firebase "
            "project: docs/alerts.md.",
        )


def _push_wanted() -> Iterator[Finding]:
    phones = PushToken.objects.filter(retired_at=None).count()
    if phones and not settings.FCM_SERVICE_ACCOUNT_FILE:
        yield Finding(
            f"{phones} phones want pushes, and there are no credentials of Firebase.",
            "Set FCM_SERVICE_ACCOUNT_FILE: docs/alerts.md.",
        )


def _mail() -> Iterator[Finding]:
    """Signs in as for sending, and sends nothing."""
    if not settings.EMAIL_URL:
        return
    try:
        with get_connection(timeout=PATIENCE_S):
            pass
    except OSError as error:  # which SMTPException is too
        reason = f"{type(error).__name__} {getattr(error, 'smtp_code', '')}".strip()
        yield Finding(
            f"The mail server cannot be used ({reason}).",
            "Look at EMAIL_URL: scheme (smtp+tls, smtp+ssl), host, port, user and password.",
        )


CHECKS: dict[str, Check] = {
    "settings": _settings,
    "debug": _debug,
    "secrets": _secrets,
    "secret files": _secret_files,
    "proxies": _proxies,
    "disk": _disk,
    "database": _database,
    "migrations": _migrations,
    "partitions": _partitions,
    "stored secrets": _stored_secrets,
    "console": _console,
    "broker": _broker,
    "jobs": _jobs,
    "judging": _judging,
    "clock": _database_clock,
    "public url": _public_url,
    "public clock": _public_clock,
    "push": _push,
    "phones": _push_wanted,
    "mail": _mail,
}
NEED_DATABASE = {
    *("migrations", "partitions", "stored secrets", "console", "jobs", "judging", "clock"),
    "phones",
}
