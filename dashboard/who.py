"""Who looks at a page, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

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


def visitor() -> Visitor:
    """Who looks at this page. Call it where a page runs."""
    settings = service.current().settings
    if settings.auth is Auth.OIDC:
        name = str(st.user.get("email") or st.user.get("sub") or "")
    elif settings.auth is Auth.NONE:
        name = LOCAL
    else:
        name = st.context.headers.get(USER_HEADER) or ""
    return Visitor(name, settings.role_of(name))
