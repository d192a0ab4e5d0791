"""JSON as `workflow inspect ... --json` prints it: an array, a page `{data, cursor, hasMore}`, or one object.

A row says by its keys what it is: an event has an `eventType`, a step a `stepId`, and so on. The arrays have no
cursor, and the CLI cuts them off at a limit without a word, so an array of exactly 20, 100 or 1,000 events may be
a part of its run; unless it is newest first, as it is by default, and reaches back to the `run_created`. A page
says itself whether there is more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

from auditor.errors import InputError
from auditor.ingest import auditor_log, foreign
from auditor.ingest.intake import Export, Intake, folder_of
from auditor.ingest.json_rows import BadRow, integer, run_id_of, written
from auditor.ingest.members import Member
from auditor.ingest.staging import Origin
from auditor.model.judgement import Capability
from auditor.model.records import LOG_SCHEMA

FORMAT = "workflow-cli-json"

LIMITS = (20, 100, 1000)
"""Rows at which the CLI cuts off an array: its default, the most of 5.x, the most of 4.x."""

SAMPLED = 100
"""Rows that say whether a document is a log."""

MAX_BROKEN = 100
"""Elements of an array that may be broken before the rest of it is given up."""

MAX_DOCUMENT = 256 * 1024 * 1024
"""The longest JSON document that is read as a whole; longer logs should be JSON lines."""

_DATA = {"input", "result", "output", "error", "payload", "metadata", "changes", "cancelReason"}
_SPACE = re.compile(r"[\s,]*")
Row = tuple[int, dict[str, Any] | BadRow]


def read(member: Member, intake: Intake) -> None:
    """Read one JSON document. Raises InputError if it is no log and may be told so by its first value."""
    raw = member.stream.read(MAX_DOCUMENT + 1)
    if len(raw) > MAX_DOCUMENT:
        limit = MAX_DOCUMENT // 1024**2
        raise InputError(member.name, f"is one JSON document of more than {limit} MiB; convert it to JSON lines")
    broken = None
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        broken = error.start + 1
        text = raw.decode("utf-8-sig", "replace").strip()
    if text.startswith("["):
        rows = _elements(text)
        _load(rows if broken is None else map(_without_replacement, rows), member, intake, is_array=True)
        return
    if broken is not None:
        raise InputError(member.name, f"is not UTF-8 (byte {broken})")
    value = _document(text, member.name)
    if value.get("schema") == LOG_SCHEMA:
        export = intake.export(folder_of(member.name), LOG_SCHEMA, auditor_log.promised(value))
        export.manifest = value
        intake.skipped += 1
    elif isinstance(value.get("data"), list):
        source_id = _load(enumerate(map(_object, value["data"]), 1), member, intake)
        if value.get("hasMore") and source_id is not None:
            intake.cut(source_id, "the page says hasMore: there are rows that were not exported")
    else:
        _load(iter([(1, value)]), member, intake)


def is_row(value: Mapping[str, Any]) -> bool:
    """Whether an object is an event or a row of a run, step, hook or wait."""
    return "runId" in value and any(
        key in value for key in ("eventType", "status", "stepId", "hookId", "resumeAt")
    )


def _load(rows: Iterator[Row], member: Member, intake: Intake, *, is_array: bool = False) -> int | None:
    """Load rows; the source that they came from, unless they are those of a foreign log."""
    head = list(islice(rows, SAMPLED))
    rows = chain(head, rows)
    objects = [row for _, row in head if isinstance(row, dict)]
    if intake.options.fields:
        columns = sorted({key for row in objects for key in row})
        foreign.load(member.name, "json", rows, columns, intake)
        return None
    if (objects or len(head) == SAMPLED) and not any(map(is_row, objects)):
        raise InputError(member.name, "is JSON, but no row of it has a runId and what an event or an entity has")
    export = _export(objects, member, intake)
    has_data = any(map(_has_data, objects))
    source_id = intake.source(export, member.name)
    read = 0
    runs: set[Any] = set()
    last: dict[str, Any] = {}
    for line, row in rows:
        origin = Origin(source_id, line)
        try:
            if isinstance(row, BadRow):
                raise row
            if not has_data and isinstance(data := row.get("eventData"), dict):
                data.pop("stack", None)
            intake.pack("log", origin, written(row))
        except BadRow as bad:
            intake.reject(origin, bad.run_id or run_of(row), str(bad))
        else:
            read += 1
            runs.add(row.get("runId"))
            last = row
    if is_array and read in LIMITS and not (len(runs) == 1 and _reaches_back(objects[0], last)):
        intake.cut(
            source_id,
            f"the array holds exactly {read} rows, at which the CLI cuts off without a word; "
            "export it newest first or with another --limit",
        )
    return source_id


def _export(objects: list[dict[str, Any]], member: Member, intake: Intake) -> Export:
    """The export that a file belongs to.

    Every file of events is one, so that one without payloads is not taken for one that lost them. Rows of runs,
    steps, hooks and waits belong to the folder, and go with every file of events in it.
    """
    folder = intake.export(folder_of(member.name), FORMAT)
    if objects and not any("eventType" in row for row in objects):
        folder.records.add(Capability.ENTITIES)
        return folder
    export = intake.export(member.name, FORMAT)
    export.records = folder.records
    return export


def _reaches_back(first: dict[str, Any], last: dict[str, Any]) -> bool:
    """Whether the rows between these two, newest first, reach back to the beginning of their run."""
    return last.get("eventType") == "run_created" and str(first.get("eventId")) > str(last.get("eventId"))


def _has_data(row: dict[str, Any]) -> bool:
    """Whether an event carries a payload. Without `--withData` the CLI leaves them all out but the `stack`."""
    data = row.get("eventData")
    return isinstance(data, dict) and not _DATA.isdisjoint(data)


def run_of(row: Mapping[str, Any] | BadRow) -> str | None:
    """The run of a row, if it says so in text."""
    found = None if isinstance(row, BadRow) else row.get("runId")
    return found if isinstance(found, str) else None


def _document(text: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_int=integer)
    except RecursionError:
        raise InputError(name, "is JSON that is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise InputError(name, f"is not JSON: {error.msg} (line {error.lineno})") from None
    if not isinstance(value, dict):
        raise InputError(name, "is JSON, but neither an object nor an array of objects")
    return value


def _elements(text: str) -> Iterator[Row]:
    """The elements of an array, each with its 1-based number. Behind one that cannot be read it goes on where the
    next one begins, if the array is written one a line or indented; else, and after MAX_BROKEN of them, it ends.
    """
    decoder = json.JSONDecoder(parse_int=integer)
    at = _SPACE.match(text, 1).end()  # type: ignore[union-attr]
    _, line_break, margin = text[1:at].rpartition("\n")
    number = broken = 0
    while not text.startswith("]", at):
        number += 1
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            broken += 1
            following = text.find(f"\n{margin}{{", at) if line_break and broken < MAX_BROKEN else -1
            yield number, _broken(error, text, at, following)
            if following < 0:
                return
            end = following
        else:
            yield number, _object(value)
        at = _SPACE.match(text, end).end()  # type: ignore[union-attr]
    if text[at + 1 :].strip():
        yield number + 1, BadRow(f"the file goes on after the end of its array (line {_line(text, at)})")


def _broken(error: Exception, text: str, at: int, following: int) -> BadRow:
    reason = "nested too deeply" if isinstance(error, RecursionError) else f"not JSON (line {_line(text, at)})"
    if following < 0:
        reason += "; nothing behind it was read" if text.endswith("]") else "; the file is cut off"
    end = following if following >= 0 else at + 65536
    return BadRow(reason, run_id_of(text[at:end].encode("utf-8", "replace")))


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _object(value: Any) -> dict[str, Any] | BadRow:
    return value if isinstance(value, dict) else BadRow("not a JSON object")


def _without_replacement(numbered: Row) -> Row:
    number, row = numbered
    if isinstance(row, dict) and "\ufffd" in json.dumps(row, ensure_ascii=False):
        return number, BadRow("not UTF-8", run_of(row))
    return numbered
