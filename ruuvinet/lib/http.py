"""Who is calling: the client's address and scheme behind proxies that we trust."""

from collections.abc import Callable, Iterable, MutableMapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

# Balancers and Prometheus ask by address.
HEALTH_PATHS = {"/health", "/health/"}
# A gateway posts to whatever its owner typed: an address, a name of the home's router.
ANY_HOST_PATHS = {
    "/record", "/status", *HEALTH_PATHS,
    "/health/ready", "/health/ready/", "/metrics", "/metrics/",
}  # fmt: skip
ANY_HOST_PREFIXES = ("/record/", "/status/", "/gw-config")

# By which a proxy that ends TLS tells what it knows of the client's certificate: SUCCESS when it is
# good, its subject, and all of it as PEM in URL encoding. deploy/nginx/ruuvinet.conf sends them.
CERTIFICATE_VERIFIED = "x-client-verify"
CERTIFICATE_SUBJECT = "x-client-subject"
CERTIFICATE = "x-client-cert"
_PROXY_HEADERS = (
    CERTIFICATE_VERIFIED, CERTIFICATE_SUBJECT, CERTIFICATE, "x-forwarded-proto", "x-request-id",
)  # fmt: skip

_HOP_HEADERS = ("x-forwarded-for", *_PROXY_HEADERS)

Network = IPv4Network | IPv6Network


@lru_cache(10_000)  # of each post and request
def normal_address(text: str) -> str:
    """`text` as an address that every database takes; empty when it is none.

    Drops a scope (`%eth0`) and unwraps IPv4 inside IPv6, so that one host has one spelling.
    """
    try:
        ip = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(ip, "ipv4_mapped", None) or ip)


def normal_network(text: str) -> str:
    """`text`, an address or a network, in CIDR form such as `10.0.0.0/8`. Raises ValueError.

    Bits beyond the prefix are dropped, and IPv4 inside IPv6 unwrapped, as `normal_address` does.
    """
    network = ip_network(text.strip(), strict=False)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped and network.prefixlen >= 96:
        return f"{mapped}/{network.prefixlen - 96}"
    return network.compressed


def is_trusted(address: str, proxies: Iterable[Network]) -> bool:
    """Whether `address`, in its normal form, lies in one of `proxies`."""
    return bool(address) and any(ip_address(address) in network for network in proxies)


def client_address(peer: str, forwarded_for: str, proxies: Iterable[Network]) -> str:
    """The last hop that is not one of our proxies.

    Read from the right: a caller can invent what stands on the left of X-Forwarded-For,
    while each trusted proxy appends the address it was called from.
    """
    hops = [hop for hop in forwarded_for.split(",") if hop.strip()]
    address = normal_address(peer)
    while hops and is_trusted(address, proxies):
        address = normal_address(hops.pop())
    return address


def distrust_strangers(headers: MutableMapping[str, str], peer: str) -> str:
    """The client's address; drops what only our proxies may say, unless `peer` is one of them."""
    forwarded_for = headers.pop("x-forwarded-for", "")
    if not is_trusted(normal_address(peer), settings.TRUSTED_PROXIES):
        for name in _PROXY_HEADERS:
            headers.pop(name, None)
    return client_address(peer, forwarded_for, settings.TRUSTED_PROXIES)


def trust_proxies(meta: dict[str, Any]) -> None:
    """`distrust_strangers` for a WSGI environment, whose REMOTE_ADDR becomes the client's."""
    names = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in _HOP_HEADERS}
    headers = {name: meta.pop(key) for name, key in names.items() if key in meta}
    meta["REMOTE_ADDR"] = distrust_strangers(headers, meta.get("REMOTE_ADDR", ""))
    meta |= {names[name]: value for name, value in headers.items()}


class TrustedProxyMiddleware:
    """`trust_proxies` for what goes through Django."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        trust_proxies(request.META)
        return self.get_response(request)


class ConsolePolicyMiddleware:
    """Lets pages of the console load, send and run nothing but what comes from here.

    Alpine, with which unfold opens its menus, makes functions from attributes of the page, which
    browsers call eval: hence 'unsafe-eval', here and nowhere else. A script that somebody smuggled
    into a page is still not run, since neither inline scripts nor strangers' files are. Styles may
    be inline: unfold writes its colours, and Chart.js its sizes, into the page.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        # Pictures of sensors may lie in a bucket, whose address only its storage knows.
        pictures = "https:" if settings.PICTURE_STORAGE else settings.CSRF_TRUSTED_ORIGINS[0]
        self.policy = (
            "default-src 'self'; script-src 'self' 'unsafe-eval'; "
            f"style-src 'self' 'unsafe-inline'; img-src 'self' data: {pictures}; "
            "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path_info.startswith("/admin/"):
            response.headers["Content-Security-Policy"] = self.policy
        return response


class HostMiddleware(CommonMiddleware):
    """Django's CommonMiddleware, which refuses foreign host names, except where machines call."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        path = request.path_info
        if path in ANY_HOST_PATHS or path.startswith(ANY_HOST_PREFIXES):
            return None
        return super().process_request(request)
