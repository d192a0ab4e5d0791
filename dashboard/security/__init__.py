"""What stands in front of every page, upload, socket and call of the API, the outermost first."""

from __future__ import annotations

from starlette.middleware import Middleware

from ..settings import Settings
from .gate import Gate
from .headers import SafeHeaders
from .keys import session_key
from .origins import KnownHosts, SameOrigin
from .uploads import PageUploads, Refused


def layers(settings: Settings, refused: Refused) -> list[Middleware]:
    """The middleware of a dashboard with these settings. `refused` hears of uploads that come to nothing."""
    return [
        Middleware(SafeHeaders),
        Middleware(KnownHosts, settings=settings),
        Middleware(SameOrigin),
        Middleware(Gate, settings=settings, key=session_key(settings.folder)),
        Middleware(PageUploads, settings=settings, refused=refused),
    ]
