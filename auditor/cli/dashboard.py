"""`auditor dashboard`: the pages, the API and the worker behind them, served until somebody ends it."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
import threading
import webbrowser
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from auditor.errors import UsageError
from auditor.resources import dashboard_package

TOKENS = "AUDITOR_DASHBOARD_TOKENS"
FOLDER = "AUDITOR_DASHBOARD_FOLDER"
STATE_FILE = "state.sqlite"
"""What makes a folder the folder of a dashboard."""

_SHORTEST_TOKEN = 16
_ROLES = ("none", "viewer", "triager", "admin")
_EVERYBODY = {"none": "admin", "token": "viewer", "proxy": "viewer", "oidc": "none"}
"""The role of whom no --role names. A provider of OpenID Connect may have the accounts of all the world."""

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


def _roles(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    roles = {}
    for value in values:
        who, equals, role = value.rpartition("=")
        if not equals or not who or role not in _ROLES:
            raise click.BadParameter(f"{value!r} is not WHO=ROLE with ROLE none, viewer, triager or admin")
        roles[who] = role
    return roles


def _networks(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise click.BadParameter(f"{value!r} is no IP address and no network such as 10.0.0.0/8") from None
    return values


def _size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,9})\s*([KMG]?)i?B?", value, re.IGNORECASE)
    if match is None or not int(match[1]):
        raise click.BadParameter(f"{value!r} is no size such as 500MB or 2GB")
    return int(match[1]) * _UNITS[match[2].upper()]


@click.command(short_help="Look at audits in a browser.")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help=f"Where audits and decisions are kept; by default ${FOLDER}, else your data directory.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8601, show_default=True, help="0: any free one.")
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
@click.option(
    "--auth",
    type=click.Choice(["none", "token", "proxy", "oidc"]),
    default="none",
    show_default=True,
    help=f"How visitors show who they are; tokens come from ${TOKENS} (name:token,... or @file).",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    callback=_roles,
    metavar="WHO=ROLE",
    help="none, viewer, triager or admin; WHO * is everybody else.  "
    "[default: *=admin with --auth none, *=none with oidc, else *=viewer]",
)
@click.option("--allowed-host", "hosts", multiple=True, metavar="HOST", help="A name this server is called by.")
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    callback=_networks,
    metavar="IP",
    help="Whose word on the user is believed, with --auth proxy.",
)
@click.option("--user-header", default="x-forwarded-user", show_default=True, help="The header it says it in.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Configuration of the audits made here.",
)
@click.option(
    "--retention-days", type=click.IntRange(min=1), metavar="N", help="Delete audits older than so many days."
)
@click.option("--max-upload", callback=_size, metavar="SIZE", help="Largest upload, as 500MB.  [default: 2GB]")
def dashboard(
    paths: tuple[Path, ...],
    folder: Path | None,
    host: str,
    port: int,
    no_browser: bool,
    auth: str,
    roles: dict[str, str],
    hosts: tuple[str, ...],
    proxies: tuple[str, ...],
    user_header: str,
    config: Path | None,
    retention_days: int | None,
    max_upload: int | None,
) -> None:
    """Serve the dashboard until Ctrl-C.

    PATH is a log, or a folder of logs, to audit at start; an audit file (.duckdb) to show; or the folder of a
    dashboard. Serves on this machine alone, unless --auth says who else may come in.
    """
    server, settings = _modules("server", "settings")
    chosen, logs = _sorted(paths, folder)
    limits: dict[str, Any] = {}
    if max_upload is not None:
        limits = {"upload": max_upload, "page_upload": min(max_upload, settings.Limits().page_upload)}
    asked = settings.Settings(
        folder=chosen.absolute(),
        host=host,
        port=port,
        auth=settings.Auth(auth),
        tokens=_tokens(os.environ.get(TOKENS, "")),
        roles={who: settings.Role(role) for who, role in {"*": _EVERYBODY[auth], **roles}.items()},
        allowed_hosts=hosts,
        trusted_proxies=proxies,
        user_header=user_header,
        config=config,
        retention_days=retention_days,
        limits=settings.Limits(**limits),
    )

    def announce(address: str) -> None:
        click.echo(f"auditor dashboard: {address} (Ctrl-C ends it)")
        sys.stdout.flush()
        if not no_browser and sys.stdout.isatty():
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()

    try:
        server.serve(asked, logs, announce)
    except OSError as error:
        raise UsageError(f"{chosen}: {error.strerror or error}") from None


def _modules(*names: str) -> list[ModuleType]:
    """Modules of the dashboard. Raises UsageError if what it stands on is not installed."""
    package = dashboard_package()
    try:
        return [import_module(f"{package}.{name}") for name in names]
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] in {"auditor"}:
            raise
        raise UsageError("the dashboard is not installed: pip install 'workflow-auditor[dashboard]'") from None


def _sorted(paths: tuple[Path, ...], folder: Path | None) -> tuple[Path, list[Path]]:
    """The folder of the dashboard, and the logs and audits for it."""
    folders = [path for path in paths if (path / STATE_FILE).is_file()]
    named = [*folders, *([folder] if folder is not None else [])]
    if len({path.resolve() for path in named}) > 1:
        raise UsageError(f"one dashboard has one folder; {', '.join(str(path) for path in named)} are several")
    return (named[0] if named else _default_folder()), [path for path in paths if path not in folders]


def _default_folder() -> Path:
    if chosen := os.environ.get(FOLDER):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "auditor" / "dashboard"


def _tokens(value: str) -> dict[str, str]:
    """Who owns which token. No error of this names a token: what is said ends up in logs."""
    if value.startswith("@"):
        try:
            value = Path(value[1:]).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise UsageError(f"${TOKENS}: the file cannot be read: {type(error).__name__}") from None
    tokens: dict[str, str] = {}
    for number, pair in enumerate(filter(None, (each.strip() for each in re.split(r"[,\n]", value))), 1):
        name, colon, token = (part.strip() for part in pair.partition(":"))
        if not colon or not re.fullmatch(r"[\x21-\x7e]{1,100}", name):
            raise UsageError(f"${TOKENS}: entry {number} is not name:token")
        if len(token) < _SHORTEST_TOKEN:
            raise UsageError(f"${TOKENS}: the token of {name} is shorter than {_SHORTEST_TOKEN} characters")
        if token in tokens:
            raise UsageError(f"${TOKENS}: {name} and {tokens[token]} have the same token")
        tokens[token] = name
    return tokens
