"""What whoever starts the dashboard decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

MIB = 1024**2

_SLOWEST = 16 * 1024
"""Bytes a second that an upload may not fall behind for longer than its patience."""


class Auth(StrEnum):
    """How a visitor shows who they are."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105 - the word, no token
    PROXY = "proxy"
    OIDC = "oidc"


class Role(StrEnum):
    """What somebody may do; each may do all that the one before it may."""

    NONE = "none"
    """Does not come in."""
    VIEWER = "viewer"
    """Read audits; payloads excepted."""
    TRIAGER = "triager"
    """Upload logs, decide about findings, reveal payloads."""
    ADMIN = "admin"
    """Delete audits, change rules and retention."""

    def may(self, needed: Role) -> bool:
        """Whether this role includes what `needed` may do."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one visitor can make the server do. Sizes are bytes."""

    upload: int = 2 * 1024 * MIB
    """One upload through the API."""
    page_upload: int = 200 * MIB
    """What one visitor uploads through the page, which holds it in memory; all together: as many times as
    uploads are taken at once."""
    waiting: int = 20
    """Audits that wait for their turn."""
    uploads_at_once: int = 4
    upload_patience: float = 60.0
    """Seconds that an upload may be slower than 16 KiB a second."""
    audit_seconds: float = 3600.0
    audit_memory: str = "2GB"
    audit_disk: int = 20 * 1024 * MIB
    """What an audit may take while it is made, beside its uploads."""
    free_disk: int = 256 * MIB
    """Where less is free, the audit under way is ended."""
    query_seconds: float = 10.0
    query_rows: int = 10_000
    page_rows: int = 100
    """Rows of a table that reach the browser at once."""

    def patience(self, received: int) -> float:
        """Seconds after its begin by which an upload must have brought more than so many bytes."""
        return self.upload_patience + received / _SLOWEST


@dataclass(frozen=True, slots=True)
class Settings:
    """One dashboard: its folder, its address, and who may do what.

    `config` is a configuration of audits (`auditor.toml`). `tokens` maps a token to the name of its owner; `roles`
    maps a name to its role, `*` stands for everybody else; whom it does not name does not come in.
    `retention_days` None keeps audits until somebody deletes them.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8601
    auth: Auth = Auth.NONE
    tokens: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=lambda: {"*": Role.ADMIN})
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    user_header: str = "x-forwarded-user"
    config: Path | None = None
    retention_days: int | None = None
    limits: Limits = field(default_factory=Limits)

    def role_of(self, name: str) -> Role:
        """What somebody of this name may do."""
        return self.roles.get(name, self.roles.get("*", Role.NONE))
