"""The example bodies, as each firmware year spells them: the same payloads through both doors."""

import json

import pytest
from django.utils import timezone

from gateways.decoded import encode
from gateways.services import whitelist
from gateways.signature import sign
from sensors.models import Latest
from tests.gateways.conftest import AIR, DF5, E1, GATEWAY, KEY, TAG, golden

pytestmark = pytest.mark.django_db(transaction=True)

RAW = {TAG: bytes.fromhex(DF5), AIR: bytes.fromhex(E1)}
SIX = json.loads(golden("decoded_only"))["data"]["tags"]["E1:9D:F3:4E:B2:72"]
STORED = {
    "raw": RAW,
    "raw_and_decoded": RAW,
    "decoded_only": {"E1:9D:F3:4E:B2:72": encode(SIX)},
    "no_timestamps": {TAG: RAW[TAG]},
    "check": {},
}


def with_text(data):
    """Numbers as the first firmware wrote them."""
    for holder in (data, *data["tags"].values()):
        for name in ("timestamp", "nonce", "counter"):
            if name in holder:
                holder[name] = str(holder[name])


def without_radio(data):
    """Before the gateway told about channels."""
    for tag in data["tags"].values():
        for name in ("ble_phy", "ble_chan", "ble_tx_power"):
            tag.pop(name, None)


def with_the_unknown(data):
    """What firmware to come may say."""
    data["new"] = {"a": [1]}
    for tag in data["tags"].values():
        tag |= {"ble_tx_power": 4294967288, "new": None}


def as_it_is(data):
    """Today's."""


@pytest.mark.parametrize("year", [as_it_is, with_text, without_radio, with_the_unknown])
@pytest.mark.parametrize("name", STORED)
def test_an_example_is_accepted_and_stored(name, year, door, time_machine):
    time_machine.move_to("2026-04-01T18:51:30Z")
    whitelist(mac=GATEWAY, secret=KEY, at=timezone.now())
    body = json.loads(golden(name))
    year(body["data"])
    sent = golden(name) if year is as_it_is else json.dumps(body).encode()
    reply = door().post(
        "/record", sent, content_type="application/json",
        headers={"Ruuvi-HMAC-SHA256": sign(sent, KEY)},
    )  # fmt: skip

    assert (reply.status_code, reply["X-Ruuvi-Gateway-Rate"]) == (200, "60")
    stored = {str(row.sensor): bytes(row.payload) for row in Latest.objects.all()}
    assert stored == STORED[name]
