"""Which host we answer as, and which sites may ask us to change something."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..settings import Settings
from .refusing import HEALTH, refuse

_LOCAL = ("localhost", "127.0.0.1", "::1")
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_OURS = {"same-origin", "none"}
"""What Sec-Fetch-Site says where a page of ours asks, or where somebody typed the address."""


def known_hosts(settings: Settings) -> frozenset[str]:
    """The names that a request may call us by."""
    return frozenset(name.strip("[]").lower() for name in (*_LOCAL, settings.host, *settings.allowed_hosts))


def host_name(header: str) -> str | None:
    """The host of a Host header without its port; None if it is none."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port  # raises if it is no number
    except ValueError:
        return None
    if parts.username is not None or parts.path or parts.query or parts.fragment or parts.hostname is None:
        return None
    return parts.hostname.rstrip(".")


class KnownHosts:
    """Refuses names that are not ours: else a page elsewhere could point its own name at this machine."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._known = known_hosts(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what names a host of ours."""
        if scope["type"] != "lifespan" and scope["path"] != HEALTH:
            name = host_name(Headers(scope=scope).get("host", ""))
            if name not in self._known:
                title = "This host name is not known here; `--allowed-host` names further ones"
                await refuse(scope, receive, send, status=421, title=title)
                return
        await self._app(scope, receive, send)


class SameOrigin:
    """Refuses what another site makes a browser do: every method that changes something, and sockets."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what our own pages, or no browser at all, ask for."""
        changes = scope["type"] == "websocket" or scope.get("method", "GET") not in _SAFE_METHODS
        if scope["type"] != "lifespan" and changes and not _is_ours(Headers(scope=scope)):
            await refuse(scope, receive, send, status=403, title="Another site may not do this")
            return
        await self._app(scope, receive, send)


def _is_ours(headers: Headers) -> bool:
    origin = headers.get("origin")
    same = origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    return same and headers.get("sec-fetch-site", "none") in _OURS
