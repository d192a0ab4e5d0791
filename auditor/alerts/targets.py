"""Where an alert may go: what `--notify` names, the hosts that are allowed, and the addresses behind them."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from auditor.errors import AlertFailed, UsageError
from auditor.report.words import plain

SECRET = "AUDITOR_WEBHOOK_SECRET"  # noqa: S105 - the name of the variable
"""The environment variable that holds the key with which webhooks are signed."""

_FROM_ENVIRONMENT = "env:"
_PORTS = {"https": 443, "http": 80}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Kind(StrEnum):
    """Who receives an alert, and so what it looks like."""

    WEBHOOK = "webhook"
    SLACK = "slack"


_ALLOWED = {Kind.WEBHOOK: (), Kind.SLACK: ("hooks.slack.com",)}


@dataclass(frozen=True, slots=True)
class Target:
    """One receiver of alerts whose host is on the list. Its path and its key are secrets: it never shows them."""

    kind: Kind
    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    secret: str = field(repr=False)
    hosts: frozenset[str] = field(repr=False)

    @property
    def authority(self) -> str:
        """The host as the `Host` header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def addresses(self) -> list[str]:
        """What the host resolves to now: connect to one of these and to nothing else.

        Raises AlertFailed if it resolves to nothing, UsageError if one address is not public: then a name that is
        allowed would open a door to a network that nobody meant to allow.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError:
            raise AlertFailed(self.kind, self.host, "the name cannot be resolved") from None
        resolved = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for text in resolved:
            self._permit(ipaddress.ip_address(text.partition("%")[0]))
        return resolved

    def _permit(self, address: Address) -> None:
        if self.scheme == "http" and not address.is_loopback:
            raise UsageError(f"{self.host} is not this machine, so its alerts need https")
        listed = str(address) in self.hosts or (address.is_loopback and self.host == "localhost")
        if not listed and not _is_public(address):
            raise UsageError(
                f"{self.host} resolves to {address}, which is not public: allow that address too, "
                f"by --notify-host {address}, if that is meant"
            )


def targets(names: Sequence[str], hosts: Sequence[str], environ: Mapping[str, str]) -> list[Target]:
    """The receivers that `KIND=URL` or `KIND=env:NAME` name; `hosts` lists those that are allowed, exactly.

    Nothing is resolved or sent yet. Raises UsageError if a URL is none, is not https, carries a user name, or has
    a host that is not listed; and for a webhook without a key to sign it with (AUDITOR_WEBHOOK_SECRET): a receiver
    could not tell it from a forged one.
    """
    allowed = {_host(host) for host in hosts}
    return [_target(name, allowed, environ) for name in names]


def _target(name: str, allowed: set[str], environ: Mapping[str, str]) -> Target:
    word, _, value = name.partition("=")
    if word not in list(Kind) or not value:
        raise UsageError(f"--notify takes KIND=URL or KIND=env:NAME, with KIND one of {', '.join(Kind)}")
    kind = Kind(word)
    secret = environ.get(SECRET, "")
    if kind is Kind.WEBHOOK and not secret:
        raise UsageError(f"a webhook is signed: set {SECRET} to a key that its receiver has too")
    hosts = frozenset(allowed | set(_ALLOWED[kind]))
    scheme, host, port, path = _parts(kind, _url(kind, value, environ))
    if host not in hosts:
        raise UsageError(
            f"the host {plain(host)} is not allowed to receive alerts; --notify-host {plain(host)} does"
        )
    if scheme == "http" and not _is_this_machine(host):
        raise UsageError(f"{host}: alerts go over https; http only to this machine")
    return Target(kind, scheme, host, port, path, secret, hosts)


def _url(kind: Kind, value: str, environ: Mapping[str, str]) -> str:
    if not value.startswith(_FROM_ENVIRONMENT):
        return value
    name = value.removeprefix(_FROM_ENVIRONMENT)
    if not environ.get(name):
        raise UsageError(f"--notify {kind}: there is no URL in the environment variable {plain(name)}")
    return environ[name]


def _parts(kind: Kind, text: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and the rest of a URL, which no message may quote."""
    try:
        url = parse_url(text.strip())
    except LocationParseError:
        raise UsageError(f"--notify {kind}: this is not a URL") from None
    if url.scheme not in _PORTS or not url.host:
        raise UsageError(f"--notify {kind}: this is not an https:// URL with a host")
    if url.auth is not None:
        raise UsageError(f"--notify {kind}: a user name or password does not belong into the URL")
    return url.scheme, _host(url.host), url.port or _PORTS[url.scheme], url.request_uri


def _host(text: str) -> str:
    """A host as hosts are compared: in lower case, an address in its shortest form."""
    name = text.strip("[]").lower()
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_public(address: Address) -> bool:
    """Whether anybody on the internet can be meant by it; an IPv4 address inside an IPv6 one is what counts."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast
