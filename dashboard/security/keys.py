"""The secret that signs cookies."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_BYTES = 32


def session_key(folder: Path) -> bytes:
    """The key of a dashboard folder; made when it is first asked for, and readable by its owner alone."""
    path = folder / "session.key"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(file, "wb") as new:
        new.write(key := secrets.token_bytes(_BYTES))
    return key
