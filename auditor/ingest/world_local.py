"""The folder of the SDK's world-local: one JSON file an event, a run, a step, a hook or a wait.

Layout: `events/<runId>-<eventId>.json`, `runs/ steps/ hooks/ waits/`. Tokens, indexes, streams and locks hold
nothing that a replay reads. A killed process leaves `*.json.tmp.<ULID>` behind: those are skipped and counted.
"""

from __future__ import annotations

from pathlib import PurePosixPath

FOLDERS = {"events": "event", "runs": "run", "steps": "step", "hooks": "hook", "waits": "wait"}


def record_of(name: PurePosixPath) -> str | None:
    """What the file holds (`event`, `run`, `step`, `hook`, `wait`), or None if it is no such file."""
    if is_aside(name) or name.suffix != ".json":
        return None
    return FOLDERS.get(name.parent.name)


def is_aside(name: PurePosixPath) -> bool:
    """Whether the file belongs to the layout but to no log: locks, streams, indexes, unfinished writes."""
    folders = name.parts[:-1]
    if name.name == "version.txt" or ".locks" in folders or "hooks" in folders[:-1]:
        return True
    if "streams" in folders and folders[-1] != "events":
        return True
    return name.parent.name in FOLDERS and ".json.tmp." in name.name


def run_id_of(name: PurePosixPath) -> str | None:
    """The run an event or step file belongs to, by its name."""
    run_id, dash, _ = name.stem.partition("-")
    return run_id if dash and run_id.startswith("wrun_") else None
