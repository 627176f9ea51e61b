"""Activation codes: how they are written, made and kept."""

import hashlib
import re
import secrets

# No 0 and O, no 1, I and L, no U and V, no 2 and Z, no 5 and S, no 8 and B: nobody has to guess.
LETTERS = "ACDEFGHJKMNPQRTWXY34679"
MIN_LENGTH, MAX_LENGTH = 4, 64

_SPELLING = re.compile(rf"[!-~]{{{MIN_LENGTH},{MAX_LENGTH}}}")
_ROUNDS = 2000


def normal_code(text: str) -> str:
    """`text` in capitals without hyphens and blanks. Raises ValueError for what is no code."""
    normal = re.sub(r"[\s-]", "", text).upper()
    if not _SPELLING.fullmatch(normal):
        raise ValueError(
            f"A code has {MIN_LENGTH} to {MAX_LENGTH} letters and digits, such as ACDE-FGHJ."
        )
    return normal


def hash_code(text: str) -> str:
    """By which a code is found: 64 characters. Raises ValueError.

    Eight letters hold too little for one fast hash: whoever read the table could try them all.
    The same salt for all, since the code itself is all that a person gives.
    """
    normal = normal_code(text).encode()
    return hashlib.pbkdf2_hmac("sha256", normal, b"ruuvinet activation code", _ROUNDS).hex()


def make_code() -> str:
    """A new code such as `ACDE-FGHJ`, which the web app can take."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"
