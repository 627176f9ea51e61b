"""Bad combinations of settings are refused at start, with a hint."""

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks

KEY = Fernet.generate_key().decode()


@pytest.fixture
def found():
    """The ids of our own messages, as `manage.py check` would show them."""

    def run():
        return [message.id for message in run_checks() if message.id.startswith("ruuvinet.")]

    return run


def test_settings_of_the_tests_are_fine(found):
    assert found() == []


@pytest.mark.parametrize(
    ("keys", "fine"),
    [
        ([KEY], True),
        ([KEY, Fernet.generate_key().decode()], True),
        ([], False),
        ([""], False),
        (["secret"], False),
        ([KEY, "secret"], False),
        ([KEY[:-2]], False),
        (["ключ"], False),
    ],
)
def test_encryption_keys_must_be_usable(keys, fine, found, settings):
    settings.ENCRYPTION_KEYS = keys

    assert found() == ([] if fine else ["ruuvinet.E001"])


@pytest.mark.parametrize(
    ("rate_s", "fine"),
    [(1, True), (60, True), (3600, True), (0, False), (3601, False), (-1, False)],
)
def test_rate_must_be_one_that_gateways_take(rate_s, fine, found, settings):
    settings.GATEWAY_RATE_S = rate_s

    assert found() == ([] if fine else ["ruuvinet.E002"])


@pytest.mark.parametrize(
    ("base_url", "account", "fine"),
    [
        ("", "", True),
        ("", "account.json", True),
        ("http://127.0.0.1:9000", "account.json", True),
        ("http://127.0.0.1:9000", "", False),
    ],
)
def test_emulator_needs_credentials(base_url, account, fine, found, settings):
    settings.FCM_BASE_URL, settings.FCM_SERVICE_ACCOUNT_FILE = base_url, account

    assert found() == ([] if fine else ["ruuvinet.E003"])


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://ruuvi.example.com", True),
        ("http://192.168.1.5:8000", True),
        ("ruuvi.example.com", False),
        ("ftp://ruuvi.example.com", False),
        ("https://", False),
    ],
)
def test_public_url_must_be_an_address(url, fine, found, settings):
    settings.PUBLIC_URL = url
    assert ("ruuvinet.E005" not in found()) is fine


@pytest.mark.parametrize(
    "name",
    [
        "AUDIT_RETENTION_DAYS",
        "ALERT_RETENTION_DAYS",
        "GATEWAY_HISTORY_DAYS",
        "DENSE_RETENTION_DAYS",
        "SPARSE_RETENTION_DAYS",
    ],
)
@pytest.mark.parametrize(("days", "fine"), [(1, True), (365, True), (0, False), (-1, False)])
def test_what_is_kept_is_kept_for_a_day_at_least(name, days, fine, found, settings):
    setattr(settings, name, days)
    assert found() == ([] if fine else ["ruuvinet.E010"])


@pytest.mark.parametrize(
    ("days", "fine"), [(1, True), (7, True), (31, True), (0, False), (32, False)]
)
def test_a_partition_is_a_day_to_a_month(days, fine, found, settings):
    settings.PARTITION_DAYS = days
    assert found() == ([] if fine else ["ruuvinet.E020"])


def test_every_message_has_a_hint_and_shows_no_key(settings):
    settings.ENCRYPTION_KEYS = [KEY, "not-a-key"]
    settings.GATEWAY_RATE_S = 0
    settings.FCM_BASE_URL = "http://127.0.0.1:9000"

    messages = [message for message in run_checks() if message.id.startswith("ruuvinet.")]
    assert len(messages) == 3
    assert all(message.hint for message in messages)
    assert KEY not in str(messages)
    assert "not-a-key" not in str(messages)
