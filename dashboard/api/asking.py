"""Who calls the API, about which audit, and whether they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request

from ..library import Entry
from ..metrics import Metrics
from ..service import Service
from ..settings import Role
from ..who import USER_HEADER, Visitor
from .problems import Problem


@dataclass(slots=True)
class Context:
    """What every call stands on."""

    service: Service
    metrics: Metrics
    receiving: int = 0
    """Uploads under way."""


def context(request: Request) -> Context:
    """Of this server."""
    found: Context = request.app.state.context
    return found


def caller(request: Request) -> Visitor:
    """Whom the gate has let in."""
    name = request.headers.get(USER_HEADER, "")
    return Visitor(name, context(request).service.settings.role_of(name))


Caller = Annotated[Visitor, Depends(caller)]


def needs(who: Visitor, role: Role) -> None:
    """End the call unless `who` may do what it asks for."""
    if not who.may(role):
        raise Problem(403, f"This needs the role {role}; {who.name!r} has the role {who.role}.")


def asked(request: Request, audit_id: Annotated[str, Path(pattern="^[0-9A-HJKMNP-TV-Z]{26}$")]) -> Entry:
    """The audit that the path names."""
    entry = context(request).service.library.entry(audit_id)
    if entry is None:
        raise Problem(404, "There is no such audit; GET /api/v1/audits lists them.")
    return entry


Asked = Annotated[Entry, Depends(asked)]
