"""How another process reaches the database of the tests."""

import os

from django.db import connection


def environment_of_this_database() -> dict[str, str]:
    """Our own environment, with secrets and keys, and the test database in it."""
    database = connection.settings_dict["NAME"]
    if connection.vendor == "postgresql":
        url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{database}"
    else:
        url = f"sqlite:///{database}"
    return os.environ | {"DATABASE_URL": url}
