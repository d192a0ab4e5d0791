"""A log may hold any time, and Python has no datetime for most of them. No report minds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pages import SAMPLES

from auditor import FORMATS, audit, render

ODD = (
    *("9999-12-31T23:59:59.999Z", "290000-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z"),
    *("infinity", "-infinity", "0044-03-15 (BC) 00:00:00Z"),
)


@pytest.mark.parametrize("odd", ODD)
def test_every_report_is_written(odd: str, tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    with log.open("w", encoding="utf-8") as file:
        for line in (SAMPLES / "stale-snapshot-write.ndjson").read_text("utf-8").splitlines():
            row = json.loads(line)
            if row.get("position", 0) >= 10:
                row["createdAt"] = odd
            file.write(json.dumps(row) + "\n")
    with audit(log) as result:
        assert "stale-snapshot-write" in {finding["rule"] for finding in result.findings}
        for name in FORMATS:
            assert "stale-snapshot-write" in render(result, name), name
