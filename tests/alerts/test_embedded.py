"""One machine, one worker with a few threads: what hangs must not keep anything else waiting."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest
import requests

from alerts.fcm_emulator import FcmEmulator
from gateways.signature import sign
from ruuvinet.lib.mac import Mac
from tests.alerts.conftest import FORMAT_5, GATEWAY
from tests.alerts.smtp import mail_server
from tests.ruuvinet.program import PROJECT, Program, eventually
from tests.services import free_port

pytestmark = pytest.mark.slow

PEOPLE = 20
KEY = "40:98:A7:78:58:1A:E1:38"
FIRST = 0xC1_00_00_00_00_00
SET_UP = """
from django.utils import timezone
from accounts.models import User
from alerts.models import AlertRule
from alerts.services import configure_rule, register_push_token, set_webhook
from ruuvinet.lib.mac import Mac
from sensors.services import claim_sensor
for number in range({people}):
    user = User.objects.create_user(email=f"person-{{number}}@example.com")
    sensor = claim_sensor(user=user, mac=Mac({first} + number))
    rule = AlertRule(user=user, sensor=sensor, type="temperature", max=8)
    configure_rule(rule, at=timezone.now())
    register_push_token(user=user, token=f"phone-{{number}}", platform="ios")
    set_webhook(user=user, url="http://127.0.0.1:{hook}/{{}}".format(number), at=timezone.now())
"""


@pytest.fixture
def environment(tmp_path):
    account = tmp_path / "fcm.json"
    with (
        FcmEmulator() as fcm,
        mail_server() as (mail, mail_port),
        socket.create_server(("127.0.0.1", 0), backlog=1000) as hook,  # takes calls, says nothing
    ):
        fcm.behave("hang", hang_s=600)
        ours = {
            "RUUVINET_DATA": str(tmp_path / "data"),
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "PORT": str(free_port()),
            "FCM_BASE_URL": fcm.base_url,
            "FCM_SERVICE_ACCOUNT_FILE": str(fcm.service_account_file(account)),
            "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}",
            "WEBHOOK_PRIVATE_ADDRESSES": "true",
        }
        yield os.environ | ours, mail, hook.getsockname()[1]
        fcm._stopping.set()


def test_phones_and_webhooks_that_hang_delay_neither_judging_nor_mails(environment):
    variables, mail, hook = environment
    url = f"http://127.0.0.1:{variables['PORT']}"
    with Program([sys.executable, "manage.py", "serve"], env=variables) as program:
        program.wait_for("ready: ")
        whitelist(url, variables["INTERNAL_SECRET"])
        script = SET_UP.format(people=PEOPLE, first=FIRST, hook=hook)
        command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", script]
        subprocess.run(command, env=variables, cwd=PROJECT, check=True)  # our own
        time.sleep(1)  # a rule judges what was measured in a later second than its own
        for begin, end in ((0, PEOPLE // 2), (PEOPLE // 2, PEOPLE)):
            hear(url, range(begin, end))
            wanted = {f"person-{number}@example.com" for number in range(end)}
            assert eventually(lambda w=wanted: {str(m["To"]) for m in mail.mails} == w), (
                program.output
            )
        assert len(mail.mails) == PEOPLE  # nobody twice
        assert not program.find(r"(push|webhook) \d+ sent")


def whitelist(url, secret):
    requests.post(
        f"{url}/whitelist",
        json={"macAddress": str(GATEWAY), "secret": KEY},
        headers={"X-Internal-Secret": secret},
        timeout=10,
    ).raise_for_status()


def hear(url, numbers):
    now = int(time.time())
    data = FORMAT_5.format(temperature=round(9.5 / 0.005), movement=0)
    tags = {
        str(Mac(FIRST + number)): {"rssi": -70, "timestamp": now, "data": data}
        for number in numbers
    }
    body = json.dumps(
        {"data": {"timestamp": now, "nonce": now, "gw_mac": str(GATEWAY), "tags": tags}}
    ).encode()
    reply = requests.post(
        f"{url}/record", data=body, headers={"Ruuvi-HMAC-SHA256": sign(body, KEY)}, timeout=10
    )
    assert reply.status_code == 200
