"""The simulator plays each choice of the gateway's page against the real server."""

import io
import json
from base64 import b64decode

import pytest
from django.utils import timezone

from gateways.credentials import make_credential
from gateways.models import Gateway, GatewayGroup, ServedConfiguration
from gateways.services import whitelist
from gateways.simulator.custom import Custom, NotConfigured, read
from gateways.simulator.decoding import decoded_fields
from gateways.simulator.run import Plan, simulate
from ruuvinet.lib.mac import Mac
from sensors.decoders import decode_advertisement
from sensors.models import Latest
from tests.gateways.conftest import golden

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def group():
    return GatewayGroup.objects.create(name="fleet", policy="both")


@pytest.fixture
def play(group, live_server):
    """Play two gateways of the group for two posts each."""

    def run(**choices):
        plan = Plan(
            url=f"{live_server.url}/record", gateways=2, sensors=4, posts=2, speed=500, **choices
        )
        for identity in plan.gateway_identities():
            mac = Mac.parse(identity.mac)
            if not Gateway.objects.filter(mac=mac).exists():
                whitelist(mac=mac, secret=identity.key, at=timezone.now())
        Gateway.objects.update(group=group)
        return simulate(plan, io.StringIO())

    return run


@pytest.mark.parametrize("auth", ["basic", "bearer", "token", "api_key"])
def test_each_authorization_is_accepted(auth, group, play):
    name, secret = ("gw1", "pass word") if auth == "basic" else ("", "a secret")
    make_credential(kind=auth, name=name, secret=secret, group=group, at=timezone.now())
    told = f"{name}:{secret}" if name else secret

    assert play(custom=Custom(auth=auth, secret=told)).verdict == ""
    assert play(custom=Custom(auth=auth, secret=told + "x")).verdict


def test_an_extra_header_is_accepted(group, play):
    make_credential(kind="header", name="X-Api-Key", secret="k e y", group=group, at=timezone.now())

    assert play(custom=Custom(header="X-Api-Key: k e y")).verdict == ""


@pytest.mark.parametrize("body_format", ["ruuvi", "ruuvi_raw_and_decoded", "ruuvi_decoded"])
def test_each_body_format_is_stored(body_format, group, play):
    GatewayGroup.objects.update(policy="signature")

    assert play(custom=Custom(body_format=body_format)).verdict == ""
    assert {5} <= set(Latest.objects.values_list("data_format", flat=True)) <= {5, 0xE1}


def test_remote_configuration_is_downloaded_and_obeyed(group, play, live_server):
    document = {
        "remote_cfg_use": True, "use_http": True, "http_url": f"{live_server.url}/record",
        "http_auth": "bearer", "http_data_format": "ruuvi_decoded", "http_period": 20,
    }  # fmt: skip
    GatewayGroup.objects.update(template=json.dumps(document))
    make_credential(kind="bearer", group=group, is_readable=True, at=timezone.now())
    opening = make_credential(
        kind="bearer", group=group, purpose="configuration", at=timezone.now()
    )
    custom = Custom(auth="bearer", secret=opening.shown_once)

    assert play(configuration_url=f"{live_server.url}/gw-config", custom=custom).verdict == ""
    assert ServedConfiguration.objects.count() == 2
    assert Latest.objects.exists()
    wrong = Custom(auth="bearer", secret="wrong")
    assert play(configuration_url=f"{live_server.url}/gw-config/", custom=wrong).verdict


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"remote_cfg_use": false}', b" {}"])
def test_what_the_firmware_would_ignore_is_no_configuration(body):
    with pytest.raises(NotConfigured):
        read(body)


def test_the_decoded_fields_are_those_of_the_example():
    for record in json.loads(golden("raw_and_decoded"))["data"]["tags"].values():
        heard = bytes.fromhex(record["data"])
        known = {name: value for name, value in record.items() if name in decoded_fields(heard)}
        assert decoded_fields(heard) == known
        assert len(known) == len(record) - (5 if "ble_tx_power" not in record else 6)
        assert decode_advertisement(heard)


def test_basic_is_sent_at_once():
    header = Custom(auth="basic", secret="user1:pass1").headers()["Authorization"]

    assert header == "Basic dXNlcjE6cGFzczE="
    assert b64decode(header[6:]) == b"user1:pass1"
