"""Uploads through a page: Streamlit holds them in memory, so they are bounded before it sees them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from ..settings import MIB, Limits, Role, Settings
from ..who import USER_HEADER
from .refusing import refuse

_PATH = "/_stcore/upload_file"
_FORM = MIB
"""What a form may add around its file."""

_ABORTED = 499

Refused = Callable[[str, int, str], None]
"""Hears of an upload that came to nothing: its session, a status of HTTP, and why, for people."""


class PageUploads:
    """Refuses an upload of somebody who may not, that takes too much memory, or that is too slow.

    A browser sends all files of a folder at once: those beyond `uploads_at_once` wait for their turn, unread.
    """

    def __init__(self, app: ASGIApp, settings: Settings, refused: Refused) -> None:
        self._app = app
        self._refused = refused
        self._settings = settings
        self._turns = asyncio.Semaphore(settings.limits.uploads_at_once)
        self._coming: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is no upload, or an upload that may be."""
        if scope["type"] != "http" or scope["method"] != "PUT" or not scope["path"].startswith(_PATH):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        session = scope["path"].removeprefix(_PATH).strip("/").partition("/")[0]
        async with self._turns:
            status, title = self._problem(headers, session)
            if not status:
                status, title = await self._taken(scope, receive, send, session, int(headers["content-length"]))
        if status:
            self._refused(session, status, title)
            if status != _ABORTED:
                await refuse(scope, receive, send, status=status, title=title)

    async def _taken(
        self, scope: Scope, receive: Receive, send: Send, session: str, length: int
    ) -> tuple[int, str]:
        """Pass it on. Returns why that came to nothing, if it did, before anything was answered."""
        body = _Body(receive, self._settings.limits)
        self._coming[session] += length
        try:
            await self._app(scope, body.receive, send)
        except ClientDisconnect:
            return (408, "The upload came too slowly") if body.late else (_ABORTED, "It was broken off")
        finally:
            self._coming[session] -= length
            self._coming += Counter()  # forgets who is at 0
        return 0, ""

    def _problem(self, headers: Headers, session: str) -> tuple[int, str]:
        limits = self._settings.limits
        said = headers.get("content-length", "")
        if not self._settings.role_of(headers.get(USER_HEADER, "")).may(Role.TRIAGER):
            return 403, "This needs the role triager"
        if not said.isdecimal():
            return 411, "The length of an upload must be said"
        if int(said) > limits.page_upload + _FORM:
            return 413, f"An upload through the page may have {limits.page_upload // MIB} MiB; use the API"
        held = Counter(_held()) + self._coming
        if held[session] + int(said) > limits.page_upload + _FORM:
            return 413, f"All files of a page may have {limits.page_upload // MIB} MiB; reload it, or use the API"
        if held.total() + int(said) > limits.page_upload * limits.uploads_at_once + _FORM:
            return 507, "The server holds too many uploads of others; try again in a moment, or use the API"
        return 0, ""


def _held() -> dict[str, int]:
    """Bytes that Streamlit holds of the uploads of each session, until these are audited or the session ends."""
    manager = runtime.get_instance().uploaded_file_mgr if runtime.exists() else None
    if not isinstance(manager, MemoryUploadedFileManager):
        return {}
    # Copied first: sessions end and pages forget files in other threads.
    sessions = list(manager.file_storage.items())
    return {session: sum(len(file.data) for file in list(files.values())) for session, files in sessions}


class _Body:
    """The body of an upload, which ends as if its sender had gone when it comes too slowly."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive = receive
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._size = 0
        self._complete = False
        self.late = False

    async def receive(self) -> Message:
        """What the server receives next."""
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._started + self._limits.patience(self._size)):
                message = await self._receive()
        except TimeoutError:
            self.late = True
            return {"type": "http.disconnect"}
        self._size += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        return message
