"""Who is calling: addresses in one spelling, and proxies believed only when we know them."""

from ipaddress import ip_address, ip_network

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from ruuvinet.lib.http import TrustedProxyMiddleware, client_address, is_trusted, normal_address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
addresses = st.ip_addresses().map(str)
outside = addresses.filter(lambda text: not is_trusted(normal_address(text), PROXIES))


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7\t", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:C000:207", "192.0.2.7"),
        ("2001:DB8:0:0::7", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80::1%", "fe80::1"),
        ("::1", "::1"),
        ("", ""),
        (" ", ""),
        ("unknown", ""),
        ("localhost", ""),
        ("192.0.2", ""),
        ("192.0.2.256", ""),
        ("192.0.2.07", ""),
        ("192.0.2.7:443", ""),
        ("[::1]", ""),
        ("::1::", ""),
        ("192.0.2.7/32", ""),
        ("192.0.2.7, 192.0.2.8", ""),
        ("192.0.2.7\0", ""),
        ("١٩٢.0.2.7", ""),
        ("3221225991", ""),
        ("%", ""),
        ("\ud800", ""),
    ],
)
def test_address_has_one_spelling(text, normal):
    assert normal_address(text) == normal


@given(addresses)
def test_every_address_survives(text):
    assert normal_address(text)
    assert normal_address(normal_address(text)) == normal_address(text)


@given(st.text() | st.text(alphabet="0123456789abcdef:.%/ ", max_size=45))
def test_any_text_is_an_address_or_nothing(text):
    normal = normal_address(text)

    assert normal == "" or str(ip_address(normal)) == normal


@pytest.mark.parametrize(
    ("address", "trusted"),
    [("10.1.2.3", True), ("11.0.0.1", False), ("fd00::1", True), ("fe00::1", False), ("", False)],
)
def test_proxy_is_trusted_by_its_network(address, trusted):
    assert is_trusted(address, PROXIES) is trusted


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "198.51.100.1,192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, fd00::2, ::ffff:10.0.0.3", "192.0.2.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", ",,192.0.2.7, ,", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, nonsense", ""),
        ("10.0.0.1", "nonsense, 192.0.2.7", "192.0.2.7"),
        ("", "192.0.2.7", ""),
        ("nonsense", "192.0.2.7", ""),
    ],
)
def test_client_is_the_last_hop_that_is_no_proxy(peer, forwarded_for, client):
    assert client_address(peer, forwarded_for, PROXIES) == client


@given(outside, st.text())
def test_stranger_cannot_claim_an_address(peer, forwarded_for):
    assert client_address(peer, forwarded_for, PROXIES) == normal_address(peer)


@given(outside, st.text(alphabet="0123456789abcdef:., %x", max_size=60))
def test_stranger_behind_a_proxy_cannot_claim_an_address(client, claim):
    assert client_address("10.0.0.1", f"{claim}, {client}", PROXIES) == normal_address(client)


@given(addresses, st.text())
def test_client_is_an_address_or_nothing(peer, forwarded_for):
    client = client_address(peer, forwarded_for, PROXIES)

    assert client == "" or str(ip_address(client)) == client


@given(addresses, st.lists(addresses))
def test_nobody_is_believed_without_proxies(peer, hops):
    assert client_address(peer, ",".join(hops), []) == normal_address(peer)


class TestMiddleware:
    @pytest.fixture
    def seen(self, settings):
        """What the views see of a request with these WSGI variables."""
        settings.TRUSTED_PROXIES = PROXIES

        def run(**environ):
            request = RequestFactory().get("/", **environ)
            TrustedProxyMiddleware(lambda _: HttpResponse())(request)
            return request

        return run

    def test_https_of_a_trusted_proxy_is_believed(self, seen):
        request = seen(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_PROTO="https")

        assert request.is_secure()

    def test_https_of_a_stranger_is_not(self, seen):
        request = seen(REMOTE_ADDR="192.0.2.7", HTTP_X_FORWARDED_PROTO="https")

        assert not request.is_secure()
        assert "X-Forwarded-Proto" not in request.headers

    @pytest.mark.parametrize("peer", ["10.0.0.1", "192.0.2.7"])
    def test_nobody_behind_it_reads_the_list_of_hops(self, peer, seen):
        request = seen(REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR="198.51.100.1")

        assert "X-Forwarded-For" not in request.headers
