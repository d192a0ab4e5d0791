"""The folder of the SDK's world-local: one JSON file an event, a run, a step, a hook or a wait.

Layout: `events/<runId>-<eventId>.json`, `runs/ steps/ hooks/ waits/`. Tokens, indexes, streams and locks hold
nothing that a replay reads. A killed process leaves `*.json.tmp.<ULID>` behind: those are skipped and counted.
"""

from __future__ import annotations

FOLDERS = {"events": "event", "runs": "run", "steps": "step", "hooks": "hook", "waits": "wait"}

ASIDE = "aside"
"""Belongs to the layout but to no log: locks, streams, indexes, unfinished writes."""


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
