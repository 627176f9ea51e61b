"""What a request proves about its sender: signature, credential, certificate. No database."""

import binascii
import hmac
import ssl
from base64 import b64decode
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

from gateways.models import Credential, Gateway, Policy
from gateways.signature import is_signed
from ruuvinet.lib.http import CERTIFICATE, CERTIFICATE_SUBJECT, CERTIFICATE_VERIFIED

MAX_PARAMETERS = 50

Rejection = Gateway.Rejection
Kind = Credential.Kind


class Request(NamedTuple):
    """What a gateway sent.

    `headers` is asked for names in lower case, and those about certificates are a trusted proxy's;
    `received_at` is aware; `address` is where the post came from, empty when unknown; `query` is
    that of the URL, as it was sent; `path` what stands in the URL behind the door's own.
    """

    body: bytes
    headers: Mapping[str, str]
    received_at: datetime
    address: str
    query: str = ""
    path: str = ""


class KnownCredential(NamedTuple):
    """A credential that is neither revoked nor expired. `digest`: SHA-256 of what is presented."""

    id: int
    kind: str
    name: str
    digest: bytes
    is_chosen: bool  # by a person, so that it may be guessed
    last_used_at: datetime | None


class Known(NamedTuple):
    """What is to be known of a whitelisted gateway to judge its posts and to answer them."""

    keys: tuple[str, ...]  # that it may sign with, the likeliest first
    policy: str
    credentials: tuple[KnownCredential, ...]
    period_s: int | None  # None: the setting's
    offered_key: str  # empty: none
    key_state: str
    last_seen_at: datetime | None
    last_address: str | None
    newest_body_s: int | None  # time of its newest body, by its clock while that was right


class Proof(NamedTuple):
    """`key` that signed the body, `credential` that was presented, and what is missing, if any."""

    key: str | None
    credential: KnownCredential | None
    fault: Gateway.Rejection | None


def prove(known: Known, request: Request, *, may_guess: bool) -> Proof:
    """Hold a request against the policy of the gateway that it names.

    Without `may_guess` credentials that a person chose are believed only beside a signature.
    """
    signature = request.headers.get("ruuvi-hmac-sha256", "")
    key = _signing_key(known.keys, request.body, signature) if signature else None
    if known.policy == Policy.SIGNATURE:
        return Proof(key, None, None if key else _signature_fault(signature))
    may_guess = may_guess or key is not None
    examined = [one for one in known.credentials if may_guess or not one.is_chosen]
    if known.policy == Policy.CERTIFICATE:
        examined = [one for one in examined if one.kind in Credential.CERTIFICATES]
    credential = find(examined, request)
    is_presented = credential is not None or presents_any(known.credentials, request)
    fault = _fault(known.policy, key, signature, credential, is_presented)
    return Proof(key, credential, fault)


def find(credentials: Iterable[KnownCredential], request: Request) -> KnownCredential | None:
    """The one of `credentials` that a request presents. Every one is compared, in constant time."""
    found = None
    for credential in credentials:
        digest = presented(credential, request)
        if digest is not None and hmac.compare_digest(digest, credential.digest):
            found = credential
    return found


def presents_any(credentials: Iterable[KnownCredential], request: Request) -> bool:
    """Whether a request presents anything, right or wrong, in the place of a credential."""
    return bool(request.headers.get("authorization")) or any(
        presented(one, request) is not None for one in credentials
    )


def presented(credential: KnownCredential, request: Request) -> bytes | None:
    """SHA-256 of what a request presents in the place of `credential`; None: nothing."""
    headers = request.headers
    match credential.kind:
        case Kind.BASIC | Kind.BEARER | Kind.TOKEN:
            scheme, _, value = headers.get("authorization", "").partition(" ")
            if scheme.lower() != credential.kind:
                return None
            return _basic(value) if credential.kind == Kind.BASIC else _digest(value)
        case Kind.API_KEY:
            value = headers.get("authorization", "")
            return _digest(value) if value else None
        case Kind.HEADER:
            given = headers.get(credential.name.lower())
            return None if given is None else _digest(given)
        case Kind.QUERY:
            return _parameter(request.query, credential.name)
        case Kind.PATH:
            return _digest(request.path) if request.path else None
        case _:
            return _certificate(credential.kind, headers)


def digest_of(kind: str, name: str, secret: str) -> bytes:
    """What `presented` gives for a request with this secret; of a certificate, its fingerprint."""
    if kind == Kind.FINGERPRINT:
        return bytes.fromhex(secret)
    return sha256((f"{name}:{secret}" if kind == Kind.BASIC else secret).encode()).digest()


def _fault(
    policy: str,
    key: str | None,
    signature: str,
    credential: KnownCredential | None,
    is_presented: bool,
) -> Gateway.Rejection | None:
    credential_fault = Rejection.CREDENTIAL if is_presented else Rejection.NO_CREDENTIAL
    match policy:
        case Policy.EITHER if key or credential:
            return None
        case Policy.EITHER if signature and not is_presented:
            return Rejection.SIGNATURE
        case Policy.EITHER:
            return credential_fault
        case Policy.BOTH if not key:
            return _signature_fault(signature)
        case Policy.BOTH:
            return None if credential else credential_fault
        case _:
            return None if credential else Rejection.CERTIFICATE


def _signing_key(keys: Iterable[str], body: bytes, signature: str) -> str | None:
    for key in keys:
        if is_signed(body, signature, key):
            return key
    return None


def _signature_fault(signature: str) -> Gateway.Rejection:
    return Rejection.SIGNATURE if signature else Rejection.UNSIGNED


def _basic(value: str) -> bytes | None:
    try:
        return sha256(b64decode(value.strip(), validate=True)).digest()
    except (binascii.Error, ValueError):
        return None


def _parameter(query: str, name: str) -> bytes | None:
    try:
        # A gateway sends what its owner typed: a plus is one, not a space.
        typed = query.replace("+", "%2B")
        values = parse_qs(typed, keep_blank_values=True, max_num_fields=MAX_PARAMETERS).get(name)
    except ValueError:
        return None
    return sha256(values[0].encode("utf-8", "surrogatepass")).digest() if values else None


def _certificate(kind: str, headers: Mapping[str, str]) -> bytes | None:
    if headers.get(CERTIFICATE_VERIFIED) != "SUCCESS":
        return None
    if kind == Kind.SUBJECT:
        return _digest(headers.get(CERTIFICATE_SUBJECT, ""))
    return _fingerprint(headers.get(CERTIFICATE, ""))


@lru_cache(1024)
def _fingerprint(escaped_pem: str) -> bytes | None:
    try:
        return sha256(ssl.PEM_cert_to_DER_cert(unquote(escaped_pem).strip())).digest()
    except ValueError:
        return None


def _digest(header: str) -> bytes:
    # Servers read the bytes of a header as Latin-1, whatever the gateway meant by them.
    return sha256(header.encode("latin-1", "replace")).digest()
