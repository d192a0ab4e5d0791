"""The page Findings: what it lists, what it shows of a finding, and deciding about it."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pages import SAMPLES, put, visit
from streamlit.testing.v1 import AppTest

from auditor import Audit, audit
from dashboard import service
from dashboard.parts.sharing import as_markdown, commands
from dashboard.queries import finding as one
from dashboard.queries import findings as queries
from dashboard.service import Service
from dashboard.settings import Role
from dashboard.triage import Choice, Chosen, Pattern

HOSTILE = "![x](http://evil.example/) <img src=x> :red[y] `@all` $z$"


@pytest.fixture(scope="session")
def facts(samples_audit: Path) -> dict[str, Any]:
    """The finding `stale-snapshot-write` of the samples, and their pattern of two findings."""
    with Audit.open(samples_audit) as made:
        wanted = queries.standing_of_patterns(made.con)
        patterns = queries.decidable(made.con, list(wanted))
        twice = next(row for row in patterns if row["rule"] == "dropped-fence" and row["findings"] == 2)
        stale = next(row for row in patterns if row["rule"] == "stale-snapshot-write")
        return {
            "stale": one.example(made.con, stale["pattern"]),
            "twice": twice["pattern"],
            "instances": [row["instance"] for row in one.occurrences(made.con, twice["pattern"], limit=9)],
            "decidable": {row["pattern"]: Pattern(**row) for row in patterns},
            "all": sum(made.report["counts"]["states"].values()),
            "folded": made.report["counts"]["states"]["folded"],
        }


def said(app: AppTest) -> str:
    """Everything that the page says in words."""
    assert not app.exception, app.exception
    kinds = (app.text, app.markdown, app.caption, app.info, app.warning, app.success)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def listed(app: AppTest, column: str = "rule") -> list[Any]:
    """A column of the table of patterns."""
    return list(app.dataframe[0].value[column])


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def pick(app: AppTest, label: str, *values: str) -> AppTest:
    return next(one for one in app.multiselect if one.label == label).set_value(list(values)).run()


def test_without_an_audit_it_leads_to_uploading_one(empty: Service) -> None:
    assert "no finished audit" in said(visit("findings"))


def test_it_shows_what_is_open_and_says_how_much_there_is(full: Service, facts: dict[str, Any]) -> None:
    app = visit("findings")
    assert f"{facts['all'] - facts['folded']} of {facts['all']} findings" in said(app)
    assert "runtime-corruption-verdict" not in listed(app)
    assert listed(app)[0] == "stale-snapshot-write"


def test_filters_are_read_from_the_address(full: Service) -> None:
    app = visit("findings", rule="dropped-fence")
    assert set(listed(app)) == {"dropped-fence"}
    assert set(listed(visit("findings", state="folded", severity="warning"))) == {"stalled-run"}
    assert set(listed(visit("findings", q="TAIL FENCE"))) == {"stale-snapshot-write"}


def test_filters_are_written_into_the_address(full: Service) -> None:
    app = pick(visit("findings", at=3), "Severity", "warning", "info")
    assert app.query_params["severity"] == ["warning", "info"]
    assert "at" not in app.query_params
    app = pick(app, "Severity")
    assert "severity" not in app.query_params


def test_a_search_can_be_for_a_run_or_a_fingerprint(full: Service, facts: dict[str, Any]) -> None:
    stale = facts["stale"]
    assert "stale-snapshot-write" in listed(visit("findings", q=stale["run_id"].lower()))
    assert listed(visit("findings", q=stale["pattern"][:12])) == ["stale-snapshot-write"]


def test_what_no_filter_knows_is_left_aside(full: Service, facts: dict[str, Any]) -> None:
    assert "findings" in said(visit("findings", rule="no-such-rule", at="-1", state="nonsense"))


def test_a_table_that_is_too_long_has_pages(full: Service) -> None:
    short = replace(full.settings, limits=replace(full.settings.limits, page_rows=4))
    whole = listed(visit("findings"), "sentence")
    service.install(replace(full, settings=short))
    pages = [listed(visit("findings", at=at), "sentence") for at in (1, 2, 3)]
    assert [sentence for page in pages for sentence in page] == whole
    assert listed(visit("findings", at=99), "sentence") == pages[-1]


def test_filters_that_ask_for_nothing_can_be_lifted(full: Service, facts: dict[str, Any]) -> None:
    app = visit("findings", q="there is no such text")
    assert "No finding is asked for" in said(app)
    app = press(app, "Show all")
    assert f"{facts['all']} of {facts['all']} findings" in said(app)
    assert app.query_params["state"] == "any"


def test_a_link_to_a_finding_shows_its_proof_cause_and_consequences(full: Service, facts: dict[str, Any]) -> None:
    stale = facts["stale"]
    app = visit("findings", finding=stale["instance"])
    text = said(app)
    assert stale["because"] in text
    assert "are accepted from snapshots that missed" in text
    proof = app.dataframe[1].value
    assert list(proof["#"]) == [7, 8, 9, 10, 11, 12]
    assert set(proof["where"]) == {f"stale-snapshot-write.ndjson:{line}" for line in range(8, 14)}
    assert list(app.dataframe[2].value["rule"]) == ["ordinal-collision", "runtime-corruption-verdict"]


def test_a_link_to_a_pattern_shows_one_of_its_findings_and_leads_to_the_others(
    full: Service, facts: dict[str, Any]
) -> None:
    app = visit("findings", pattern=facts["twice"])
    assert "1 of 2" in said(app)
    app = press(app, "Next")
    assert app.query_params["finding"] == facts["instances"][1]
    assert "2 of 2" in said(app)
    app = press(app, "Close")
    assert "finding" not in app.query_params
    assert "Proof" not in said(app)


def test_a_consequence_leads_to_what_it_follows_from(full: Service, facts: dict[str, Any]) -> None:
    with full.library.reading(full.library.entries()[0].audit_id) as con:
        implied = one.consequences(con, facts["stale"]["finding_no"], limit=1)[0]
    app = press(visit("findings", finding=implied["instance"]), "It is a consequence: show what it follows from")
    assert app.query_params["finding"] == facts["stale"]["instance"]


@pytest.mark.parametrize("name", ["finding", "pattern"])
def test_a_link_to_what_is_not_there_says_so(name: str, full: Service) -> None:
    assert "This audit has no" in said(visit("findings", **{name: "0" * 32}))


def test_deciding_hides_the_pattern_from_what_is_open(full: Service, facts: dict[str, Any]) -> None:
    app = visit("findings", pattern=facts["twice"])
    app.segmented_control[0].set_value("ignored").run()
    app.number_input[0].set_value(5)
    app.text_area[0].set_value(HOSTILE)
    app = press(app, "Save")
    held = full.triage.decisions()[facts["twice"]]
    assert (held.state, held.ceiling, held.until, held.comment) == (Chosen.IGNORED, 5, None, HOSTILE)
    assert HOSTILE in [element.value for element in app.text]
    assert not any(HOSTILE in str(element.value) for element in app.markdown)
    assert "ignored" in listed(visit("findings", state="ignored"), "state")
    assert listed(visit("findings")).count("dropped-fence") == 1


def test_several_patterns_are_decided_about_at_once(full: Service, facts: dict[str, Any]) -> None:
    app = visit("findings")
    app.query_params["pattern"] = [facts["twice"], facts["stale"]["pattern"]]
    app.run()
    assert "**2 patterns**, 3 findings" in said(app)
    app.segmented_control[0].set_value("resolved").run()
    press(app, "Save for 2 patterns")
    assert {one.state for one in full.triage.decisions().values()} == {Chosen.RESOLVED}
    assert len(full.triage.decisions()) == 2


def test_a_viewer_reads_decisions_and_makes_none(full: Service, facts: dict[str, Any]) -> None:
    full.triage.decide([facts["decidable"][facts["twice"]]], Choice(Chosen.RESOLVED, "mended"), "ada", "A")
    service.install(replace(full, settings=replace(full.settings, roles={"*": Role.VIEWER})))
    app = visit("findings", pattern=facts["twice"])
    assert "takes the role triager" in said(app)
    assert "decided by ada" in said(app)
    assert "Save" not in [button.label for button in app.button]


def test_what_was_resolved_and_is_found_by_a_later_audit_is_regressed(
    full: Service, facts: dict[str, Any], samples_audit: Path
) -> None:
    full.triage.decide([facts["decidable"][facts["twice"]]], Choice(Chosen.RESOLVED), "ada", "A")
    assert "dropped-fence" in listed(visit("findings", state="resolved"))
    with full.library.state.change() as con:
        con.execute("UPDATE triage SET decided_at = decided_at - 1")
    put(full.library, samples_audit, "samples")
    app = visit("findings")
    assert listed(app, "state")[listed(app).index("dropped-fence")] == "regressed"


def test_what_the_audit_before_did_not_have_is_new(full: Service, tmp_path: Path) -> None:
    empty_log = tmp_path / "healthy.duckdb"
    audit(SAMPLES / "healthy-order.ndjson", save=empty_log).close()
    (samples,) = full.library.entries()
    put(full.library, empty_log, "samples")
    put(full.library, full.library.file(samples.audit_id), "samples")
    states = dict(zip(listed(visit("findings")), listed(visit("findings"), "state"), strict=True))
    assert states["stale-snapshot-write"] == "new"


def test_a_download_that_is_cut_says_so(full: Service) -> None:
    labels = [button.label for button in visit("findings").get("download_button")]
    assert labels == ["Download as CSV"]
    limits = replace(full.settings.limits, query_rows=3)
    service.install(replace(full, settings=replace(full.settings, limits=limits)))
    patterns = len(listed(visit("findings")))
    labels = [button.label for button in visit("findings").get("download_button")]
    assert labels == [f"Download the first 3 of {patterns} as CSV"]


def test_an_audit_without_findings_says_what_was_not_checked(empty: Service, tmp_path: Path, facts: Any) -> None:
    path = tmp_path / "clean.duckdb"
    audit(SAMPLES / "healthy-order.ndjson", save=path).close()
    with duckdb.connect(str(path)) as con:
        con.execute("DELETE FROM finding")
    put(empty.library, path, "clean")
    app = visit("findings")
    assert "could not look at every run" in said(app)
    assert re.fullmatch(r"Nothing was found: \d+ rules looked at every run and held\.", app.success[0].value)


def test_strings_of_a_log_are_never_read_as_markdown(
    empty: Service, samples_audit: Path, tmp_path: Path, facts: dict[str, Any]
) -> None:
    path = tmp_path / "hostile.duckdb"
    shutil.copy(samples_audit, path)
    with duckdb.connect(str(path)) as con:
        con.execute("UPDATE finding SET because = ?", [HOSTILE])
        con.execute("UPDATE cause SET diagnosis = ?, writers = [?]", [HOSTILE, HOSTILE])
        con.execute("UPDATE run SET workflow = ?", [HOSTILE])
        con.execute("UPDATE rule SET document = ?, origin = 'rules', title = ?", [HOSTILE, HOSTILE])
        con.execute("UPDATE input SET path = ?", [HOSTILE])
    put(empty.library, path, HOSTILE)
    app = visit("findings", finding=facts["stale"]["instance"])
    assert HOSTILE in [element.value for element in app.text]
    read = [
        str(element.value) for kind in (app.markdown, app.caption, app.info, app.subheader) for element in kind
    ]
    labels = [element.label for kind in (app.button, app.expander, app.multiselect) for element in kind]
    assert not [text for text in [*read, *labels] if re.search(r"(?<!\\)(\[x|<img|:red\[|\$z)", text)]


def test_a_finding_is_copied_with_its_strings_in_code() -> None:
    finding = {
        "severity": "error",
        "confidence": "proof",
        "rule": "a-rule",
        "because": f"``` {HOSTILE}",
        "run_id": HOSTILE,
        "workflow": None,
        "instance": "i",
        "pattern": "p",
    }
    witness = {
        "role": "it",
        "position": 7,
        "event_type": "step_created",
        "entity": "step#1",
        "event_id": HOSTILE,
        "source": "a`b",
        "line": 3,
    }
    text = as_markdown(finding, [witness], "http://here/findings")
    assert f"````text\n``` {HOSTILE}\n````" in text
    assert f"- Run: ``{HOSTILE}``" in text
    assert "- `it`: #7 `step_created` `step#1`" in text
    assert "in ``a`b:3``" in text


def test_a_command_takes_no_path_for_more_than_a_path() -> None:
    finding = {"rule": "a-rule", "instance": "abc"}
    both = commands(finding, ["-rf", "a b; reboot"])
    assert both.splitlines() == [
        "auditor check ./-rf 'a b; reboot' --select a-rule",
        "auditor check ./-rf 'a b; reboot' --why abc",
    ]
