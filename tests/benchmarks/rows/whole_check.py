"""The command, from start to report, against ten checks in a loop."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from ..processes import Broken, check, run
from ..ratios import Row, by_turns, row
from ..truth import Truth

_BASELINES = Path(__file__).parents[1] / "baselines"
_PYTHON = ("`auditor check`, against ten checks in Python and orjson", 0.35)
_NODE = ("`auditor check`, against ten checks in Node.js", 0.6)


def measure(log: Path, rounds: int) -> list[Row]:
    """One row for each language; Node.js only where it is."""
    node = shutil.which("node")
    measures = [lambda: check(log).seconds, lambda: _loop(sys.executable, "python_loop.py", log)]
    if node is not None:
        measures.append(lambda: _loop(node, "node_loop.mjs", log))
    ours, python, *more = by_turns(measures, rounds)
    rows = [row(*_PYTHON, ours, python)]
    return [*rows, row(*_NODE, ours, more[0]) if more else Row(*_NODE, (), note="no `node` on PATH")]


def _loop(interpreter: str, script: str, log: Path) -> float:
    """Seconds. A loop that counts wrong would be no baseline: raises Broken."""
    spent = run([interpreter, str(_BASELINES / script), str(log)])
    counted = json.loads(spent.output)
    if counted != Truth.of(log).count(counted) or len(counted) < 10:
        raise Broken(f"{script} counted {counted}")
    return spent.seconds
