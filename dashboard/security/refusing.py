"""How a request is refused before anything of the dashboard has seen it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

PROBLEM = "application/problem+json"
HEALTH = "/healthz"
"""Says that the process lives, to anybody: the one path without a gate."""

_POLICY_VIOLATION = 1008


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    status: int,
    title: str,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer with an error, as whoever asks understands it: a socket, the API, or a browser."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": title})
        return
    response: Response
    if scope["path"].startswith("/api/"):
        document = {"type": "about:blank", "title": title, "status": status}
        response = JSONResponse(document, status, headers=headers, media_type=PROBLEM)
    else:
        response = PlainTextResponse(f"{title}\n", status, headers=headers)
    await response(scope, receive, send)
