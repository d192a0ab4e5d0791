"""The page that asks for a token. It is our own: no script, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from .failures import Failures
from .sessions import LASTS, Sessions

COOKIE = "auditor_session"
SIGN_IN = "/signin"
SIGN_OUT = "/signout"
PATHS = {SIGN_IN, SIGN_OUT}
_LONGEST_FORM = 8192

_POLICY = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
{head}<link rel="icon" href="data:,"><title>auditor: sign in</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; }}
main {{ width: min(24rem, 100%); }}
label, input, button {{ display: block; width: 100%; box-sizing: border-box; font: inherit; }}
input, button {{ padding: .6rem .8rem; border: 1px solid #7a8594; border-radius: .4rem; margin-top: .4rem; }}
button {{ margin-top: 1rem; background: #1d5bd6; border-color: #1d5bd6; color: #fff; cursor: pointer; }}
[role=alert] {{ border-left: .25rem solid #c62f3b; padding-left: .8rem; }}
</style></head><body><main>{body}</main></body></html>
"""


def is_visit(scope: Scope) -> bool:
    """Whether somebody opens a page, so that asking them for a token makes sense."""
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and not scope["path"].startswith(("/api", "/metrics", "/_stcore", "/media"))
        and "text/html" in Headers(scope=scope).get("accept", "")
    )


async def invite(scope: Scope, receive: Receive, send: Send) -> None:
    """Lead a visitor without a session to the page, and keep in mind where they wanted to go."""
    query = scope["query_string"].decode("latin-1")
    target = scope["path"] + (f"?{query}" if query else "")
    response: Response
    if Headers(scope=scope).get("sec-fetch-site") == "cross-site":
        # A link on another site: the browser holds our strict cookie back. Asked again by ourselves, it sends it.
        response = _page("<p>One moment.</p>", head='<meta http-equiv="refresh" content="0">')
    else:
        response = RedirectResponse(f"{SIGN_IN}?{urlencode({'next': target})}", 303)
    await response(scope, receive, send)


async def answer(
    scope: Scope,
    receive: Receive,
    send: Send,
    sessions: Sessions,
    failures: Failures,
    address: str,
    *,
    secure: bool,
) -> None:
    """Show the page, take a token, or end a session."""
    request = Request(scope, receive)
    if request.url.path == SIGN_OUT:
        response = _sign_out(request)
    elif request.method == "POST":
        response = await _sign_in(request, sessions, failures, address, secure=secure)
    else:
        response = _form(_target(request.query_params))
    await response(scope, receive, send)


async def _sign_in(
    request: Request, sessions: Sessions, failures: Failures, address: str, *, secure: bool
) -> Response:
    fields = await _fields(request)
    target = _target(fields)
    if seconds := failures.wait(address):
        response = _form(target, "Too many wrong tokens. Wait a minute.", 429)
        response.headers["Retry-After"] = str(seconds)
        return response
    token = fields.get("token", "").strip()
    if sessions.owner(token) is None:
        failures.count(address)
        return _form(target, "This token is not known here.", 401)
    welcome = RedirectResponse(target, 303)
    welcome.set_cookie(
        COOKIE, sessions.cookie(token), max_age=LASTS, httponly=True, samesite="strict", secure=secure, path="/"
    )
    return welcome


def _sign_out(request: Request) -> Response:
    if request.method != "POST":
        return _page('<h1>Sign out</h1><form method="post"><button>Sign out</button></form>')
    response = RedirectResponse(SIGN_IN, 303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


async def _fields(request: Request) -> QueryParams:
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LONGEST_FORM:
                return QueryParams()
    except ClientDisconnect:
        return QueryParams()
    fields = parse_qs(body.decode("utf-8", "replace"))
    return QueryParams({name: values[0] for name, values in fields.items()})


def _target(fields: QueryParams) -> str:
    """Where to go after it: a path of ours, and nowhere else."""
    target = fields.get("next", "/")
    ours = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if ours and target not in PATHS else "/"


def _form(target: str, problem: str = "", status: int = 200) -> HTMLResponse:
    alert = f'<p role="alert">{escape(problem)}</p>' if problem else ""
    body = f"""<h1>auditor</h1>{alert}<form method="post" action="{SIGN_IN}">
<input type="hidden" name="next" value="{escape(target)}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Sign in</button></form>"""
    return _page(body, status)


def _page(body: str, status: int = 200, head: str = "") -> HTMLResponse:
    return HTMLResponse(_PAGE.format(head=head, body=body), status, headers=_POLICY)
