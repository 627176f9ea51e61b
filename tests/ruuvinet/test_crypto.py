"""Secrets at rest: encrypted with the first key, readable with every key."""

import pytest
from cryptography.fernet import Fernet, InvalidToken
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from gateways.models import Gateway
from ruuvinet.lib.crypto import EncryptedTextField, fernet
from ruuvinet.lib.mac import Mac

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def at_rest() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM gateways_gateway")
        return str(cursor.fetchone()[0])


@given(st.text())
def test_text_comes_back(text):
    field = EncryptedTextField()

    assert field.from_db_value(field.get_prep_value(text)) == text


def test_same_text_never_looks_the_same():
    field = EncryptedTextField()

    assert field.get_prep_value("secret") != field.get_prep_value("secret")


@pytest.mark.parametrize("empty", ["", None])
def test_nothing_stays_nothing(empty):
    field = EncryptedTextField()

    assert field.get_prep_value(empty) == empty
    assert field.from_db_value(empty) == empty


def test_first_key_encrypts(settings):
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    token = fernet().encrypt(b"secret")

    assert Fernet(NEW).decrypt(token) == b"secret"
    with pytest.raises(InvalidToken):
        Fernet(OLD).decrypt(token)


@pytest.mark.storage
@pytest.mark.django_db
class TestRotation:
    @pytest.fixture(autouse=True)
    def _written_with_the_old_key(self, settings):
        settings.ENCRYPTION_KEYS = [OLD]
        Gateway.objects.create(mac=Mac(1), secret="secret")

    def test_old_key_still_decrypts(self, settings):
        settings.ENCRYPTION_KEYS = [NEW, OLD]

        assert Gateway.objects.get().secret == "secret"

    def test_saving_encrypts_with_the_new_key(self, settings):
        settings.ENCRYPTION_KEYS = [NEW, OLD]
        Gateway.objects.get().save()

        settings.ENCRYPTION_KEYS = [NEW]
        assert Gateway.objects.get().secret == "secret"

    def test_what_a_lost_key_made_reads_as_empty_and_is_said(self, settings, caplog):
        settings.ENCRYPTION_KEYS = [NEW]

        assert Gateway.objects.get().secret == ""
        assert "none of ENCRYPTION_KEYS" in caplog.text

    def test_database_does_not_hold_the_text(self):
        assert "secret" not in at_rest()
        assert Fernet(OLD).decrypt(at_rest().encode()) == b"secret"
