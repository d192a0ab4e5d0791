"""The blocks of the README that a command prints."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def usage(command: str) -> str:
    """The help of a command, `auditor check`, as the README has it."""
    begin = re.escape(f"Usage: {command} [OPTIONS]")
    (block,) = re.findall(rf"^```text\n({begin}.*?)\n```", README, re.MULTILINE | re.DOTALL)
    return str(block)
