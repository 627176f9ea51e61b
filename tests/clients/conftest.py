"""A sensor that was heard, and a clock that stands still."""

import io
from datetime import UTC, datetime

import pytest
import time_machine
from PIL import Image

from ruuvinet.lib.mac import Mac
from sensors.partitions import ensure_partitions
from sensors.services import Reception, store
from tests.clients.app import DF5, NOW, SENSOR

GATEWAY = Mac.parse("C8:25:2D:8E:9C:2C")


@pytest.fixture
def clock(db):
    ensure_partitions(NOW)
    with time_machine.travel(datetime.fromtimestamp(NOW, UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def jpeg(settings, tmp_path):
    """A photo, which may be uploaded into a folder of the test."""
    pictures = settings.STORAGES["pictures"]
    options = {**pictures["OPTIONS"], "location": str(tmp_path)}
    settings.STORAGES = settings.STORAGES | {"pictures": {**pictures, "OPTIONS": options}}
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def heard(clock):
    """The sensor was heard every minute of the last hour."""
    mac, gateway, payload = int(Mac.parse(SENSOR)), int(GATEWAY), bytes.fromhex(DF5)
    store([Reception(mac, NOW - 60 * minutes, gateway, -76, payload) for minutes in range(60)])
