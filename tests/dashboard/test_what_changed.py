"""What changed between two audits: "gone" is said only where the later one looked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from logs import Log, entity, write
from pages import SAMPLES, put, visit
from streamlit.testing.v1 import AppTest

from auditor import audit
from dashboard.service import Service

MINE, OTHERS = "workflow//./flows//mine", "workflow//./flows//others"


def restarted(workflow: str = MINE) -> Log:
    """A run whose step is started again after its end."""
    log = Log(workflow=workflow).life("step", 0, "created", "started", "completed")
    return log.add("step_started", entity("step", 0)).add("run_completed")


def healthy(workflow: str = MINE) -> Log:
    return Log(workflow=workflow).life("step", 0, "created", "started", "completed").add("run_completed")


def audited(here: Service, folder: Path, log: Log, name: str = "nightly") -> str:
    path = folder / "audit.duckdb"
    audit(write(folder / "log.ndjson", log.events), save=path).close()
    return put(here.library, path, name)


def said(app: AppTest) -> str:
    assert not app.exception, app.exception
    return "\n".join(str(element.value) for element in (*app.text, *app.caption))


def changes(**params: Any) -> dict[str, str]:
    """What the overview says became of each rule's findings."""
    app = visit("overview", **params)
    assert not app.exception, app.exception
    tables = [table.value for table in app.dataframe if "change" in table.value.columns]
    return dict(zip(tables[0]["rule"], tables[0]["change"], strict=True)) if tables else {}


RULE = "step-restarted-after-outcome"


def test_what_a_later_audit_of_the_same_workflow_does_not_find_is_gone(empty: Service, tmp_path: Path) -> None:
    audited(empty, tmp_path, restarted())
    audited(empty, tmp_path, healthy())
    assert changes()[RULE] == "gone"


def test_where_no_run_of_its_workflow_was_read_it_is_not_checked_any_more(empty: Service, tmp_path: Path) -> None:
    audited(empty, tmp_path, restarted())
    audited(empty, tmp_path, healthy(OTHERS))
    assert changes()[RULE] == "not checked any more"


def test_where_no_run_of_its_workflow_could_be_judged_it_is_not_checked_any_more(
    empty: Service, tmp_path: Path
) -> None:
    audited(empty, tmp_path, restarted())
    log = write(tmp_path / "log.ndjson", healthy().events)
    log.write_text(log.read_text("utf-8") + "no json\n", "utf-8")
    audit(log, save=tmp_path / "torn.duckdb").close()
    with empty.library.reading(put(empty.library, tmp_path / "torn.duckdb", "nightly")) as con:
        assert con.execute("SELECT workflow, log_verdict FROM run JOIN verdict USING (run_id)").fetchall() == [
            (MINE, "cannot_tell")
        ]
    assert changes()[RULE] == "not checked any more"


def without_fences(path: Path) -> list[dict[str, Any]]:
    """The events of a sample as an export has them that records no fences."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    kept = ("runId", "eventId", "eventType", "correlationId", "createdAt", "specVersion", "eventData")
    return [{name: row[name] for name in kept if name in row} for row in rows if "eventId" in row]


def test_where_its_log_no_longer_records_what_its_rule_needs_it_is_not_checked_any_more(
    empty: Service, tmp_path: Path
) -> None:
    audit(SAMPLES / "dropped-fence.ndjson", save=tmp_path / "before.duckdb").close()
    put(empty.library, tmp_path / "before.duckdb", "nightly")
    bare = write(tmp_path / "bare.ndjson", without_fences(SAMPLES / "dropped-fence.ndjson"))
    # The rule is evaluated all the same: on a run of another workflow.
    audit(bare, SAMPLES / "healthy-order.ndjson", save=tmp_path / "now.duckdb").close()
    put(empty.library, tmp_path / "now.duckdb", "nightly")
    assert changes()["dropped-fence"] == "not checked any more"


@pytest.mark.parametrize(
    ("state", "now", "back"),
    [
        ("suppressed", "suppressed now", "counted again"),
        ("folded", "a consequence now", "counted again"),
    ],
)
def test_what_stands_no_more_is_there_still(
    state: str, now: str, back: str, empty: Service, tmp_path: Path
) -> None:
    first = audited(empty, tmp_path, restarted())
    with duckdb.connect(str(tmp_path / "audit.duckdb")) as con:
        con.execute("UPDATE finding SET state = ?", [state])
    second = put(empty.library, tmp_path / "audit.duckdb", "nightly")
    assert changes()[RULE] == now
    assert changes(audit=first, against=second)[RULE] == back


def test_an_audit_of_another_name_is_compared_with_only_if_somebody_asks(empty: Service, tmp_path: Path) -> None:
    other = audited(empty, tmp_path, healthy(), "billing")
    audited(empty, tmp_path, restarted(), "orders")
    app = visit("overview")
    assert "There is no audit of the same name before this one." in said(app)
    assert {metric.label: metric.value for metric in app.metric}["New findings"] == "–"
    asked = visit("overview", against=other)
    assert "Audits of two names: what differs need not have changed." in said(asked)
    assert changes(against=other)[RULE] == "new"
