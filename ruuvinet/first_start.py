"""What the embedded set-up makes for itself, so that a first start needs no decisions."""

import os
import secrets
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet


def ensure_secrets(path: Path) -> None:
    """Write fresh secrets to `path` (mode 0600) unless the file is there already.

    The file is complete before it gets its name, so that two processes that start at
    once never read half of it, and the first one's secrets win.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "INTERNAL_SECRET": secrets.token_urlsafe(32),
        "SHOP_SECRET": secrets.token_urlsafe(32),
    }
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # mkstemp opens with mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in fresh.items())
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        Path(draft).unlink()
