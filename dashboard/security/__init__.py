"""What stands in front of every page, upload, socket and call of the API, the outermost first."""

from __future__ import annotations

from collections.abc import Callable

from starlette.middleware import Middleware

from ..settings import Settings
from .gate import Gate
from .headers import SafeHeaders
from .keys import session_key
from .origins import KnownHosts, SameOrigin
from .uploads import PageUploads


def layers(settings: Settings, refused: Callable[[int], None]) -> list[Middleware]:
    """The middleware of a dashboard with these settings. `refused` hears the status of each upload it refuses."""
    return [
        Middleware(SafeHeaders),
        Middleware(KnownHosts, settings=settings),
        Middleware(SameOrigin),
        Middleware(Gate, settings=settings, key=session_key(settings.folder)),
        Middleware(PageUploads, settings=settings, refused=refused),
    ]
