"""JSON as `workflow inspect ... --json` prints it: an array, a page `{data, cursor, hasMore}`, or one object.

A row says by its keys what it is: an event has an `eventType`, a step a `stepId`, and so on. The arrays have no
cursor, and the CLI cuts them off at a limit without a word, so an array of exactly 20, 100 or 1,000 events may be
a part of its run. A page says itself whether there is more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from auditor.errors import InputError
from auditor.ingest import auditor_log, foreign
from auditor.ingest.intake import Intake, folder_of
from auditor.ingest.json_rows import BadRow, run_id_of, written
from auditor.ingest.members import Member
from auditor.ingest.staging import Batch, Origin
from auditor.model.judgement import Capability

FORMAT = "workflow-cli-json"

LIMITS = (20, 100, 1000)
"""Rows at which the CLI cuts off an array: its default, the most of 5.x, the most of 4.x."""

MAX_DOCUMENT = 512 * 1024 * 1024
"""The longest JSON document that is read as a whole; longer logs should be JSON lines."""

_SPACE = re.compile(r"[\s,]*")
Row = tuple[int, dict[str, Any] | BadRow]


def read(member: Member, intake: Intake) -> None:
    """Read one JSON document. Raises InputError if it is no log and may be told so by its first value."""
    raw = member.stream.read(MAX_DOCUMENT + 1)
    if len(raw) > MAX_DOCUMENT:
        limit = MAX_DOCUMENT // 1024**2
        raise InputError(member.name, f"is one JSON document of more than {limit} MiB; convert it to JSON lines")
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8-sig", "replace").strip()
        rows: list[Row] = list(_elements(text)) if text.startswith("[") else []
        rows = [(line, _without_replacement(row)) for line, row in rows]
        if not rows:
            raise InputError(member.name, f"is not UTF-8 (byte {error.start + 1})") from None
        _load(rows, None, member, intake)
        return
    if text.startswith("["):
        rows = list(_elements(text))
        _load(rows, _cut(rows), member, intake)
        return
    value = _document(text, member.name)
    if value.get("schema") == auditor_log.SCHEMA:
        export = intake.export(folder_of(member.name), auditor_log.SCHEMA, auditor_log.promised(value))
        export.manifest = value
        intake.skipped += 1
    elif isinstance(value.get("data"), list):
        rows = [(n, row if isinstance(row, dict) else _no_object()) for n, row in enumerate(value["data"], 1)]
        more = "the page says hasMore: there are rows that were not exported" if value.get("hasMore") else None
        _load(rows, more, member, intake)
    else:
        _load([(1, value)], None, member, intake)


def is_row(value: Mapping[str, Any]) -> bool:
    """Whether an object is an event or a row of a run, step, hook or wait."""
    return "runId" in value and any(
        key in value for key in ("eventType", "status", "stepId", "hookId", "resumeAt")
    )


def _load(rows: list[Row], cut: str | None, member: Member, intake: Intake) -> None:
    objects = [row for _, row in rows if isinstance(row, dict)]
    if intake.options.fields:
        columns = sorted({key for row in objects[:100] for key in row})
        foreign.load(member.name, "json", rows, columns, intake)
        return
    if objects and not any(is_row(row) for row in objects[:100]):
        raise InputError(member.name, "is JSON, but no row of it has a runId and what an event or an entity has")
    kinds = {Capability.ENTITIES for row in objects if "eventType" not in row}
    export = intake.export(folder_of(member.name), FORMAT, kinds)
    source_id = intake.source(export, member.name, cut)
    path = intake.file("rows.ndjson")
    origins: list[Origin] = []
    with path.open("wb") as out:
        for line, row in rows:
            try:
                if isinstance(row, BadRow):
                    raise row
                out.write(written(row) + b"\n")
                origins.append(Origin(source_id, line))
            except BadRow as bad:
                run_id = row.get("runId") if isinstance(row, dict) else bad.args[1] if len(bad.args) > 1 else None
                intake.reject(Origin(source_id, line), run_id if isinstance(run_id, str) else None, bad.args[0])
    intake.load(Batch("log", path, source_id, origins))


def _cut(rows: list[Row]) -> str | None:
    events = sum(1 for _, row in rows if isinstance(row, dict) and "eventType" in row)
    if events not in LIMITS:
        return None
    return (
        f"the array holds exactly {events} events, at which the CLI cuts off without a word; "
        "export it with a higher --limit"
    )


def _document(text: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except RecursionError:
        raise InputError(name, "is JSON that is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise InputError(name, f"is not JSON: {error.msg} (line {error.lineno})") from None
    except ValueError:
        raise InputError(name, "is JSON with a number of too many digits") from None
    if not isinstance(value, dict):
        raise InputError(name, "is JSON, but neither an object nor an array of objects")
    return value


def _elements(text: str) -> Iterator[Row]:
    """The elements of an array, each with its 1-based number; what cannot be read ends it, named."""
    decoder = json.JSONDecoder()
    at, number = 1, 0
    while True:
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        if text.startswith("]", at):
            return
        number += 1
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else _broken(text, at)
            yield number, BadRow(reason, run_id_of(text[at : at + 65536].encode("utf-8", "replace")))
            at = _next_element(text, at)
            if at < 0:
                return
            continue
        yield number, value if isinstance(value, dict) else _no_object()
        at = end


def _broken(text: str, at: int) -> str:
    cut = "" if text.rstrip().endswith("]") else "; the file is cut off"
    return f"not JSON (line {text.count(chr(10), 0, at) + 1}){cut}"


def _next_element(text: str, at: int) -> int:
    """Where the element after a broken one begins: at an object that starts a line or follows a comma; or -1."""
    match = re.compile(r"\}\s*,\s*(?=\{\s*\"(?:eventType|runId|eventId|record|specVersion)\")").search(text, at)
    return match.end() if match else -1


def _without_replacement(row: dict[str, Any] | BadRow) -> dict[str, Any] | BadRow:
    if isinstance(row, dict) and "\ufffd" in json.dumps(row, ensure_ascii=False):
        return BadRow("not UTF-8", row.get("runId"))
    return row


def _no_object() -> BadRow:
    return BadRow("not a JSON object")
