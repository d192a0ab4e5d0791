"""Rule files of a user, for tests."""

from __future__ import annotations

from pathlib import Path

from auditor.check.header import HEADINGS


def rule_file(folder: Path, id: str, select: str, *header: str, severity: str = "error") -> Path:
    """Write `folder/own/<id>.sql`; its SELECT starts on line 22 and one more for each line of `header`."""
    lines = [f"title: The rule {id}", f"severity: {severity}", "confidence: proof", "since: 0.1.0", *header]
    document = [line for heading in HEADINGS for line in (f"## {heading}", "Text.")]
    path = folder / "own" / f"{id}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["/*", *lines, "---", *document, "*/", select]) + "\n", "utf-8")
    return path


def finds(
    *, run_id: str = "run_id", witness: str = "[witness('seen', event_no)]", because: str = "'So it is.'"
) -> str:
    """A SELECT that finds something in every event."""
    return f"SELECT {run_id} AS run_id, {witness} AS witness, {because} AS because FROM log"
