"""Client certificates behind Debian's nginx, with the configuration that we ship."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address, ip_network
from urllib.parse import quote

import pytest
from cryptography import x509
from django.core.management import CommandError, call_command
from django.utils import timezone

from gateways.certificates import load, make_authority, make_client
from gateways.credentials import make_credential
from gateways.models import Credential, Gateway, GatewayStatus
from gateways.services import whitelist
from gateways.signature import sign
from tests.gateways.conftest import DF5, GATEWAY, KEY, OTHER_GATEWAY, TAG, body_of, golden
from tests.ruuvinet.program import PROJECT, Program, eventually
from tests.services import free_port

CONFIGURATION = PROJECT / "deploy" / "nginx" / "ruuvinet.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")


SECRETS = ("SECRET_KEY", "ENCRYPTION_KEYS", "INTERNAL_SECRET", "SHOP_SECRET")


@pytest.mark.django_db
class TestCommand:
    def test_a_server_certificate_names_its_host(self, tmp_path):
        call_command("make_certificate", "server", "ruuvi.example.com", folder=tmp_path)
        names = load(tmp_path, "server").certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )

        assert names.value.get_values_for_type(x509.DNSName) == ["ruuvi.example.com"]
        assert (tmp_path / "server.key").stat().st_mode & 0o77 == 0

    def test_an_address_is_named_as_text_too_and_a_key_in_use_is_kept(self, tmp_path):
        call_command("make_certificate", "server", "192.168.1.5", folder=tmp_path)
        names = load(tmp_path, "server").certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )

        assert names.value.get_values_for_type(x509.DNSName) == ["192.168.1.5"]
        assert names.value.get_values_for_type(x509.IPAddress) == [ip_address("192.168.1.5")]
        with pytest.raises(CommandError, match="is there"):
            call_command("make_certificate", "server", "192.168.1.5", folder=tmp_path)

    def test_clients_share_an_authority_and_are_bound(self, tmp_path):
        whitelist(mac=GATEWAY, secret=KEY, at=timezone.now())
        call_command("make_certificate", "client", str(GATEWAY), folder=tmp_path, bind=True)
        authority = (tmp_path / "clients-ca.crt").read_bytes()
        call_command("make_certificate", "client", str(OTHER_GATEWAY), folder=tmp_path)
        bound = Credential.objects.get()

        assert (tmp_path / "clients-ca.crt").read_bytes() == authority
        own = load(tmp_path, "C8252D8E9C2C")
        assert bytes(bound.digest).hex(":").upper() == own.fingerprint()
        own.certificate.verify_directly_issued_by(load(tmp_path, "clients-ca").certificate)

    @pytest.mark.parametrize(
        ("kind", "name", "options"),
        [("client", "x", {}), ("server", "x", {"days": 0}),
         ("client", str(GATEWAY), {"bind": True})],
    )  # fmt: skip
    def test_what_cannot_be_is_said(self, kind, name, options, tmp_path):
        with pytest.raises(CommandError):
            call_command("make_certificate", kind, name, folder=tmp_path, **options)


@contextmanager
def nginx_before(upstream, folder, certificates):
    """Debian's nginx with our configuration in front of `upstream`; gives its port."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    text = CONFIGURATION.read_text().replace("/etc/ruuvinet", str(certificates))
    text = text.replace("/var/log/nginx", str(folder))
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    text = text.replace("127.0.0.1:8000", upstream)
    folders = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"""
        daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
        events {{ worker_connections 64; }}
        http {{ {folders} {text} }}
    """
    (folder / "nginx.conf").write_text(whole)
    argv = [NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "nginx ended"
            time.sleep(0.05)
        yield port
        process.terminate()


@pytest.fixture
def nginx(tmp_path, live_server):
    """The port of nginx in front of a server that has certificates for itself and GATEWAY."""
    certificates = tmp_path / "certificates"
    call_command("make_certificate", "server", "localhost", folder=certificates)
    call_command("make_certificate", "client", str(GATEWAY), folder=certificates, bind=True)
    with nginx_before(live_server.url.removeprefix("http://"), tmp_path, certificates) as port:
        yield port


def post(port, folder, client=None, *, version=None, headers=None, path="/record", body=None):
    """Status and body of a post as a gateway makes it that was given the server's certificate."""
    context = ssl.create_default_context(cafile=str(folder / "server.crt"))
    if client:
        context.load_cert_chain(folder / f"{client}.crt", folder / f"{client}.key")
    if version:
        context.minimum_version = context.maximum_version = version
    body = body or body_of({TAG: {"rssi": -70, "data": DF5}})
    sent = {"Content-Type": "application/json", "Ruuvi-HMAC-SHA256": sign(body, KEY)}
    request = urllib.request.Request(
        f"https://localhost:{port}{path}", body, sent | (headers or {})
    )
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def claims_of(folder):
    """Headers by which somebody without a certificate might pass for GATEWAY."""
    pem = quote((folder / "C8252D8E9C2C.crt").read_text())
    for dash in "-_":
        yield {f"X{dash}Client{dash}Verify": "SUCCESS", f"X{dash}Client{dash}Cert": pem}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestBehindNginx:
    @pytest.fixture(autouse=True)
    def _demanding(self, settings):
        settings.TRUSTED_PROXIES = [ip_network("127.0.0.1")]
        whitelist(mac=GATEWAY, secret=KEY, at=timezone.now())
        Gateway.objects.update(policy="certificate")

    @pytest.fixture
    def folder(self, nginx, tmp_path):
        return tmp_path / "certificates"

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_the_right_certificate_is_let_in(self, version, nginx, folder):
        assert post(nginx, folder, "C8252D8E9C2C", version=version)[0] == 200
        assert Credential.objects.get().last_used_address == "127.0.0.1"

    def test_none_is_refused_with_the_reason(self, nginx, folder):
        status, body = post(nginx, folder)

        assert status == 403
        assert "certificate" in json.loads(body)["error"]

    def test_that_of_another_gateway_is_refused(self, nginx, folder):
        call_command("make_certificate", "client", str(OTHER_GATEWAY), folder=folder)

        assert post(nginx, folder, f"{int(OTHER_GATEWAY):012X}")[0] == 403

    def test_an_expired_one_is_refused(self, nginx, folder):
        long_ago = timezone.now() - timedelta(days=9)
        expired = make_client(str(GATEWAY), load(folder, "clients-ca"), at=long_ago, days=1)
        expired.save(folder, "expired")

        assert post(nginx, folder, "expired")[0] == 400

    def test_one_of_another_authority_is_refused(self, nginx, folder):
        stranger = make_authority("RuuviNet gateways", at=timezone.now(), days=9)
        make_client(str(GATEWAY), stranger, at=timezone.now(), days=9).save(folder, "stranger")

        assert post(nginx, folder, "stranger")[0] == 400

    def test_headers_of_the_client_do_not_pass(self, nginx, folder):
        for claims in claims_of(folder):
            assert post(nginx, folder, headers=claims)[0] == 403

    def test_statistics_are_taken_with_it(self, nginx, folder):
        for client in (None, "C8252D8E9C2C"):
            sent = post(nginx, folder, client, path="/status", body=golden("status"))
            assert sent == (200, b"{}")
            assert GatewayStatus.objects.count() == bool(client)

    def test_secrets_in_urls_are_not_logged(self, nginx, folder, tmp_path):
        make_credential(
            kind="query", name="token", secret="sesame", gateway=Gateway.objects.get(),
            at=timezone.now(),
        )  # fmt: skip
        Gateway.objects.update(policy="either")

        assert post(nginx, folder, path="/record?token=sesame")[0] == 200
        assert eventually((tmp_path / "ruuvinet.log").read_text)
        log = (tmp_path / "ruuvinet.log").read_text()
        assert "POST /record 200" in log
        assert "sesame" not in log

    def test_without_the_policy_nobody_needs_one(self, nginx, folder):
        Gateway.objects.update(policy="signature")

        assert post(nginx, folder)[0] == 200

    def test_old_tls_is_off_and_the_chain_is_small(self, nginx, folder):
        text = CONFIGURATION.read_text()

        assert re.search(r"ssl_protocols +TLSv1\.2 TLSv1\.3;", text)
        assert (folder / "server.crt").stat().st_size < 8192


@pytest.mark.slow
def test_certificates_count_in_the_whole_program(tmp_path):
    """granian and the fast lane behind nginx, set up by commands as an operator would."""
    ours = {name: value for name, value in os.environ.items() if name not in SECRETS}
    upstream, certificates = f"127.0.0.1:{free_port()}", tmp_path / "certificates"
    environment = ours | {
        "RUUVINET_DATA": str(tmp_path / "data"), "DATABASE_URL": "", "REDIS_URL": "",
        "PORT": upstream.partition(":")[2], "TRUSTED_PROXIES": "127.0.0.1",
        "GATEWAY_POLICY": "certificate",
    }  # fmt: skip
    (tmp_path / "gateways.csv").write_text(f"{GATEWAY},{KEY}\n")

    def manage(*words):
        with Program([sys.executable, "manage.py", *words], env=environment) as program:
            assert program.end() == 0, program.output

    with Program([sys.executable, "manage.py", "serve"], env=environment) as server:
        server.wait_for(r"ready: ")
        manage("import_gateways", str(tmp_path / "gateways.csv"))
        manage("make_certificate", "server", "localhost", "--folder", str(certificates))
        bound = ("client", str(GATEWAY), "--bind", "--folder", str(certificates))
        manage("make_certificate", *bound)
        with nginx_before(upstream, tmp_path, certificates) as port:
            assert post(port, certificates, "C8252D8E9C2C")[0] == 200
            assert post(port, certificates)[0] == 403
            for claims in claims_of(certificates):
                assert post(port, certificates, headers=claims)[0] == 403
            status = {"path": "/status", "body": golden("status")}
            assert post(port, certificates, "C8252D8E9C2C", **status) == (200, b"{}")
