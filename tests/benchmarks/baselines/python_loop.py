"""Ten checks as a program would write them without a database: one pass over the lines, one over each run.

`python python_loop.py LOG` prints how often each check fired, as JSON. It knows nothing of the auditor.
"""

from __future__ import annotations

import json
import sys
from collections import Counter

import orjson

# Event type -> (the stage it takes its entity to, what it is accused of by the stage before:
# 0 absent, 1 created, 2 active, 3 closed).
MOVES = {
    "step_created": (1, ("", "duplicate-step-created", "duplicate-step-created", "late-creation")),
    "step_started": (2, ("orphan-step-event", "", "", "step-restarted-after-outcome")),
    "step_retrying": (2, ("orphan-step-event", "", "", "step-restarted-after-outcome")),
    "step_completed": (3, ("orphan-step-event", "", "", "")),
    "step_failed": (3, ("orphan-step-event", "", "", "")),
    "wait_created": (1, ("", "duplicate-wait-created", "", "late-creation")),
    "wait_completed": (3, ("orphan-wait-completed", "", "", "")),
}
TERMINAL = {"run_completed", "run_failed", "run_cancelled"}
DECISIONS = {"step_created", "wait_created", "hook_created"}


def read(path: str) -> tuple[dict[str, list[tuple[str, str, str, str]]], str]:
    """The events of every run (id, type, correlation id, due time), and the newest time in the log."""
    runs: dict[str, list[tuple[str, str, str, str]]] = {}
    newest = ""
    with open(path, "rb") as file:  # noqa: PTH123
        for line in file:
            event = orjson.loads(line)
            event_type = event["eventType"]
            due = event["eventData"].get("resumeAt", "") if event_type == "wait_created" else ""
            row = (event["eventId"], event_type, event.get("correlationId", ""), due)
            run = runs.get(event["runId"])
            if run is None:
                runs[event["runId"]] = [row]
            else:
                run.append(row)
            newest = max(newest, event["createdAt"])
    return runs, newest


def check(events: list[tuple[str, str, str, str]], newest: str) -> list[tuple[str, str]]:  # noqa: PLR0912 - a call costs more than a branch
    """The findings of one run: check and event id."""
    found = []
    stages: dict[str, int] = {}
    kinds: dict[str, str] = {}
    due: dict[str, str] = {}
    ended = ""
    conflicting = False
    for event_id, event_type, correlation, resume_at in sorted(events):
        if not correlation:
            if event_type in TERMINAL:
                if ended and event_type != ended and not conflicting:
                    conflicting = True
                    found.append(("conflicting-terminals", event_id))
                ended = ended or event_type
            continue
        if ended and event_type in DECISIONS:
            found.append(("event-after-terminal", event_id))
        stage = stages.get(correlation, 0)
        if stage == 0:
            kind, body = correlation[:4], correlation[5:]
            if kinds.setdefault(body, kind) != kind:
                found.append(("ordinal-collision", event_id))
        move = MOVES.get(event_type)
        if move is None:
            stages[correlation] = max(stage, 1)
            continue
        reaches, accuses = move
        if accuses[stage]:
            found.append((accuses[stage], event_id))
        if reaches > stage:
            stages[correlation] = reaches
        if event_type == "wait_created" and stage == 0:
            due[correlation] = resume_at
        elif event_type == "wait_completed":
            due.pop(correlation, None)
    if not ended:
        found += [("orphaned-wait", wait) for wait, resume_at in due.items() if resume_at < newest]
    return found


def main() -> None:
    """Read, check, print."""
    runs, newest = read(sys.argv[1])
    counted = Counter(name for events in runs.values() for name, _ in check(events, newest))
    print(json.dumps(dict(sorted(counted.items()))))


if __name__ == "__main__":
    main()
