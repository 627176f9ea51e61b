"""Certificates for those who have no authority of their own: server, client authority, clients."""

import os
from contextlib import suppress
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CLOCK_SKEW = timedelta(days=1)  # a gateway may check before its clock is right


class Pair(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def fingerprint(self) -> str:
        """SHA-256, as hex with colons."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def save(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write `name.crt` and `name.key` (unencrypted, as a gateway takes it). Raises OSError."""
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        folder.mkdir(parents=True, exist_ok=True)
        certificate.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(
                self.key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        return certificate, key


def load(folder: Path, name: str) -> Pair:
    """What `Pair.save` wrote. Raises OSError, ValueError."""
    key = serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{name}.key is of another kind")
    return Pair(x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes()), key)


def make_server(host: str, *, at: datetime, days: int) -> Pair:
    """A self-signed certificate for `host`, a name or an address: uploaded to gateways as it is."""
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    # An address is named both ways: older mbed TLS, as in gateways, compares names only.
    with suppress(ValueError):
        names.append(x509.IPAddress(ip_address(host)))
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    extensions = [x509.SubjectAlternativeName(names), usage]
    # An authority too: some clients take a self-signed certificate only as one.
    return _make(host, at=at, days=days, is_authority=True, extensions=extensions)


def make_authority(name: str, *, at: datetime, days: int) -> Pair:
    """What signs client certificates."""
    return _make(name, at=at, days=days, is_authority=True)


def make_client(name: str, authority: Pair, *, at: datetime, days: int) -> Pair:
    """A client certificate of `authority`, with its key."""
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return _make(name, at=at, days=days, extensions=[usage], authority=authority)


def _make(
    name: str,
    *,
    at: datetime,
    days: int,
    is_authority: bool = False,
    extensions: list[x509.ExtensionType] | None = None,
    authority: Pair | None = None,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.certificate.subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _CLOCK_SKEW)
        .not_valid_after(at + timedelta(days=days))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
    )
    for extension in extensions or []:
        builder = builder.add_extension(extension, critical=False)
    return Pair(builder.sign(authority.key if authority else key, hashes.SHA256()), key)
