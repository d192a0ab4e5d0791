"""A log may hold any time, and Python has no datetime for most of them. No page minds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pages import SAMPLES, put, visit
from starlette.testclient import TestClient

from auditor import FORMATS, audit
from dashboard import service
from dashboard.api import app
from dashboard.metrics import Metrics
from dashboard.who import LOCAL, USER_HEADER

ODD = ["9999-12-31T23:59:59.999Z", "290000-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z", "infinity"]
PAGES: list[tuple[str, dict[str, Any]]] = [
    ("overview", {}),
    ("rules", {"rule": "stale-snapshot-write"}),
    ("data", {"tab": "imports"}),
    ("query", {}),
    ("runs", {}),
    ("findings", {"finding": "{instance}"}),
    *(
        ("run", {"run": "{run_id}", "tab": tab})
        for tab in ("timeline", "events", "entities", "states", "findings")
    ),
    ("run", {"run": "{run_id}", "finding": "{instance}", "view": "wall"}),
    ("run", {"run": "{run_id}", "at": "10", "view": "active"}),
]


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest, empty: service.Service, tmp_path: Path) -> dict[str, str]:
    """A stale write of a sample whose later events have an odd time, and that time as it is shown."""
    rows = [json.loads(line) for line in (SAMPLES / "stale-snapshot-write.ndjson").read_text("utf-8").splitlines()]
    for row in rows:
        if row.get("position", 0) >= 10:
            row["createdAt"] = request.param
    log = tmp_path / "log.ndjson"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    audit(log, save=tmp_path / "audit.duckdb").close()
    with empty.library.reading(put(empty.library, tmp_path / "audit.duckdb", "odd")) as con:
        run_id, instance = con.execute(
            "SELECT run_id, instance FROM finding WHERE rule = 'stale-snapshot-write'"
        ).fetchone()
    return {"run_id": run_id, "instance": instance, "shown": request.param.replace("T", " ").removesuffix("Z")}


def test_every_page_is_drawn(odd: dict[str, str]) -> None:
    for page, params in PAGES:
        drawn = visit(page, **{name: value.format(**odd) for name, value in params.items()})
        assert not drawn.exception, (page, params)


def test_the_time_stands_in_the_proof_and_the_cause_as_it_was_written(odd: dict[str, str]) -> None:
    drawn = visit("findings", finding=odd["instance"])
    proof = next(table.value for table in drawn.dataframe if "time (UTC)" in table.value)
    assert proof["time (UTC)"].tolist()[-1] == odd["shown"]
    assert any(odd["shown"] in caption.value.replace("\\", "") for caption in drawn.caption)


def test_the_answers_of_the_api_are_json_and_reports(odd: dict[str, str]) -> None:
    def invalid(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    here = service.current()
    api = TestClient(app(here, Metrics(here.library)), headers={USER_HEADER: LOCAL})
    (entry,) = here.library.entries()
    for path in ("/v1/audits", f"/v1/audits/{entry.audit_id}", f"/v1/audits/{entry.audit_id}/findings"):
        json.loads(api.get(path).text, parse_constant=invalid)
    for name in FORMATS:
        assert api.get(f"/v1/audits/{entry.audit_id}/report", params={"format": name}).status_code == 200, name
