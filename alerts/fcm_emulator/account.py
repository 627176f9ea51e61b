"""The service account file, and the assertions signed with its key."""

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from google.auth.exceptions import GoogleAuthError

PROJECT_ID = "ruuvinet-emulator"
CLIENT_EMAIL = f"ruuvinet@{PROJECT_ID}.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # no secret
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def new_service_account() -> dict[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": PROJECT_ID,
        "private_key_id": secrets.token_hex(20),
        "private_key": pem.decode(),
        "client_email": CLIENT_EMAIL,
        "client_id": "100000000000000000000",
    }


def read_own(path: Path) -> dict[str, Any]:
    """A service account written here before. Raises ValueError if it is not one; OSError."""
    try:
        info: dict[str, Any] = json.loads(path.read_bytes())
        ours = info["client_email"] == CLIENT_EMAIL
        usable = isinstance(info["private_key"], str) and isinstance(info["private_key_id"], str)
    except (ValueError, KeyError, TypeError) as exc:
        raise ValueError(f"{path} exists and is no service account file") from exc
    if not usable:
        raise ValueError(f"{path} exists and has no key")
    if not ours:
        raise ValueError(f"{path} exists and is the service account of another project")
    return info


def public_pem(private_pem: str) -> str:
    """Raises ValueError if it is no private key."""
    try:
        key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as exc:  # it has a passphrase, or is exotic
        raise ValueError("the private key cannot be used") from exc
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def write_private(path: Path, text: str) -> None:
    """Write whole or not at all; the temporary file is readable by its owner only from birth."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def verify_assertion(assertion: str, *, keys: Mapping[str, str], audiences: list[str]) -> None:
    """Raises ValueError unless one of `keys` signed it, for us, and it is still valid."""
    try:
        if jwt.decode_header(assertion).get("alg") != "RS256":  # type: ignore[no-untyped-call]
            raise ValueError("the assertion must be signed with RS256")
        claims = jwt.decode(assertion, certs=keys, audience=audiences)  # type: ignore[no-untyped-call]
    except (GoogleAuthError, ValueError, TypeError, AttributeError) as exc:
        raise ValueError(f"Invalid JWT: {exc}") from exc
    if claims.get("iss") != CLIENT_EMAIL:
        raise ValueError("Invalid JWT: iss is not the service account")
    if SCOPE not in str(claims.get("scope", "")).split():
        raise ValueError(f"Invalid JWT: scope must contain {SCOPE}")
    if claims["exp"] - claims["iat"] > 3600:
        raise ValueError("Invalid JWT: exp is more than an hour after iat")
