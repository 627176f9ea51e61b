"""E-mail addresses as strangers may see them."""

import re

_SHOWN_FROM = 5  # characters; of a shorter part nothing is shown


def mask_email(address: str) -> str:
    """`test.test@hotmail.com` as `t***.***t@h*****l.com`: the apps expect this form."""
    local, _, domain = address.rpartition("@")
    host, dot, top = domain.rpartition(".")
    return f"{_mask(local)}@{_mask(host)}{dot}{top}" if dot else f"{_mask(local)}@{_mask(top)}"


def _mask(part: str) -> str:
    if len(part) < _SHOWN_FROM:
        return "*" * len(part)
    return part[0] + re.sub(r"\w", "*", part[1:-1]) + part[-1]
