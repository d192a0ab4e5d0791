"""What holds for every input: all rows are accounted for, and a log is the same in every format, order, split."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ingest import shapes
from ingest.reading import read
from logs import RUN, Log, entity, time

from auditor import audit

Event = dict[str, Any]

QUICK = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))

GOOD = Log().events[0]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(JSON | st.dictionaries(st.sampled_from(sorted(Log().events[1])), JSON, max_size=6), max_size=6)

FILES = st.dictionaries(st.sampled_from(sorted(Log().events[1])), JSON, max_size=6).map(
    lambda row: json.dumps(row, indent=1).encode()
) | st.text(max_size=20).map(lambda text: f" {text.lstrip('[')}".encode())
"""Files of a world: one object, or text that is no array."""


class TestEveryRowIsAccountedFor:
    """Accepted, merged and rejected are together all that was read."""

    @staticmethod
    def ndjson(rows: list[Any], tail: bytes) -> None:
        lines = [json.dumps(row).encode() for row in [GOOD, *rows]] + [tail.replace(b"\n", b"")]
        with TemporaryDirectory() as folder:
            path = Path(folder, "log.ndjson")
            path.write_bytes(b"\n".join(lines) + b"\n")
            assert read(path).accounted == sum(1 for line in lines if line.strip())

    @QUICK
    @given(ROWS, st.binary())
    @example([[False, 2.1762557089505233e70, '0"\x1f\x07\x80\x80\x80']], b"")
    def test_in_json_lines(self, rows: list[Any], tail: bytes) -> None:
        self.ndjson(rows, tail)

    @pytest.mark.proof
    @LONG
    @given(ROWS, st.binary())
    def test_in_json_lines_at_length(self, rows: list[Any], tail: bytes) -> None:
        self.ndjson(rows, tail)

    @QUICK
    @given(ROWS, st.sampled_from([None, 2]))
    def test_in_an_array(self, rows: list[Any], indent: int | None) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder, "log.json")
            path.write_text(json.dumps([GOOD, *rows], indent=indent))
            assert read(path).accounted == 1 + len(rows)

    @QUICK
    @given(st.lists(st.lists(st.text(max_size=6), max_size=4), max_size=5))
    def test_in_a_csv(self, rows: list[list[str]]) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder, "log.csv")
            with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
                writer = csv.writer(file)
                writer.writerow(["runId", "eventId", "eventType"])
                writer.writerows(rows)
            assert read(path).accounted == sum(1 for row in rows if row)

    @QUICK
    @given(st.lists(FILES, max_size=5))
    def test_in_a_world(self, files: list[bytes]) -> None:
        with TemporaryDirectory() as folder:
            path = shapes.world_local([GOOD], Path(folder, "world"))
            for number, content in enumerate(files):
                (path / "events" / f"{RUN}-evnt_{number}.json").write_bytes(content)
            assert read(path).accounted == 1 + len(files)


STAGES = {
    "step": [["created", "started", "completed"], ["created", "started", "retrying", "started", "failed"]],
    "wait": [["created", "completed"], ["created"]],
    "hook": [["created", "received", "disposed"], ["created", "received", "received"]],
}


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """The events of one or two runs that look as runs do; now and then one happens twice."""
    events = []
    for number in range(draw(st.integers(1, 2))):
        log = Log(f"{RUN[:-1]}{number}", core=draw(st.sampled_from(["4.2.4", "4.8.9"])))
        lives = []
        for ordinal, kind in enumerate(draw(st.lists(st.sampled_from(sorted(STAGES)), max_size=4))):
            stages = [*draw(st.sampled_from(STAGES[kind]))]
            if draw(st.integers(0, 5)) == 0:
                stages.append(draw(st.sampled_from(stages)))
            lives.append([(kind, ordinal, stage) for stage in stages])
        while lives:
            life = draw(st.sampled_from(lives))
            kind, ordinal, stage = life.pop(0)
            log.add(f"{kind}_{stage}", entity(kind, ordinal), data=_data(kind, stage, len(log.events)))
            lives = [life for life in lives if life]
        if draw(st.booleans()):
            log.add("run_completed", data={"output": {"total": 7}})
        events += log.events
    return events


def _data(kind: str, stage: str, number: int) -> Event | None:
    match kind, stage:
        case "step", "created":
            return {"stepName": "charge", "input": [number]}
        case "step", "completed":
            return {"stepName": "charge", "result": {"n": number}}
        case "step", _:
            return {"stepName": "charge", "attempt": 1}
        case "wait", _:
            return {"resumeAt": time(9)}
        case _, "received":
            return {"token": "t", "payload": "p"}
    return {"token": "t"}


def _split(events: list[Event], folder: Path) -> Path:
    """Up to three files, none of them empty, one of them packed; none of several holds a whole run."""
    folder.mkdir()
    parts = min(3, len(events))
    files = [shapes.ndjson(events[n::parts], folder / f"{n}.ndjson") for n in range(parts)]
    shapes.compressed(files[-1], folder / "packed.ndjson.gz")
    files[-1].unlink()
    return folder


WRITERS: dict[str, Callable[[list[Event], Path], Path]] = {
    "ndjson": lambda events, folder: shapes.ndjson(events, folder / "log.ndjson"),
    "split": lambda events, folder: _split(events, folder / "parts"),
    "array": lambda events, folder: shapes.cli_page(events, folder / "events.json"),
    "world": lambda events, folder: shapes.world_local(events, folder / "world"),
    "table": lambda events, folder: shapes.postgres_csv(events, folder / "csv"),
    "zip": lambda events, folder: shapes.zipped(shapes.world_local(events, folder / "w"), folder / "w.zip"),
    "csv": lambda events, folder: shapes.foreign_csv(shapes.renamed(events), folder / "log.csv"),
    "parquet": lambda events, folder: shapes.parquet(shapes.renamed(events), folder / "log.parquet"),
    "twice": lambda events, folder: shapes.ndjson([*events, *events[::-1]], folder / "log.ndjson"),
}


class TestALogIsALog:
    """Whatever its format, the order of its rows, and the files that they stand in."""

    @staticmethod
    def read_as(name: str, events: list[Event], rng: Any) -> None:
        with TemporaryDirectory() as folder:
            plain = read(shapes.ndjson(events, Path(folder, "plain.ndjson")))
            rng.shuffle(events)
            other = read(WRITERS[name](events, Path(folder)))
        assert other.content == plain.content
        assert other.rejects == []

    @QUICK
    @given(logs(), st.sampled_from(sorted(WRITERS)), st.randoms(use_true_random=False))
    def test_its_events_are_the_same(self, events: list[Event], name: str, rng: Any) -> None:
        self.read_as(name, events, rng)

    @pytest.mark.proof
    @LONG
    @given(logs(), st.sampled_from(sorted(WRITERS)), st.randoms(use_true_random=False))
    def test_its_events_are_the_same_at_length(self, events: list[Event], name: str, rng: Any) -> None:
        self.read_as(name, events, rng)

    @staticmethod
    def judged(events: list[Event], names: list[str], rng: Any) -> None:
        seen = set()
        with TemporaryDirectory() as folder:
            for number, name in enumerate(names):
                place = Path(folder, str(number))
                place.mkdir()
                with audit(WRITERS[name](events, place)) as result:
                    verdicts = [(run["run_id"], run["log_verdict"], run["reason"]) for run in result.runs]
                    found = sorted((f["rule"], *f["fingerprint"].values()) for f in result.findings)
                    seen.add(str((verdicts, found, int(result.exit_code))))
                rng.shuffle(events)
        assert len(seen) == 1

    @settings(QUICK, max_examples=2)
    @given(logs(), st.randoms(use_true_random=False))
    def test_its_verdicts_and_fingerprints_are_the_same(self, events: list[Event], rng: Any) -> None:
        self.judged(events, ["ndjson", rng.choice(sorted(WRITERS))], rng)

    @pytest.mark.proof
    @settings(LONG, max_examples=100)
    @given(logs(), st.randoms(use_true_random=False))
    def test_its_verdicts_and_fingerprints_are_the_same_at_length(self, events: list[Event], rng: Any) -> None:
        self.judged(events, sorted(WRITERS), rng)
