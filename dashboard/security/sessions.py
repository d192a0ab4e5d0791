"""Tokens, and the cookies of those who have shown one."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from itsdangerous import BadData, URLSafeTimedSerializer

LASTS = 12 * 3600
"""Seconds that a session lasts."""


class Sessions:
    """Knows the tokens by their digests, and signs cookies. A cookie ends with its token."""

    def __init__(self, tokens: Mapping[str, str], key: bytes) -> None:
        self._owners = [(_digest(token), name) for token, name in tokens.items()]
        self._signer = URLSafeTimedSerializer(key, salt="auditor.dashboard.session")

    def owner(self, token: str) -> str | None:
        """Whose token this is. It takes the same time whichever it is, and if it is none."""
        given = _digest(token)
        found = None
        for digest, name in self._owners:
            if hmac.compare_digest(digest, given):
                found = name
        return found

    def cookie(self, token: str) -> str:
        """What the browser keeps of somebody with this token."""
        return str(self._signer.dumps(_digest(_digest(token))))

    def name(self, cookie: str) -> str | None:
        """Who got this cookie; None if we never gave it, it is too old, or the token is no longer valid."""
        try:
            seal = self._signer.loads(cookie, max_age=LASTS)
        except BadData:
            return None
        return next((name for digest, name in self._owners if _digest(digest) == seal), None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
