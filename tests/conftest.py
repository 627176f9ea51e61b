"""What every test may rely on: a database of its own, an empty broker and cache, and the cast."""

from collections.abc import Callable, Generator, Iterator
from math import inf
from typing import Any

import hypothesis
import pytest
import redis
from django.conf import settings
from django.core.cache import cache, caches
from django.db import connection, transaction
from django.test import TransactionTestCase
from django.utils import timezone
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from accounts.models import User
from accounts.services import issue_token
from gateways import directory, networks

# No timing asserts: a busy machine is no reason to fail.
hypothesis.settings.register_profile("ruuvinet", deadline=None)
hypothesis.settings.load_profile("ruuvinet")

# Hashing a password is slow on purpose, and the tests sign in often.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Look for static files when one is asked for: each new client would list all packages' files first.
settings.WHITENOISE_AUTOREFRESH = True


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test counts as failed")
    parser.addoption("--pictures", action="store_true", help="renew those in docs/pictures")


def _without_skip(report: Any, config: pytest.Config) -> Any:
    expected = hasattr(report, "wasxfail")  # an xfail is reported as skipped too
    if report.skipped and not expected and config.getoption("no_skips"):
        report.outcome, report.longrepr = "failed", f"--no-skips: {report.longrepr[2]}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    return _without_skip((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    return _without_skip((yield), collector.config)


@pytest.fixture
def alice(db: None) -> User:
    """She owns the sensors."""
    return User.objects.create_user(email="alice@example.com")


@pytest.fixture
def bob(db: None) -> User:
    """The sensors are shared with him."""
    return User.objects.create_user(email="bob@example.com")


@pytest.fixture
def charlie(db: None) -> User:
    """He is a stranger."""
    return User.objects.create_user(email="charlie@example.com")


@pytest.fixture
def signed_in() -> Callable[[User], APIClient]:
    """`signed_in(alice)` is an app in which alice signed in; it posts JSON."""

    def signed_in(user: User) -> APIClient:
        client = APIClient()
        client.default_format = "json"
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(user, timezone.now())}")
        return client

    return signed_in


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Put SQLite's test database into a file, as outside of tests.

    Django's choice, one in memory that threads share, locks other than a file does.
    """
    if settings.EMBEDDED_DATABASE:
        settings.DATABASES["default"]["TEST"]["NAME"] = str(settings.DATA_DIR / "test.sqlite3")
        # As with PostgreSQL: losing this data does not matter, and waiting for the disk takes time.
        settings.DATABASES["default"]["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the test database go at the end, even if a thread still has a connection to it."""
    yield
    if settings.EMBEDDED_DATABASE:
        return
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )


@pytest.fixture(scope="session", autouse=True)
def _tables_are_emptied_by_delete() -> Iterator[None]:
    """Django's own way takes ten times as long after each transactional test.

    It makes new files for all tables and their indexes, and writes all permissions again.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", _delete_rows)
        yield


def _delete_rows(_: TransactionTestCase) -> None:
    existing = set(connection.introspection.django_table_names(only_existing=True))
    filled_by_django = {"django_content_type", "auth_permission"}
    tables = [connection.ops.quote_name(name) for name in sorted(existing - filled_by_django)]
    statements = [f"DELETE FROM {table}" for table in tables]
    if connection.vendor == "postgresql":
        # Waits for transactions of threads that are not done yet, as TRUNCATE does.
        statements = ["; ".join([f"LOCK TABLE {', '.join(tables)}", *statements])]
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(scope="session")
def redis_client() -> Iterator[redis.Redis | None]:
    """The broker's Redis database, None where the broker is a folder."""
    if not settings.REDIS_URL:
        yield None
        return
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        if client.dbsize():
            pytest.fail(
                f"{settings.REDIS_URL} holds data, and tests would delete it.", pytrace=False
            )
        yield client
        client.flushdb()


@pytest.fixture(autouse=True)
def _nothing_left_by_other_tests(redis_client: redis.Redis | None) -> None:
    caches["local"].clear()
    # Messages and counts: Celery's open connections rely on the queues that they declared.
    if redis_client:
        for key in redis_client.scan_iter():
            if not key.startswith(b"_kombu.binding."):
                redis_client.delete(key)
    else:
        cache.clear()
        for message in (settings.DATA_DIR / "broker").glob("*.msg"):
            message.unlink()


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    directory.forget_all()
    networks._rules, networks._good_until = {}, inf  # none, and no query to learn that
