"""What a dashboard is given when it starts: audits to show, logs to audit."""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from auditor import Audit, UsageError

from .api.inbox import Received
from .audit_job import SUMMARY
from .library import Library, NoRoom
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
    size = path.stat().st_size
    same = (entry for entry in library.entries() if entry.is_done and entry.audit_bytes == size)
    if any(filecmp.cmp(path, library.file(entry.audit_id), shallow=False) for entry in same):
        return
    audit_id = library.begin(path.stem, LOCAL)
    try:
        shutil.copyfile(path, library.file(audit_id))
    except OSError:
        library.abandon(audit_id)
        raise
    library.uploads(audit_id).rmdir()
    summary = {key: report[key] for key in SUMMARY}
    with library.state.change() as con:
        con.execute(
            """
            UPDATE audit SET state = 'done', finished_at = created_at, audit_bytes = ?, summary = ?
            WHERE audit_id = ?
            """,
            [size, json.dumps(summary), audit_id],
        )


def _queue(service: Service, path: Path) -> None:
    library = service.library
    audit_id = library.begin(path.resolve().name, LOCAL)
    folder = library.uploads(audit_id)
    try:
        if path.is_dir():
            shutil.copytree(path, folder, copy_function=_put, dirs_exist_ok=True)
        else:
            _put(path, folder / path.name)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        library.received_all(audit_id, [_received(file, folder) for file in files])
    except OSError:
        library.abandon(audit_id)
        raise
    service.worker.submit(audit_id)


def _received(file: Path, folder: Path) -> Received:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return Received(str(file.relative_to(folder)), file.stat().st_size, digest)


def _put(source: str | Path, target: str | Path) -> None:
    """Another name for the same file where that can be, as logs are large; it goes when the audit is made."""
    try:
        os.link(Path(source).resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
