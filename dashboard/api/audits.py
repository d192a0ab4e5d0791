"""What the API gives of audits: their state, findings, reports and files."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse

from auditor import FORMATS, Audit, FindingState, Severity, render

from ..here import link
from ..library import ENDED, Entry
from ..queries import api
from ..settings import Role
from .asking import Asked, Caller, context, needs
from .problems import ANSWERS, Problem

router = APIRouter(tags=["audits"], responses=ANSWERS)

_MEDIA_TYPES = {
    "json": "application/json",
    "sarif": "application/sarif+json",
    "gitlab": "application/json",
    "jsonl": "application/x-ndjson",
    "junit": "application/xml",
    "html": "text/html",
    "markdown": "text/markdown",
}

Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=2**31)]


@router.get("/audits")
def audits(request: Request, limit: Limit = 100, offset: Offset = 0) -> dict[str, Any]:
    """Every audit, the newest first."""
    entries = context(request).service.library.entries()
    return {"total": len(entries), "audits": [_described(entry) for entry in entries[offset : offset + limit]]}


@router.get("/audits/{audit_id}")
def audit(entry: Asked) -> dict[str, Any]:
    """One audit: how far it is, and what came of it."""
    return _described(entry)


@router.get("/audits/{audit_id}/findings")
def findings(
    request: Request,
    entry: Asked,
    severity: Severity | None = None,
    rule: str | None = None,
    state: FindingState | None = None,
    run: str | None = None,
    pattern: str | None = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """Its findings with their witnesses, the worst first."""
    chosen = {"severity": severity, "rule": rule, "state": state, "run": run, "pattern": pattern}
    with context(request).service.library.reading(_done(entry).audit_id) as con:
        total, page = api.findings(con, chosen, limit, offset)
    for finding in page:
        finding["page_url"] = link("findings", entry.audit_id, finding=finding["fingerprint"]["instance"])
    return {"total": total, "findings": page}


@router.get("/audits/{audit_id}/report", response_class=PlainTextResponse)
def report(
    request: Request,
    entry: Asked,
    format: Annotated[Literal[FORMATS], Query()] = "json",  # type: ignore[valid-type]
) -> Response:
    """Its report, in any format that `auditor check` writes."""
    # One of its own: a connection is for one thread, and reports are asked for at the same time.
    with Audit.open(context(request).service.library.file(_done(entry).audit_id)) as own:
        text = render(own, format)
    answer = Response(text, media_type=_MEDIA_TYPES.get(format, "text/plain"))
    if format == "html":
        # It is for taking away: shown from here, it would be a page of ours.
        answer.headers["Content-Disposition"] = f'attachment; filename="{entry.audit_id}.html"'
    return answer


@router.get("/audits/{audit_id}/file", response_class=FileResponse)
def file(request: Request, who: Caller, entry: Asked) -> FileResponse:
    """The audit itself, a DuckDB file. With payloads in it, only for those who may see payloads."""
    library = context(request).service.library
    if _done(entry).keep_payloads:
        needs(who, Role.TRIAGER)
        with library.state.change() as con:
            library.state.note(con, who.name, "reveal", entry.audit_id, file=True)
    return FileResponse(
        library.file(entry.audit_id), media_type="application/vnd.duckdb", filename=f"{entry.audit_id}.duckdb"
    )


@router.delete("/audits/{audit_id}", status_code=204)
def delete(request: Request, who: Caller, entry: Asked) -> None:
    """Remove an audit and its file. What was decided about findings stays."""
    needs(who, Role.ADMIN)
    context(request).service.worker.delete(entry.audit_id, who.name)


@router.get("/baseline", response_class=PlainTextResponse)
def baseline(request: Request) -> PlainTextResponse:
    """What was decided here, as a baseline for `auditor check --baseline`."""
    text = context(request).service.triage.baseline()
    if text is None:
        raise Problem(404, "Nobody has decided anything here that a baseline could say.")
    return PlainTextResponse(text, media_type="application/x-ndjson")


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.audit_id,
        "name": entry.name,
        "state": entry.state,
        "phase": entry.phase,
        "progress": entry.progress,
        "problem": entry.problem,
        "created_at": entry.created_at,
        "created_by": entry.created_by,
        "finished_at": entry.finished_at,
        "keep_payloads": entry.keep_payloads,
        "uploaded_bytes": entry.uploaded_bytes,
        "audit_bytes": entry.audit_bytes,
        "summary": entry.summary,
        "status_url": f"/api/v1/audits/{entry.audit_id}",
        "page_url": link("", entry.audit_id),
    }


def _done(entry: Entry) -> Entry:
    if not entry.is_done and entry.state in ENDED:
        why = f": {entry.problem}" if entry.problem else ""
        raise Problem(409, f"This audit is over ({entry.state}) and has nothing to show{why}")
    if not entry.is_done:
        raise Problem(409, f"This audit is {entry.state}; ask again later.", headers={"Retry-After": "5"})
    return entry
