"""The signature of gateway bodies: HMAC-SHA-256 over the raw bytes, as hex."""

import hmac


def sign(body: bytes, secret: str) -> str:
    """64 lower-case hex digits; the key is the text of `secret` itself, not what it spells."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Compare in constant time, whatever the case. An empty secret signs nothing."""
    if not secret:
        return False
    given = signature.strip().lower().encode("utf-8", "surrogatepass")
    return hmac.compare_digest(sign(body, secret).encode(), given)
