"""Uploads through a page: Streamlit holds them in memory, so they are bounded before it sees them."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..settings import MIB, Role, Settings
from ..who import USER_HEADER
from .refusing import refuse

_PATH = "/_stcore/upload_file"
_FORM = MIB
"""What a form may add around its file."""


class PageUploads:
    """Refuses an upload of somebody who may not, that is too large, or while too many others are under way."""

    def __init__(self, app: ASGIApp, settings: Settings, refused: Callable[[int], None]) -> None:
        self._app = app
        self._refused = refused
        self._settings = settings
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is no upload, or an upload that may be."""
        if scope["type"] != "http" or scope["method"] != "PUT" or not scope["path"].startswith(_PATH):
            await self._app(scope, receive, send)
            return
        status, title = self._problem(Headers(scope=scope))
        if status:
            self._refused(status)
            await refuse(scope, receive, send, status=status, title=title)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1

    def _problem(self, headers: Headers) -> tuple[int, str]:
        limits = self._settings.limits
        length = headers.get("content-length", "")
        if not self._settings.role_of(headers.get(USER_HEADER, "")).may(Role.TRIAGER):
            return 403, "This needs the role triager"
        if not length.isdecimal():
            return 411, "The length of an upload must be said"
        if int(length) > limits.page_upload + _FORM:
            return 413, f"An upload through the page may have {limits.page_upload // MIB} MiB; use the API"
        if self._under_way >= limits.uploads_at_once:
            return 429, "Too many uploads at once; try again in a moment"
        return 0, ""
