"""The page Overview: can these logs be trusted, what to fix first, and what nobody could check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import streamlit as st

from auditor import Verdict

from .. import here, service
from ..charts import overview as charts
from ..library import Entry
from ..parts.empty import nothing_to_show
from ..parts.judging import judged
from ..parts.links import goto_page, page_link
from ..parts.words import many, moment
from ..queries import findings as known_findings
from ..queries import overview as queries
from ..queries.overview import Decided
from .overview_changes import changes

_RULES = 12
_CAUSES = 8
_RUNS = 10
_CHART = "overview.rules"
_CARD = 140
_CARDS = 4
_HALF = 420
_NAMES = {
    Verdict.CORRUPT: "Corrupt runs",
    Verdict.SUSPECT: "Suspect runs",
    Verdict.CANNOT_TELL: "Cannot tell",
    Verdict.SOUND: "Sound runs",
}
_LINKS = {Verdict.CANNOT_TELL: "undecided runs"}


@dataclass(frozen=True, slots=True)
class _Read:
    facts: dict[str, Any]
    fences: dict[str, int]
    by_rule: list[dict[str, Any]]
    over_time: list[dict[str, Any]]
    causes: list[dict[str, Any]]
    worst_runs: list[dict[str, Any]]
    unchecked: list[dict[str, Any]]
    capabilities: list[dict[str, Any]]


def page() -> None:
    """Draw it."""
    st.subheader("Overview")
    entry = here.chosen()
    if entry is None:
        nothing_to_show()
        return
    with service.current().library.reading(entry.audit_id) as con:
        known = judged(con, entry)
        standing = known_findings.by_standing(con, known)
    read = _read(entry.audit_id, Decided.of(known.decided))
    st.text(f"{entry.name}, audited {moment(entry.finished_at or entry.created_at)}")
    _verdict(read)
    _cards(entry, read, standing, compared=known.earlier is not None)
    _causes(entry, read)
    _charts(entry, read)
    _worst_runs(entry, read)
    changes(entry)
    _unchecked(entry, read)


@st.cache_data(max_entries=64, show_spinner="Reading the audit")
def _read(audit_id: str, decided: Decided) -> _Read:
    with service.current().library.reading(audit_id) as con:
        return _read_from(con, decided)


def _read_from(con: duckdb.DuckDBPyConnection, decided: Decided) -> _Read:
    return _Read(
        queries.facts(con),
        queries.fences(con),
        queries.by_rule(con, decided, _RULES),
        queries.over_time(con, decided),
        queries.causes(con, decided, _CAUSES),
        queries.worst_runs(con, decided, _RUNS),
        queries.unchecked(con),
        queries.capabilities(con),
    )


def _verdict(read: _Read) -> None:
    verdicts, runs = read.facts["verdicts"], read.facts["runs"]
    corrupt, unknown, suspect = (
        verdicts.get(name, 0) for name in (Verdict.CORRUPT, Verdict.CANNOT_TELL, Verdict.SUSPECT)
    )
    gaps = f"{many(len(read.unchecked), 'thing')} could not be checked, see below."
    limits = gaps if read.unchecked else "Everything that the rules look at was there."
    if corrupt:
        st.error(f"**Corrupt.** {_of(corrupt, runs)} cannot be trusted. {limits}", icon=":material/error:")
    elif unknown or not runs:
        said = f"{_of(unknown, runs)} could not be judged." if runs else "No run was read."
        st.warning(f"**Cannot tell.** {said} {limits}", icon=":material/help:")
    elif suspect:
        st.warning(f"**Suspect.** {_of(suspect, runs)} should be looked at. {limits}", icon=":material/warning:")
    else:
        st.success(
            f"**Sound.** Nothing was found against {_of(runs, runs)}. {limits}", icon=":material/check_circle:"
        )
    st.text(f"auditor check ends with exit code {read.facts['exit_code']}: {read.facts['exit_because']}.")


def _of(number: int, runs: int) -> str:
    return f"All of {many(runs, 'run')}" if number == runs > 1 else f"{number:,} of {many(runs, 'run')}"


def _cards(entry: Entry, read: _Read, standing: dict[str, int], *, compared: bool) -> None:
    still_open = sum(standing.get(state, 0) for state in ("regressed", "new", "open"))
    with st.grid(_CARDS, min_column_width=_CARD, gap="small"):
        for verdict, name in _NAMES.items():
            with st.container(border=True, height="stretch", gap="xsmall"):
                st.metric(name, f"{read.facts['verdicts'].get(verdict, 0):,}")
                page_link(
                    f"Show {_LINKS.get(verdict, name.lower())}", "runs", entry.audit_id, verdict=verdict.value
                )
        with st.container(border=True, height="stretch", gap="xsmall"):
            st.metric("Open findings", f"{still_open:,}", help="Nobody has decided to ignore or suppress them.")
            page_link("Show open findings", "findings", entry.audit_id)
        with st.container(border=True, height="stretch", gap="xsmall"):
            new = f"{standing.get('new', 0):,}" if compared else "–"
            st.metric("New findings", new, help="The audit before this one did not have them.")
            if compared:
                page_link("Show new findings", "findings", entry.audit_id, state="new")
            else:
                st.caption("There is no audit before this one.")
        with st.container(border=True, height="stretch", gap="xsmall"):
            _fence_card(read)
        with st.container(border=True, height="stretch", gap="xsmall"):
            st.metric("Events", f"{read.facts['events']:,}")
            st.caption(f"in {many(read.facts['runs'], 'run')}")


def _fence_card(read: _Read) -> None:
    meaning = "Decision writes that carried a fence, of all decision writes."
    if not read.fences["runs"]:
        st.metric("Fence coverage", "–", help=meaning)
        st.caption("not recorded by these logs")
        return
    writes, fenced = read.fences["writes"], read.fences["fenced"]
    st.metric("Fence coverage", f"{fenced / writes:.1%}" if writes else "–", help=meaning)
    st.caption(f"{fenced:,} of {many(writes, 'decision write')}")
    if read.fences["runs"] < read.facts["runs"]:
        st.caption(f"recorded by {_of(read.fences['runs'], read.facts['runs'])}")


def _causes(entry: Entry, read: _Read) -> None:
    st.markdown("#### What to fix first")
    if not read.causes:
        st.text("No open finding asks for a fix.")
        return
    st.dataframe(
        [
            {
                "open": here.link("findings", entry.audit_id, finding=row["instance"]),
                "severity": row["severity"],
                "what is wrong": row["diagnosis"],
                "findings": row["findings"],
                "runs": f"{row['runs']:,} of {row['all_runs']:,}",
                "workflows": ", ".join(row["workflows"]),
                "rule": row["rule"],
            }
            for row in read.causes
        ],
        hide_index=True,
        width="stretch",
        column_config={
            "severity": st.column_config.TextColumn(width=70),
            "what is wrong": st.column_config.TextColumn(width="large"),
            "findings": st.column_config.NumberColumn(width=70, format="localized"),
            "runs": st.column_config.TextColumn(width=90),
            "open": _opens("Example", "A finding that stands for all of them"),
        },
        alt="The bugs behind the open findings, the gravest first",
    )


def _charts(entry: Entry, read: _Read) -> None:
    dark = st.context.theme.type == "dark"
    if not read.by_rule:
        return
    with st.grid(2, min_column_width=_HALF, gap="medium"):
        with st.container():
            st.markdown("#### Open findings by rule")
            picked = st.plotly_chart(
                charts.by_rule(read.by_rule, dark=dark),
                key=_CHART,
                on_select="rerun",
                selection_mode="points",
                config={"displayModeBar": False},
                alt=charts.summary(read.by_rule),
            )
            if points := picked["selection"]["points"]:
                rule, severity = points[0]["customdata"]
                goto_page("findings", entry.audit_id, rule=str(rule), severity=str(severity))
            with st.expander("The same as a table, with links"):
                _rule_table(entry, read)
        with st.container():
            st.markdown("#### Over time")
            if read.over_time:
                height = charts.height_of(read.by_rule)
                st.plotly_chart(
                    charts.over_time(read.over_time, height, dark=dark),
                    config={"displayModeBar": False},
                    alt="Open findings over time, by severity",
                )
            else:
                st.info("No times are recorded by the witnesses of the open findings.")


def _rule_table(entry: Entry, read: _Read) -> None:
    st.dataframe(
        [
            {"open": here.link("findings", entry.audit_id, rule=row["rule"], severity=row["severity"]), **row}
            for row in read.by_rule
        ],
        hide_index=True,
        width="stretch",
        column_config={"open": _opens("Findings")},
        alt="Open findings by rule and severity",
    )


def _worst_runs(entry: Entry, read: _Read) -> None:
    if not read.worst_runs:
        return
    st.markdown("#### Worst runs")
    st.dataframe(
        [
            {
                "open": here.link("run", entry.audit_id, run=row["run_id"]),
                "run": row["run_id"],
                "workflow": row["workflow"],
                "verdict": row["verdict"].replace("_", " "),
                "errors": row["errors"],
                "warnings": row["warnings"],
                "findings": row["findings"],
                "rules": ", ".join(row["rules"]),
                "last event": row["last_at"],
            }
            for row in read.worst_runs
        ],
        hide_index=True,
        width="stretch",
        column_config={
            "errors": st.column_config.NumberColumn(width=60),
            "warnings": st.column_config.NumberColumn(width=70),
            "findings": st.column_config.NumberColumn(width=70),
            "last event": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", help="UTC"),
            "open": _opens("Run"),
        },
        alt="The runs with most open findings, the worst first",
    )


def _unchecked(entry: Entry, read: _Read) -> None:
    st.markdown("#### What could not be checked")
    if read.unchecked:
        st.dataframe(
            [
                {"what": row["what"], "how many": row["number"], "why": row["why"], "which": row["things"]}
                for row in read.unchecked
            ],
            hide_index=True,
            width="stretch",
            column_config={
                "what": st.column_config.TextColumn(width="medium"),
                "how many": st.column_config.NumberColumn(width=70, format="localized"),
                "why": st.column_config.TextColumn(width="large"),
                "which": st.column_config.TextColumn(width="medium"),
            },
            alt="What could not be checked, and why",
        )
    else:
        st.text("Every rule was evaluated on every run, and every row was read.")
    lacking = [row for row in read.capabilities if row["runs"] < row["all_runs"]]
    if lacking:
        names = ", ".join(f"{row['name'].replace('_', ' ')} ({row['runs']:,})" for row in lacking)
        st.caption(f"Not recorded for every one of {many(read.facts['runs'], 'run')}: {names}")
    page_link("What each rule needs", "rules", entry.audit_id, icon=":material/rule:")


def _opens(text: str, meaning: str | None = None) -> Any:
    return st.column_config.LinkColumn("", display_text=text, width=80, help=meaning)
