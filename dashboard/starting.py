"""What a dashboard is given when it starts: audits to show, logs to audit."""

from __future__ import annotations

import filecmp
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from auditor import Audit, UsageError

from .audit_job import SUMMARY
from .library import Library, NoRoom
from .queries.imports import keeps_payloads
from .service import Service
from .who import LOCAL


def begin(service: Service, paths: Sequence[Path]) -> None:
    """Show these audit files, and queue an audit of each of the other paths. Raises UsageError if it cannot."""
    for path in paths:
        try:
            if path.suffix == ".duckdb":
                _show(service.library, path)
            else:
                _queue(service, path)
        except NoRoom as full:
            raise UsageError(str(full)) from None
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None


def _show(library: Library, path: Path) -> None:
    with Audit.open(path) as audit:
        report = audit.report
        kept = keeps_payloads(audit.con)
    size = path.stat().st_size
    same = (entry for entry in library.entries() if entry.is_done and entry.audit_bytes == size)
    if any(filecmp.cmp(path, library.file(entry.audit_id), shallow=False) for entry in same):
        return
    audit_id = library.begin(path.stem, LOCAL, keep_payloads=kept)
    try:
        shutil.copyfile(path, library.file(audit_id))
    except OSError:
        library.abandon(audit_id)
        raise
    library.uploads(audit_id).rmdir()
    summary = {key: report[key] for key in SUMMARY}
    # An audit does not say when it was made; nobody wrote the file later than this.
    written = path.stat().st_mtime_ns // 1_000_000
    with library.state.change() as con:
        con.execute(
            """
            UPDATE audit SET state = 'done', finished_at = min(created_at, ?), audit_bytes = ?, summary = ?
            WHERE audit_id = ?
            """,
            [written, size, json.dumps(summary), audit_id],
        )


def _queue(service: Service, path: Path) -> None:
    """Audit a log where it stands: what is read is what is there when it is its turn, also if it is in use."""
    if not path.is_dir() and not path.is_file():
        raise UsageError(f"{path}: is no file and no folder; save it in a file first")
    library = service.library
    name = path.resolve().name or "logs"
    audit_id = library.begin(name, LOCAL)
    try:
        # A link in place of uploads: removing those removes the link, and never what it leads to.
        (library.uploads(audit_id) / name).symlink_to(path.resolve())
    except OSError:
        library.abandon(audit_id)
        raise
    service.worker.submit(audit_id)
