"""Who looks at a page, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from . import service
from .settings import Auth, Role

USER_HEADER = "x-auditor-user"
"""Set by our own middleware for whoever has shown who they are; what a client sends under this name is dropped."""

LOCAL = "local"
"""Whoever uses a dashboard that asks nobody for a name."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody, and their role."""

    name: str
    role: Role

    def may(self, needed: Role) -> bool:
        """Whether they may do what `needed` may."""
        return self.role.may(needed)


def name_of(claims: Mapping[str, Any]) -> str:
    """Whom a provider of OpenID Connect names (Core 1.0, section 5.1), empty if nobody.

    An address that it has not verified may be anybody's: then it is the subject, which it alone gives out.
    """
    address = claims.get("email") if claims.get("email_verified") is not False else None
    return str(address or claims.get("sub") or "")


def visitor() -> Visitor:
    """Who looks at this page. Call it where a page runs."""
    settings = service.current().settings
    if settings.auth is Auth.OIDC:
        name = name_of(st.user)
    elif settings.auth is Auth.NONE:
        name = LOCAL
    else:
        name = st.context.headers.get(USER_HEADER) or ""
    return Visitor(name, settings.role_of(name))
