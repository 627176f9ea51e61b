"""The whole answers, byte for byte but for what is random: change one, and an app may break."""

import json
import re
from pathlib import Path

import pytest

from alerts.models import AlertRule
from ruuvinet.lib.mac import Mac
from sensors.models import Access, Sensor, SensorSetting
from sensors.services import claim_sensor, register_sensor
from sensors.sharing import share_sensor
from subscriptions.models import Subscription
from tests.sensors.conftest import NOW, PORCH, at

pytestmark = pytest.mark.django_db
GOLDEN = Path(__file__).parents[1] / "golden" / "sensors"
SECRET = "DE:AD:BE:EF:00:11:22:33"
ALL = {
    "sharedToMe": "true",
    "sharedToOthers": "true",
    "measurements": "true",
    "alerts": "true",
    "settings": "true",
}
ASKED = {
    "user": ("GET", "/user", {}),
    "sensors": ("GET", "/sensors", {}),
    "shared": ("GET", "/shared", {}),
    "sensors-dense": ("GET", "/sensors-dense", ALL),
    "sensors-dense-bare": ("GET", "/sensors-dense", {}),
    "get": ("GET", "/get", {"sensor": str(PORCH), "limit": 2}),
    "get-nothing": ("GET", "/get", {"sensor": str(PORCH), "until": 1}),
    "check": ("GET", "/check", {"sensor": str(Mac(7))}),
    "claim": ("POST", "/claim", {"sensor": str(Mac(9)), "name": "New"}),
    "claim-taken": ("POST", "/claim", {"sensor": str(Mac(7))}),
    "contest-sensor": ("POST", "/contest-sensor", {"sensor": str(Mac(7)), "secret": SECRET}),
    "unclaim": ("POST", "/unclaim", {"sensor": str(PORCH)}),
    "share": ("POST", "/share", {"sensor": str(PORCH), "user": "charlie@example.com"}),
    "share-invited": ("POST", "/share", {"sensor": str(PORCH), "user": "dora@example.com"}),
    "unshare": ("POST", "/unshare", {"sensor": str(PORCH), "user": "bob@example.com"}),
    "update": ("POST", "/update", {"sensor": str(PORCH), "name": "P", "offsetPressure": 1.5}),
    "update-old": ("POST", "/update", {"sensor": str(PORCH), "name": "P", "timestamp": 1}),
    "upload": ("POST", "/upload", {"sensor": str(PORCH), "type": "image/png"}),
    "upload-reset": ("POST", "/upload", {"sensor": str(PORCH), "action": "reset", "type": ""}),
    "sensor-settings": (
        "POST", "/sensor-settings", {"sensor": str(PORCH), "type": ["a"], "value": ["b"]},
    ),
}  # fmt: skip


@pytest.fixture
def household(shared_porch, alice, bob, charlie, hear):
    """Alice owns the porch, which bob and an invited person share; bob shares his own with her."""
    Subscription.objects.create(
        user=alice, name="Basic", max_claims=25, max_history_days=90, starts_at=at(NOW - 9),
        ends_at=at(NOW + 86400),
    )  # fmt: skip
    hear(NOW - 1800, NOW - 900, NOW)
    share_sensor(user=alice, mac=PORCH, email="new@example.com", at=at(NOW))
    Access.objects.filter(user=alice).update(picture="pictures/guid.jpg")
    Sensor.objects.filter(mac=PORCH).update(offset_temperature_c=-0.5, public=True)
    SensorSetting.objects.create(
        sensor=shared_porch, type="displayOrder", value='["CO2_PPM"]', edited_at=at(NOW)
    )
    AlertRule.objects.create(
        user=alice, sensor=shared_porch, type="temperature", min=-5, max=30.5, configured_at=at(NOW)
    )
    register_sensor(mac=Mac(7), secret=SECRET)
    claim_sensor(user=bob, mac=Mac(7), name="Bob's", at=at(NOW))
    Access.objects.create(user=alice, sensor_id=Mac(7), name="Bob's", edited_at=at(NOW))


@pytest.mark.parametrize("name", ASKED)
def test_the_answer_is_as_before(household, alice, signed_in, name):
    method, path, given = ASKED[name]
    client = signed_in(alice)
    reply = client.get(path, given) if method == "GET" else client.post(path, given)
    assert reply["Content-Type"] == "application/json"
    text = json.dumps(
        {"status": reply.status_code, "body": reply.json()}, indent=2, ensure_ascii=False
    )
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "GUID", text)
    text = re.sub(r"permit=[^\"]+", "permit=PERMIT", text) + "\n"
    assert text == (GOLDEN / f"{name}.json").read_text()


def test_there_is_one_for_each_question():
    assert {path.stem for path in GOLDEN.glob("*.json")} == ASKED.keys()
