"""A finding to take elsewhere: as Markdown for an issue, as a command for a terminal."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any


def as_markdown(finding: dict[str, Any], witnesses: Sequence[dict[str, Any]], address: str) -> str:
    """For an issue or a pull request. What comes from the log stands in code, where nothing is read into it."""
    facts = [
        ("Run", finding["run_id"]),
        ("Workflow", finding["workflow"]),
        ("Finding", finding["instance"]),
        ("Pattern", finding["pattern"]),
        ("Dashboard", address),
    ]
    lines = [
        f"**{finding['severity']}** ({finding['confidence']}): {_code(finding['rule'])}",
        "",
        _block(finding["because"]),
        "",
        *(f"- {name}: {_code(value)}" for name, value in facts if value),
    ]
    if witnesses:
        lines += ["", "Proof:", "", *(f"- {_witness(witness)}" for witness in witnesses)]
    return "\n".join(lines)


def commands(finding: dict[str, Any], paths: Sequence[str]) -> str:
    """What a terminal makes of it: the findings of the rule, and why this one counts."""
    # A path that begins with a dash would be taken for an option.
    logs = shlex.join(f"./{path}" if path.startswith("-") else path for path in paths)
    rule, instance = shlex.quote(finding["rule"]), shlex.quote(finding["instance"])
    return f"auditor check {logs} --select {rule}\nauditor check {logs} --why {instance}"


def place_in_file(witness: dict[str, Any]) -> str:
    """Where a record stands: `file:line`, or the file alone."""
    return witness["source"] if witness["line"] is None else f"{witness['source']}:{witness['line']}"


def _witness(witness: dict[str, Any]) -> str:
    at = "" if witness["position"] is None else f" #{witness['position']}"
    named = " ".join(
        _code(word) for word in (witness["event_type"], witness["entity"], witness["event_id"]) if word
    )
    return f"{_code(witness['role'])}:{at} {named} in {_code(place_in_file(witness))}"


def _code(text: str) -> str:
    inside = " ".join(text.split())
    fence = "`" * (_longest_run(inside) + 1)
    room = " " if inside.startswith("`") or inside.endswith("`") else ""
    return f"{fence}{room}{inside}{room}{fence}"


def _block(text: str) -> str:
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
