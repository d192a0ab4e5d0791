"""The one gate: who asks is known before anything of the dashboard runs."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from ..settings import Auth, Role, Settings
from ..who import LOCAL, USER_HEADER, name_of
from . import signin
from .failures import Failures
from .refusing import HEALTH, refuse
from .sessions import Sessions

_LONGEST_NAME = 200
_MACHINES = ("/api", "/metrics")
"""Paths that programs ask for; they show a token each time."""
_OF_A_SESSION = ("/_stcore/upload_file", "/media")
"""What pages send and fetch when somebody has signed in there."""


class Gate:
    """Lets through whoever has shown who they are, and writes their name into `x-auditor-user`."""

    def __init__(self, app: ASGIApp, settings: Settings, key: bytes) -> None:
        self._app = app
        self._settings = settings
        self._auth = settings.auth
        self._sessions = Sessions(settings.tokens, key)
        self._proxies = [ipaddress.ip_network(proxy, strict=False) for proxy in settings.trusted_proxies]
        self._user_header = settings.user_header.lower()
        self._failures = Failures()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes from somebody known."""
        if scope["type"] == "lifespan" or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        address = self._address(asked)
        if self._auth is Auth.TOKEN and scope["type"] == "http" and scope["path"] in signin.PATHS:
            secure = self._is_secure(asked)
            await signin.answer(scope, receive, send, self._sessions, self._failures, address, secure=secure)
            return
        shown = _bearer(asked.headers)
        if shown is not None and self._auth is not Auth.NONE and (seconds := self._failures.wait(address)):
            await refuse(
                scope,
                receive,
                send,
                status=429,
                title="Too many wrong tokens; wait a minute",
                headers={"Retry-After": str(seconds)},
            )
            return
        name = self._name(asked, shown)
        if name is None and not self._is_open(scope["path"]):
            if shown is not None and self._auth is not Auth.NONE:
                self._failures.count(address)
            await self._turn_away(scope, receive, send)
            return
        if (
            name is not None
            and not self._settings.role_of(name).may(Role.VIEWER)
            and not self._is_open(scope["path"])
        ):
            await refuse(scope, receive, send, status=403, title=f"{name} has no role here")
            return
        await self._app(_named(scope, name), receive, send)

    def _is_open(self, path: str) -> bool:
        """With OpenID Connect pages ask for the login themselves: its own steps have to get through."""
        return self._auth is Auth.OIDC and not path.startswith((*_MACHINES, *_OF_A_SESSION))

    def _name(self, asked: HTTPConnection, token: str | None) -> str | None:
        if self._auth is Auth.NONE:
            return LOCAL
        if self._auth is Auth.PROXY and self._is_proxy(asked) and (user := self._by_proxy(asked.headers)):
            return user
        if token is not None:
            return self._sessions.owner(token)
        if self._auth is Auth.TOKEN:
            return self._sessions.name(asked.cookies.get(signin.COOKIE, ""))
        if self._auth is Auth.OIDC and not asked.url.path.startswith(_MACHINES):
            return _signed_in(asked.cookies)
        return None

    def _by_proxy(self, headers: Headers) -> str | None:
        names = headers.getlist(self._user_header)
        # Two of them: somebody has sent one past the proxy. Neither is believed.
        if len(names) != 1 or not names[0].isprintable() or not 0 < len(names[0].strip()) <= _LONGEST_NAME:
            return None
        return names[0].strip()

    def _is_proxy(self, asked: HTTPConnection) -> bool:
        return asked.client is not None and _is_within(asked.client.host, self._proxies)

    def _address(self, asked: HTTPConnection) -> str:
        """Where a request comes from: what a proxy of ours says, else its other end."""
        forwarded = asked.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        peer = asked.client.host if asked.client else ""
        return forwarded if forwarded and self._is_proxy(asked) else peer

    def _is_secure(self, asked: HTTPConnection) -> bool:
        by_proxy = self._is_proxy(asked) and asked.headers.get("x-forwarded-proto") == "https"
        return asked.url.scheme == "https" or by_proxy

    async def _turn_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._auth is Auth.TOKEN and signin.is_visit(scope):
            await signin.invite(scope, receive, send)
        elif self._auth is Auth.PROXY:
            await refuse(scope, receive, send, status=401, title="The proxy in front did not say who you are")
        else:
            headers = {"WWW-Authenticate": "Bearer"}
            await refuse(scope, receive, send, status=401, title="A token is needed", headers=headers)


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _named(scope: Scope, name: str | None) -> Scope:
    """The same request with our own word for who sent it, whatever the client says."""
    scope = {**scope, "headers": list(scope["headers"])}
    headers = MutableHeaders(scope=scope)
    del headers[USER_HEADER]
    if name is not None:
        # As names arrive: a header has no encoding of its own, and Streamlit reads it as Latin-1.
        headers.append(USER_HEADER, name)
    return scope


def _is_within(address: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        host = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = host.ipv4_mapped if isinstance(host, ipaddress.IPv6Address) else None
    return any((mapped or host) in network for network in networks)


def _signed_in(cookies: dict[str, str]) -> str | None:
    """Whom Streamlit's own login has signed in."""
    secret = get_cookie_secret()

    def read(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(secret, name, value.encode("latin-1")) if value is not None else None

    cookie = get_cookie_with_chunks(read, USER_COOKIE_NAME) if secret else None
    if cookie is None:
        return None
    user = json.loads(cookie)
    if not user.get("is_logged_in"):
        return None
    return name_of(user) or None
