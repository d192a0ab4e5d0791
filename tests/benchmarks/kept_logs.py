"""The logs that are measured: made once, kept beside each other in one folder."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from . import processes

_GENERATOR = ("ulids.py", "runs.py", "flows.py", "anomalies.py", "generate.py")


class Logs:
    """Makes logs on demand; a log is named after its size, its seed and the generator that made it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self._seed = seed
        sources = [(Path(__file__).parent / name).read_bytes() for name in _GENERATOR]
        self._version = hashlib.sha256(b"".join(sources)).hexdigest()[:8]
        folder.mkdir(parents=True, exist_ok=True)

    def ndjson(self, events: int) -> Path:
        """A log of about so many events, one a line; read once, so that it is in the page cache."""
        path = self._made("ndjson", events)
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 22):
                pass
        return path

    def world_local(self, events: int) -> Path:
        """A folder of about so many small files."""
        return self._made("world-local", events)

    def _made(self, layout: str, events: int) -> Path:
        path = self.folder / f"{events}-{self._seed}-{self._version}.{layout}"
        if not path.exists():
            part = path.with_name(f"{path.name}.part")
            if part.is_dir():
                shutil.rmtree(part)
            print(f"making {path}", file=sys.stderr)
            options = ["--events", str(events), "--seed", str(self._seed), "--layout", layout, "--out", str(part)]
            processes.run([sys.executable, "-m", "tests.benchmarks.generate", *options])
            truth = part.with_name(f"{part.name}.truth.json")
            if truth.exists():
                truth.replace(path.with_name(f"{path.name}.truth.json"))
            part.replace(path)
        return path
