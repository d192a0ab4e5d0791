"""auditor.log/v1, and bare events of the SDK: one JSON object a line."""

from __future__ import annotations

import io
import json
import mmap
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

from auditor.ingest import json_rows
from auditor.ingest.foreign import FENCE_FIELDS
from auditor.ingest.intake import Intake
from auditor.ingest.members import Member
from auditor.ingest.staging import Batch, Origin, lines_with, skimmed
from auditor.model.judgement import Capability
from auditor.model.records import LOG_SCHEMA

SMALL = 1 << 20
"""Bytes below which a file is read together with others."""

FIELD_CAPABILITY = {
    **dict.fromkeys((*FENCE_FIELDS, "params"), Capability.FENCES),
    "refusal": Capability.REFUSALS,
    "entity": Capability.ENTITIES,
    "hash": Capability.HASHES,
    "eventData": Capability.DIGESTS,
    "dataSha256": Capability.DIGESTS,
}
"""What a manifest's `fields` say about the capabilities of its log."""


def first_line(start: bytes) -> str:
    """The first line that is not blank, without a byte order mark."""
    return next(_lines(start), "")


def _lines(start: bytes) -> Iterator[str]:
    lines = start.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return (line.decode("utf-8", "replace").strip() for line in lines if line.strip())


def is_log(start: bytes) -> bool:
    """Whether a file holds one JSON object a line, by its first bytes; a first line that is broken may count."""
    first, second = islice(chain(_lines(start), ("", "")), 2)
    if not first.startswith(("{", "[")):
        first = second  # the rest of a line that was cut off at the front
    if not first.startswith("{") or first == "{":
        return False
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return b'"runId"' in start or b'"record"' in start
    return "runId" in value or "record" in value


def manifest_of(start: bytes) -> dict[str, Any] | None:
    """The manifest at the head of a log, if it has one."""
    try:
        value = json.loads(first_line(start))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value.get("record") == "manifest" else None


def read(member: Member, intake: Intake) -> None:
    """Read one file of JSON lines."""
    manifest = manifest_of(member.start())
    start = member.stream.read(SMALL)
    export = intake.export(member.name, LOG_SCHEMA)
    export.manifest = manifest
    source_id = intake.source(export, member.name)
    if len(start) < SMALL:
        export.records |= recorded(manifest, start)
        for line, row in json_rows.lines(io.BytesIO(start.removeprefix(b"\xef\xbb\xbf"))):
            intake.pack("log", Origin(source_id, line), row.rstrip(b"\r\n"))
        return
    path = intake.on_disk(member, start)
    with skimmed(path) as text:
        export.records |= recorded(manifest, text)
    intake.load(Batch("log", path, source_id))


def recorded(manifest: Mapping[str, Any] | None, text: bytes | mmap.mmap) -> set[Capability]:
    """What a log records: what its manifest says, or what the keys of its lines show."""
    if manifest is None:
        return {Capability.FENCES} if _records_fences(text) else set()
    return promised(manifest)


def promised(manifest: Mapping[str, Any]) -> set[Capability]:
    """What a manifest says that its log records."""
    fields = manifest.get("fields")
    names = {name for name in fields if isinstance(name, str)} if isinstance(fields, list) else set()
    records = {FIELD_CAPABILITY[name] for name in names & FIELD_CAPABILITY.keys()}
    return records | {Capability.ALL_RUNS} if manifest.get("allRuns") is True else records


def _records_fences(text: bytes | mmap.mmap) -> bool:
    """Whether events without a manifest carry the key of a fence, be its value null or not.

    The key may also stand inside a payload, so a line that mentions it is looked at before it counts.
    """
    return any(_is_fence(line, name) for name in FENCE_FIELDS for line in lines_with(text, name))


def _is_fence(line: bytes, name: str) -> bool:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict):
        return False
    params = value.get("params")
    return name in value or (isinstance(params, dict) and name in params)
