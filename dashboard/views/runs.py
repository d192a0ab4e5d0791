"""The page Runs: which runs there are, what became of each, and where an id leads."""

from __future__ import annotations

from typing import Any

import duckdb
import streamlit as st

from auditor import Verdict

from .. import here, service
from ..parts import address
from ..parts.empty import nothing_to_show
from ..parts.words import many, short
from ..queries import runs as queries
from . import run

VERDICT_WORDS = {"corrupt": "corrupt", "cannot_tell": "cannot tell", "suspect": "suspect", "sound": "sound"}
_VERDICTS = [str(verdict) for verdict in (Verdict.CORRUPT, Verdict.CANNOT_TELL, Verdict.SUSPECT, Verdict.SOUND)]
_JUMP = "runs-jump"
_FIRST_PAGE = (address.PAGE,)
_WORKFLOWS = 1000


def page() -> None:
    """Draw it."""
    entry = here.chosen()
    st.subheader("Runs")
    if entry is None:
        nothing_to_show()
        return
    with service.current().library.reading(entry.audit_id) as con:
        text = address.text(
            "Find by id",
            "q",
            "The id of a run, event, step, wait, hook or finding; or how it begins",
            on_change=_jump,
        )
        search = None
        if text:
            search, hits, more = queries.found(con, text)
            _lead(entry.audit_id, text, hits, more=more)
        chosen = _filters(con, search)
        _table(con, entry.audit_id, chosen)


def _jump() -> None:
    st.session_state[_JUMP] = True
    address.first_page()


def _lead(audit_id: str, text: str, hits: list[dict[str, Any]], *, more: bool) -> None:
    """One hit opens its run, when it was searched for just now; a link with a search shows what it found."""
    jumps = st.session_state.pop(_JUMP, False)
    if jumps and len(hits) == 1 and hits[0]["run_id"] is not None:
        st.switch_page(
            st.Page(run.page, title="Run", url_path="run"), query_params={here.AUDIT: audit_id, **_where(hits[0])}
        )
    if hits:
        some = f"The first {len(hits)} hits; type more of the id for others" if more else many(len(hits), "hit")
        st.caption(f"{some}. The runs below are all in which it was found.")
        st.dataframe(
            [_hit(audit_id, hit) for hit in hits],
            hide_index=True,
            placeholder="",
            column_order=("what", "id", "open", "position"),
            column_config={"open": st.column_config.LinkColumn("open", display_text=here.SHOWN_ID)},
            alt="What the search found",
        )
    elif len(text) < queries.SHORTEST:
        st.info(
            f"Nothing has this very id. The beginning of an id is looked up from {queries.SHORTEST} characters on."
        )
    else:
        st.info("No run, event, step, wait, hook or finding of this audit has an id that begins like this.")


def _hit(audit_id: str, hit: dict[str, Any]) -> dict[str, Any]:
    if hit["run_id"] is None:
        opens = here.link("findings", audit_id, finding=hit["instance"])
    else:
        opens = here.link("run", audit_id, **_where(hit))
    return {"open": opens, "what": hit["what"], "id": hit["id"], "run": hit["run_id"], "position": hit["position"]}


def _where(hit: dict[str, Any]) -> dict[str, str]:
    where = {"run": hit["run_id"]}
    if hit["instance"] is not None:
        where["finding"] = hit["instance"]
    elif hit["position"] is not None:
        where["at"] = str(hit["position"])
    return where


def _filters(con: duckdb.DuckDBPyConnection, search: queries.Search | None) -> queries.Filter:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        verdicts = address.pills(
            "Verdict of the log", "verdict", _VERDICTS, VERDICT_WORDS.__getitem__, clears=_FIRST_PAGE
        )
        statuses = address.pills("Status", "status", queries.STATUSES, str, clears=_FIRST_PAGE)
        names = queries.workflows(con, _WORKFLOWS)
        workflow = address.select(
            "Workflow",
            "workflow",
            names,
            nothing="all workflows" if len(names) < _WORKFLOWS else f"all; the first {_WORKFLOWS:,} are listed",
            clears=_FIRST_PAGE,
            width=360,
        )
    return queries.Filter(verdicts, statuses, workflow, search)


def _table(con: duckdb.DuckDBPyConnection, audit_id: str, chosen: queries.Filter) -> None:
    total = queries.count(con, chosen)
    if not total:
        st.info("No run is like this. Take a filter away to see more.")
        return
    size = service.current().settings.limits.page_rows
    pages = -(-total // size)
    listed = queries.listed(con, chosen, size, (address.page_of(pages) - 1) * size)
    st.caption(f"{many(total, 'run')}, the worst first.")
    st.dataframe(
        [{"open": here.link("run", audit_id, run=row["run_id"]), **row, **_words(row)} for row in listed],
        hide_index=True,
        placeholder="",
        height="content",
        column_order=(
            *("open", "log_verdict", "worst", "findings", "status", "workflow"),
            *("events", "seconds", "began", "runtime_verdict"),
        ),
        column_config={
            "open": st.column_config.LinkColumn("Run", display_text=here.SHOWN_ID, width=260),
            "log_verdict": st.column_config.TextColumn("Verdict", width="small"),
            "worst": st.column_config.TextColumn("Worst", width="small"),
            "findings": st.column_config.NumberColumn("Findings", width="small"),
            "status": st.column_config.TextColumn("Status", width="small"),
            "workflow": st.column_config.TextColumn("Workflow"),
            "events": st.column_config.NumberColumn("Events", format="localized", width="small"),
            "seconds": st.column_config.TextColumn("Duration", width="small"),
            "began": "Began (UTC)",
            "runtime_verdict": st.column_config.TextColumn("Runtime says"),
        },
        alt="Runs with their verdict, status, workflow, events, duration and findings",
    )
    address.paging(pages)


def _words(row: dict[str, Any]) -> dict[str, str | None]:
    return {
        "log_verdict": VERDICT_WORDS[row["log_verdict"]],
        "seconds": lasting(row["seconds"]),
        "workflow": short(row["workflow"] or ""),
    }


def lasting(seconds: float | None) -> str | None:
    """How long something took: `340 ms`, `12.5 s`, `3 min 20 s`, `2 d 4 h`."""
    if seconds is None:
        return None
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 60:
        return f"{seconds:.1f} s"
    rest = int(seconds)
    for big, (size, small, unit) in (
        ("d", (86_400, "h", 3_600)),
        ("h", (3_600, "min", 60)),
        ("min", (60, "s", 1)),
    ):
        if rest >= size:
            return f"{rest // size} {big} {rest % size // unit} {small}"
    return f"{rest} s"
