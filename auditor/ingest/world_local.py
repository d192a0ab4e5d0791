"""The folder of the SDK's world-local: one JSON file an event, a run, a step, a hook or a wait.

Layout: `events/<runId>-<eventId>.json`, `runs/ steps/ hooks/ waits/`. Tokens, indexes, streams and locks hold
nothing that a replay reads. A killed process leaves `*.json.tmp.<ULID>` behind: those are skipped and counted.
"""

from __future__ import annotations

from auditor.ingest.intake import Intake
from auditor.ingest.json_rows import MAX_ROW_BYTES, TOO_LONG
from auditor.ingest.members import START, Member
from auditor.ingest.staging import Origin
from auditor.model.judgement import Capability

FORMAT = "world-local"

FOLDERS = {"events": "event", "runs": "run", "steps": "step", "hooks": "hook", "waits": "wait"}

ASIDE = "aside"
"""Belongs to the layout but to no log: locks, streams, indexes, unfinished writes."""


def read(record: str, member: Member, intake: Intake) -> None:
    """Read one file; one that cannot be one record is rejected."""
    records = {Capability.ENTITIES, Capability.ALL_RUNS, Capability.DIGESTS}
    export = intake.export(root_of(member.name), FORMAT, records)
    origin = Origin(intake.source(export, member.name), None)
    text = member.stream.read(START)
    if len(text) == START:  # a read of the whole bound would reserve its memory for every small file
        text += member.stream.read(MAX_ROW_BYTES + 1 - START)
    if len(text) > MAX_ROW_BYTES:
        intake.reject(origin, run_id_of(member.name), TOO_LONG)
        return
    # A line break inside JSON can only stand between its tokens.
    text = text.replace(b"\n", b" ").replace(b"\r", b" ")
    if not text.strip():
        intake.reject(origin, run_id_of(member.name), "an empty file")
        return
    intake.pack(record, origin, text)


def record_of(name: str) -> str | None:
    """What a file holds: `event`, `run`, `step`, `hook`, `wait`, ASIDE; None if it is no file of this layout."""
    *folders, file = name.split("/")
    folder = folders[-1] if folders else ""
    if file == "version.txt" or ".locks" in folders or "hooks" in folders[:-1]:
        return ASIDE
    if "streams" in folders and folder != "events":
        return ASIDE
    if folder not in FOLDERS:
        return None
    if file.endswith(".json"):
        return FOLDERS[folder]
    return ASIDE if ".json.tmp." in file else None


def root_of(name: str) -> str:
    """The folder of the world that a file belongs to, relative to the input."""
    return name.rsplit("/", 2)[0] if name.count("/") > 1 else ""


def run_id_of(name: str) -> str | None:
    """The run an event or step file belongs to, by its name."""
    run_id, dash, _ = name.rsplit("/", 1)[-1].partition("-")
    return run_id if dash and run_id.startswith("wrun_") else None
