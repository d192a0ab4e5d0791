"""`POST /api/v1/audits`: logs come in, an audit of them is queued."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from .. import lifecycle
from ..library import NoRoom
from ..settings import MIB, Role
from .asking import Caller, Context, context, needs
from .inbox import Body, FormBody, Inbox, RawBody, Received, safe_name
from .problems import ANSWERS, Problem

router = APIRouter(tags=["audits"], responses=ANSWERS)

_BLOCK = MIB
"""Bytes that are written at once: what an upload takes of our memory."""

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                }
            },
        },
    }
}


@router.post("/audits", status_code=202, openapi_extra=_BODY)
async def create(
    request: Request,
    response: Response,
    who: Caller,
    name: Annotated[str, Query(max_length=200, description="What to call these logs.")] = "",
    file: Annotated[str, Query(max_length=1000, description="The file's name; of a raw body.")] = "",
    keep_payloads: Annotated[bool, Query(description="Store payloads too; they are dropped by default.")] = False,
) -> dict[str, str]:
    """Upload logs: one file as the body, or several as a form. In any format that `auditor check` reads."""
    # What may wait for the disk does so in a thread: pages and other calls are answered meanwhile.
    here = context(request)
    with _refusals(here), _a_place(here):
        needs(who, Role.TRIAGER)
        _check_length(request, here)
        library = here.service.library
        try:
            called = name or PurePosixPath(safe_name(file)).stem
            audit_id = await asyncio.to_thread(library.begin, called, who.name, keep_payloads=keep_payloads)
        except NoRoom as full:
            raise Problem(507, str(full)) from None
        try:
            received = await _receive(request, here, audit_id, file)
            if not name and not file:
                await asyncio.to_thread(library.rename, audit_id, PurePosixPath(received[0].name).stem, who.name)
            await asyncio.to_thread(here.service.worker.submit, audit_id)
        except asyncio.CancelledError:
            # The server ends: it waits for no thread, and answers nobody else any more.
            library.abandon(audit_id)
            raise
        except BaseException:
            await asyncio.to_thread(library.abandon, audit_id)
            raise
    status_url = f"/api/v1/audits/{audit_id}"
    response.headers["Location"] = status_url
    return {"id": audit_id, "state": "queued", "status_url": status_url, "page_url": f"/?audit={audit_id}"}


@contextmanager
def _refusals(here: Context) -> Iterator[None]:
    """Count what is refused, and say what the system means by its errors."""
    try:
        yield
    except Problem as problem:
        here.metrics.refused(problem.status)
        raise
    except ClientDisconnect:
        here.metrics.refused(499)
        raise Problem(400, "The upload ended before it was complete.") from None
    except asyncio.CancelledError:
        # Uvicorn ends what does not end by itself when the server is told to end.
        raise Problem(503, "The server ends; upload it again.", headers={"Retry-After": "30"}) from None
    except (OSError, sqlite3.OperationalError) as error:
        if not _is_full(error):
            raise
        here.metrics.refused(507)
        raise Problem(507, "The disk of the server is full.") from None


def _is_full(error: OSError | sqlite3.OperationalError) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


@contextmanager
def _a_place(here: Context) -> Iterator[None]:
    """One of the few uploads at a time."""
    limits = here.service.settings.limits
    if (waiting := lifecycle.waiting(here.service.library)) >= limits.waiting:
        raise Problem(429, f"{waiting} audits wait for their turn.", headers={"Retry-After": "60"})
    if here.receiving >= limits.uploads_at_once:
        raise Problem(429, f"{here.receiving} uploads are under way.", headers={"Retry-After": "10"})
    here.receiving += 1
    try:
        yield
    finally:
        here.receiving -= 1


def _check_length(request: Request, here: Context) -> None:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > here.service.settings.limits.upload:
        raise _too_large(here)


def _too_large(here: Context) -> Problem:
    most = here.service.settings.limits.upload
    size = f"{most / MIB:,.0f} MiB" if most >= MIB else f"{most:,} bytes"
    return Problem(413, f"An upload may have {size} (--max-upload).")


async def _receive(request: Request, here: Context, audit_id: str, name: str) -> list[Received]:
    library = here.service.library
    inbox = Inbox(library.uploads(audit_id))
    try:
        body = _body(request, inbox, name)
        async for block in _blocks(request, here):
            await asyncio.to_thread(body.feed, block)
        body.end()
    finally:
        inbox.abandon()
    if not any(file.size for file in inbox.received):
        raise Problem(400, "There is no log in this upload.")
    try:
        await asyncio.to_thread(library.received_all, audit_id, inbox.received)
    except sqlite3.IntegrityError:
        raise Problem(409, "The audit was deleted while its upload arrived.") from None
    return inbox.received


def _body(request: Request, inbox: Inbox, name: str) -> Body:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        return RawBody(inbox, name)
    if b"boundary" not in options:
        raise Problem(400, "The Content-Type of this form has no boundary.")
    return FormBody(inbox, options[b"boundary"])


async def _blocks(request: Request, here: Context) -> AsyncIterator[bytes]:
    """The body in blocks. Raises Problem if it is too large, or too slow."""
    limits = here.service.settings.limits
    started = asyncio.get_running_loop().time()
    total = 0
    block = bytearray()
    chunks = request.stream()
    while True:
        try:
            async with asyncio.timeout_at(started + limits.patience(total)):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise Problem(408, "The upload came too slowly.") from None
        if chunk is None:
            break
        total += len(chunk)
        if total > limits.upload:
            raise _too_large(here)
        block += chunk
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)
