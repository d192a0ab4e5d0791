"""The page Overview: can these logs be trusted, what to fix first, and what nobody could check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import streamlit as st

from auditor import ExitCode, Verdict

from .. import here, service
from ..charts import overview as charts
from ..library import Entry
from ..parts.empty import nothing_to_show
from ..parts.judging import judged
from ..parts.links import goto_page, page_link
from ..parts.words import escaped, many, moment, short
from ..queries import findings as known_findings
from ..queries import overview as queries
from ..queries.overview import Decided, OverTime
from ..queries.times import EARLIEST, LATEST
from ..triage import STILL_OPEN, Standing
from .overview_changes import changes

_RULES = 12
_CAUSES = 8
_RUNS = 10
_CHART = "overview.rules"
_CARD = 140
_CARDS = 4
_HALF = 420
_RUN_ID = 260
_NAMES = {
    Verdict.CORRUPT: "Corrupt runs",
    Verdict.SUSPECT: "Suspect runs",
    Verdict.CANNOT_TELL: "Cannot tell",
    Verdict.SOUND: "Sound runs",
}
_WHOLE = "The log as a whole, though no single run,"
_LINKS = {Verdict.CANNOT_TELL: "undecided"}


@dataclass(frozen=True, slots=True)
class _Read:
    facts: dict[str, Any]
    fences: dict[str, int]
    by_rule: list[dict[str, Any]]
    over_time: OverTime
    causes: tuple[int, list[dict[str, Any]]]
    worst_runs: tuple[int, list[dict[str, Any]]]
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
    still_open = sum(standing.get(state, 0) for state in STILL_OPEN)
    made = "an audit file of" if entry.is_imported else "audited"
    st.text(f"{entry.name}, {made} {moment(entry.finished_at or entry.created_at)}")
    _verdict(read, still_open, found=sum(standing.values()))
    _cards(entry, read, still_open, standing.get(Standing.NEW, 0) if known.earlier is not None else None)
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
        queries.by_rule(con, decided),
        queries.over_time(con, decided),
        queries.causes(con, decided, _CAUSES),
        queries.worst_runs(con, decided, _RUNS),
        queries.unchecked(con),
        queries.capabilities(con),
    )


def _verdict(read: _Read, still_open: int, *, found: int) -> None:
    """The verdict of the audit in words; green only if nothing asks for a second look."""
    runs = read.facts["runs"]
    like_it = read.facts["verdicts"].get(read.facts["verdict"], 0)
    gaps = f"{many(len(read.unchecked), 'thing')} could not be checked, see below."
    limits = gaps if read.unchecked else "Everything that the rules look at was there."
    match Verdict(read.facts["verdict"]):
        case Verdict.CORRUPT:
            said = f"{_of(like_it, runs) if like_it else _WHOLE} cannot be trusted"
            st.error(f"**Corrupt.** {said}. {limits}", icon=":material/error:")
        case Verdict.CANNOT_TELL:
            said = f"{_of(like_it, runs)} could not be judged" if runs else "No run was read"
            st.warning(f"**Cannot tell.** {said}. {limits}", icon=":material/help:")
        case Verdict.SUSPECT:
            said = f"{_of(like_it, runs) if like_it else _WHOLE} should be looked at"
            st.warning(f"**Suspect.** {said}. {limits}", icon=":material/warning:")
        case Verdict.SOUND if doubts := _doubts(read, still_open):
            said = "; ".join(["**No run is corrupt or suspect**", *doubts])
            st.warning(f"{said}. {limits}", icon=":material/warning:")
        case Verdict.SOUND:
            nothing = f"Nothing was found against {'all of ' if runs > 1 else ''}{many(runs, 'run')}"
            said = "No run is corrupt or suspect, and no finding is open" if found else nothing
            st.success(f"**Sound.** {said}. {limits}", icon=":material/check_circle:")
    st.text(f"auditor check ends with exit code {read.facts['exit_code']}: {read.facts['exit_because']}.")


def _doubts(read: _Read, still_open: int) -> list[str]:
    """Why this is not green although every run is sound."""
    doubts = [f"{many(still_open, 'finding')} {'is' if still_open == 1 else 'are'} open"] if still_open else []
    code = read.facts["exit_code"]
    if code == ExitCode.CANNOT_TELL or (code != ExitCode.CLEAN and not still_open):
        doubts.append(escaped(read.facts["exit_because"]))
    return doubts


def _of(number: int, runs: int) -> str:
    return f"All of {many(runs, 'run')}" if number == runs > 1 else f"{number:,} of {many(runs, 'run')}"


def _cards(entry: Entry, read: _Read, still_open: int, new: int | None) -> None:
    """`new` is None if there is no audit that this one is compared with."""
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
            st.metric(
                "New findings",
                "–" if new is None else f"{new:,}",
                help="The audit of the same name before this one did not have them.",
            )
            if new is None:
                st.caption("There is no audit of this name before this one.")
            else:
                page_link("Show new findings", "findings", entry.audit_id, state="new")
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
    number, causes = read.causes
    if not causes:
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
                "workflows": ", ".join(map(short, row["workflows"])),
                "rule": row["rule"],
            }
            for row in causes
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
    if len(causes) < number:
        st.caption(f"The {len(causes)} gravest of {many(number, 'bug')}.")


def _charts(entry: Entry, read: _Read) -> None:
    dark = st.context.theme.type == "dark"
    if not read.by_rule:
        return
    rules = list(dict.fromkeys(row["rule"] for row in read.by_rule))
    drawn = [row for row in read.by_rule if row["rule"] in rules[:_RULES]]
    with st.grid(2, min_column_width=_HALF, gap="medium"):
        with st.container():
            st.markdown("#### Open findings by rule")
            picked = st.plotly_chart(
                charts.by_rule(drawn, dark=dark),
                key=_CHART,
                on_select="rerun",
                selection_mode="points",
                config={"displayModeBar": False},
                alt=charts.summary(drawn),
            )
            if len(rules) > _RULES:
                st.caption(f"The {_RULES} gravest of {many(len(rules), 'rule')}; the table has all.")
            if points := picked["selection"]["points"]:
                rule, severity = points[0]["customdata"]
                goto_page("findings", entry.audit_id, rule=str(rule), severity=str(severity))
            with st.expander("The same as a table, with links"):
                _rule_table(entry, read)
        with st.container():
            st.markdown("#### Over time")
            over_time = read.over_time
            if over_time.buckets:
                st.plotly_chart(
                    charts.over_time(over_time.buckets, charts.height_of(drawn), dark=dark),
                    config={"displayModeBar": False},
                    alt="Open findings over time, by severity",
                )
            _without_time(over_time)


def _without_time(over_time: OverTime) -> None:
    """Say which open findings the figure over time does not hold."""
    if over_time.timed < over_time.findings:
        open_ = many(over_time.findings, "open finding")
        st.caption(f"{over_time.timed:,} of {open_} have a witness with a time that was kept.")
    if beyond := over_time.timed - over_time.drawn:
        st.caption(f"Not drawn: {many(beyond, 'finding')} before {EARLIEST.year} or after {LATEST.year - 1}.")


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
    number, worst = read.worst_runs
    if not worst:
        return
    st.markdown("#### Worst runs")
    st.dataframe(
        [
            {
                "open": here.link("run", entry.audit_id, run=row["run_id"]),
                "workflow": short(row["workflow"] or ""),
                "verdict": row["verdict"].replace("_", " "),
                "errors": row["errors"],
                "warnings": row["warnings"],
                "findings": row["findings"],
                "rules": ", ".join(row["rules"]),
                "last event": row["last_at"],
            }
            for row in worst
        ],
        hide_index=True,
        width="stretch",
        column_config={
            "errors": st.column_config.NumberColumn(width=60),
            "warnings": st.column_config.NumberColumn(width=70),
            "findings": st.column_config.NumberColumn(width=70),
            "last event": st.column_config.TextColumn(help="UTC"),
            "open": st.column_config.LinkColumn("run", display_text=here.SHOWN_ID, width=_RUN_ID),
        },
        alt="The runs with most open findings, the worst first",
    )
    if len(worst) < number:
        st.caption(f"The {len(worst)} worst of {many(number, 'run')} with open findings.")


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
