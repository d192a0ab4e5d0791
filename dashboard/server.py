"""The one process: pages, API, metrics and the worker behind one address."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from pathlib import Path

import streamlit as st
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from streamlit import config

from auditor import UsageError

from . import api, metrics, security
from .security.origins import known_hosts
from .security.refusing import HEALTH
from .service import Service, install
from .settings import MIB, Auth, Role, Settings
from .starting import begin

_MAIN = Path(__file__).with_name("main.py")
_UMASK = 0o077
_GOODBYE_SECONDS = 3
_OF_A_PROVIDER = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")


def app(service: Service, started: Callable[[], None] = lambda: None) -> st.App:
    """The whole dashboard, as an ASGI application. `started` is called when it can answer."""
    install(service)
    counted = metrics.Metrics(service.library)

    @asynccontextmanager
    async def working(_: st.App) -> AsyncIterator[None]:
        service.worker.start()
        started()
        try:
            yield
        finally:
            service.worker.stop()

    def refused(session: str, status: int, why: str) -> None:
        counted.refused(status)
        service.lost.note(session, why)

    def health(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    def counts(_: Request) -> Response:
        return Response(counted.text(), media_type=metrics.CONTENT_TYPE)

    def home(request: Request) -> Response:
        return RedirectResponse(f"/?{request.url.query}")

    made = st.App(
        _MAIN,
        routes=[
            Mount("/api", api.app(service, counted)),
            Route(HEALTH, health),
            Route("/metrics", counts),
            Route("/overview", home),  # the one page that Streamlit knows by no name
        ],
        middleware=security.layers(service.settings, refused),
        lifespan=working,
    )
    _configure(service.settings)
    return made


def serve(settings: Settings, paths: Sequence[Path], announce: Callable[[str], None]) -> None:
    """Serve a dashboard until the process is told to end. `paths` are audits to show and logs to audit.

    `announce` gets its address when it can answer. Raises UsageError if it may not or cannot be served there.
    """
    check(settings)
    os.umask(_UMASK)
    with _bound(settings) as listening, _alone(settings.folder):
        port = listening.getsockname()[1]
        service = Service.of(settings)
        begin(service, paths)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        served = uvicorn.Config(
            app(service, lambda: announce(f"http://{host}:{port}/")),
            log_level="warning",
            access_log=False,
            server_header=False,
            # Who asks is for our own gate to say: uvicorn would believe any local proxy.
            proxy_headers=False,
            timeout_graceful_shutdown=_GOODBYE_SECONDS,
        )
        uvicorn.Server(served).run([listening])


def check(settings: Settings) -> None:
    """Refuse settings under which strangers could get in. Raises UsageError."""
    if settings.auth is Auth.NONE and not _is_local(settings.host):
        raise UsageError(
            f"{settings.host} can be reached from elsewhere: say who may come in, with --auth token, proxy or oidc"
        )
    if settings.auth is Auth.TOKEN and not settings.tokens:
        raise UsageError("--auth token needs tokens: AUDITOR_DASHBOARD_TOKENS=name:token,… or @file")
    if settings.auth is Auth.PROXY and not settings.trusted_proxies:
        raise UsageError("--auth proxy needs the address of the proxy: --trusted-proxy IP")
    if settings.auth is Auth.OIDC:
        _check_secrets(_secrets(settings))
    if not any(role.may(Role.VIEWER) for role in settings.roles.values()):
        raise UsageError("nobody may come in: say who, as --role alice@example.org=admin or --role '*=viewer'")


def _check_secrets(path: Path) -> None:
    """Raises UsageError unless Streamlit can sign somebody in with what stands in the file. No error quotes it."""
    how = f"--auth oidc needs {path} with a section [auth]: {', '.join(_OF_A_PROVIDER)}"
    try:
        section = tomllib.loads(path.read_text("utf-8")).get("auth")
    except (OSError, ValueError) as error:
        raise UsageError(f"{how}; the file cannot be read: {type(error).__name__}") from None
    missing = [key for key in _OF_A_PROVIDER if not isinstance(section, dict) or not section.get(key)]
    if missing:
        raise UsageError(f"{how}; it lacks {', '.join(missing)}")


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _secrets(settings: Settings) -> Path:
    return settings.folder / "secrets.toml"


def _bound(settings: Settings) -> socket.socket:
    """A socket on the address. Raises UsageError if somebody else has it."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen()
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            why = "is in use; choose another with --port"
        else:
            why = f"cannot be served: {error.strerror or error}"
        raise UsageError(f"{settings.host}:{settings.port} {why}") from None
    return listening


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder: two workers on it would undo each other's work. Raises UsageError if another has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another dashboard serves {folder}") from None
        yield


def _configure(settings: Settings) -> None:
    """Streamlit's own options. Set here, so that no configuration file lying around can weaken them."""
    for name, value in {
        "server.address": settings.host,
        "server.port": settings.port,
        "server.headless": True,
        "server.maxUploadSize": settings.limits.page_upload // MIB,
        "server.allowedHosts": sorted(known_hosts(settings)),
        "server.corsAllowedOrigins": [],
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "server.enableStaticServing": False,
        "server.enableAgentApi": False,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.disableDataExport": True,
        "global.developmentMode": False,
        "secrets.files": [str(_secrets(settings))],
    }.items():
        config.set_option(name, value)
