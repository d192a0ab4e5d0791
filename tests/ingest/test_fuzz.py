"""An hour of damaged logs: whatever is done to a real file, an audit ends with a verdict and counts every row.

`make proof` runs it for AUDITOR_FUZZ_SECONDS (3,600). What fails stays in a folder named after its seed, which is
printed; AUDITOR_FUZZ_SEED tries that one alone. An audit that does not end is ended with a traceback of where it
is, and the file `trying` beside the folders then names its seed.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import random
import shutil
import sys
import tarfile
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ingest import shapes, worlds

from auditor import AuditorError, ExitCode, audit
from auditor.report.formats import FORMATS

SECONDS = float(os.environ.get("AUDITOR_FUZZ_SECONDS", "3600"))
SEED = os.environ.get("AUDITOR_FUZZ_SEED")
SAMPLES = Path(__file__).parents[2] / "sample_logs"
HANG = 60
"""Seconds after which one audit counts as hanging."""

Rng = random.Random


def originals(folder: Path) -> list[Path]:
    """The sample logs, and one of them in every format."""
    lines = (SAMPLES / "healthy-order.ndjson").read_text("utf-8").splitlines()
    log = [row for row in map(json.loads, lines) if "eventType" in row and row.get("record", "event") == "event"]
    table = shapes.postgres_csv(log, folder / "csv") / "workflow_events.csv"
    world = shapes.world_local(log, folder / "world")
    ndjson = shapes.ndjson(log, folder / "log.ndjson")
    made = [
        ndjson,
        table,
        shapes.cli_array(log, folder / "events.json"),
        shapes.cli_page(log, folder / "page.json"),
        shapes.foreign_csv(shapes.renamed(log), folder / "foreign.csv"),
        shapes.parquet(log, folder / "events.parquet"),
        shapes.parquet(shapes.renamed(log), folder / "foreign.parquet"),
        shapes.zipped(world, folder / "world.zip"),
        shapes.tar(world, folder / "world.tar"),
        shapes.tar_gz(world, folder / "world.tar.gz"),
        worlds.sqlite(worlds.golden(), folder / "world.sqlite"),
        *(shapes.compressed(ndjson, folder / f"log.ndjson.{suffix}") for suffix in shapes.COMPRESS),
    ]
    real = [path for path in sorted(SAMPLES.rglob("*")) if path.suffix in (".ndjson", ".gz", ".csv")]
    return made + [path for path in real if path.stat().st_size < 2**20]


def flip(rng: Rng, data: bytearray) -> None:
    for _ in range(rng.choice((1, 1, 4, 32))):
        data[rng.randrange(len(data))] = rng.randrange(256)


def cut(rng: Rng, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def drop(rng: Rng, data: bytearray) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.randrange(1, 200)]


def splice(rng: Rng, data: bytearray) -> None:
    at, start = rng.randrange(len(data)), rng.randrange(len(data))
    data[at:at] = data[start : start + rng.randrange(1, 2000)]


def lines(rng: Rng, data: bytearray) -> None:
    """Lines in another order, some of them twice, some of them joined."""
    rows = bytes(data).split(b"\n")
    rng.shuffle(rows)
    rows += rows[: rng.randrange(3)]
    if len(rows) > 2 and rng.random() < 0.3:
        rows[:2] = [rows[0] + rows[1]]
    data[:] = b"\n".join(rows)


def insert(rng: Rng, data: bytearray) -> None:
    at = rng.randrange(len(data))
    data[at:at] = rng.choice(TOKENS)


def replace(rng: Rng, data: bytearray) -> None:
    old, new = rng.sample(TOKENS, 2)
    data[:] = bytes(data).replace(old, new, rng.randrange(1, 4))


def value(rng: Rng, data: bytearray) -> None:
    """Another value under a key that is known, in a file of JSON."""
    starts = [at for at in range(len(data)) if data[at : at + 2] == b'":']
    if not starts:
        return
    at = rng.choice(starts) + 2
    ends = [end for mark in (b",", b"}", b"\n") if (end := data.find(mark, at)) >= 0]
    data[at : min(ends, default=len(data))] = json.dumps(anything(rng, 3)).encode()


def anything(rng: Rng, depth: int) -> Any:
    """Any JSON value."""
    kinds = 9 if depth else 7
    match rng.randrange(kinds):
        case 0:
            return rng.choice((None, True, False))
        case 1:
            return rng.choice((0, -1, 2**31, 2**63, 10**40, 1763812800000))
        case 2:
            return rng.choice((0.5, -0.0, 1e300, float("nan"), float("inf")))
        case 3:
            return rng.choice(("", " ", "\0", "\ud800", "\U0001f600", "x" * 5000, "run_failed", "step_created"))
        case 4:
            return rng.choice(("infinity", "epoch", "0001-01-01", "294247-01-10T04:00:54Z", "2026-11-22"))
        case 5:
            return rng.choice(("wrun_", "evnt_" + "0" * 26, "step_" + "Z" * 26, "wait_" + "7" * 26, "evnt_1", "e"))
        case 6:
            return rng.choice(("manifest", "event", "head", "refusal", "entity", "run", "1", "[", "{}", "'"))
        case 7:
            return [anything(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {rng.choice(KEYS): anything(rng, depth - 1) for _ in range(rng.randrange(4))}


def members(rng: Rng, data: bytearray) -> None:
    """The members of an archive under each other's names, some of them damaged, some twice, some missing."""
    try:
        held = _members(bytes(data))
    except Exception:  # noqa: BLE001 - it is no archive, or no longer one
        return
    if not held:
        return
    names = [name for name, _ in held]
    rng.shuffle(names)
    held = [(name, content) for name, (_, content) in zip(names, held, strict=True) if rng.random() > 0.05]
    for number in rng.sample(range(len(held)), min(len(held), rng.randrange(3))):
        content = bytearray(held[number][1])
        if content:
            rng.choice((flip, cut, splice, insert, value))(rng, content)
        held[number] = held[number][0], bytes(content)
    data[:] = rng.choice((_zip, _tar))(held)


def _members(data: bytes) -> list[tuple[str, bytes]]:
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(info.filename, archive.read(info)) for info in archive.infolist()]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [(info.name, archive.extractfile(info).read()) for info in archive if info.isfile()]


def _zip(held: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in dict(held):
            archive.writestr(name, dict(held)[name])
    return out.getvalue()


def _tar(held: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in held:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


KEYS = (
    *(
        "runId",
        "eventId",
        "eventType",
        "correlationId",
        "createdAt",
        "eventData",
        "specVersion",
        "record",
        "fence",
    ),
    *(
        "kind",
        "value",
        "position",
        "hash",
        "prevHash",
        "stepName",
        "resumeAt",
        "token",
        "attempt",
        "input",
        "error",
    ),
    *(
        "executionContext",
        "workflowCoreVersion",
        "data",
        "hasMore",
        "__type",
        "params",
        "stateEventCount",
        "fields",
    ),
)
TOKENS = [
    *(f'"{key}"'.encode() for key in KEYS),
    *(b"null", b"NaN", b"-1", b"1e999", b"9" * 5000, b"[" * 5000, b"{}", b'""', b"\x00", b"\xff\xfe", b"\xf0\x9f"),
    *(
        b"step_created",
        b"step_completed",
        b"wait_created",
        b"hook_conflict",
        b"run_failed",
        b"noop",
        b"2026-11-22",
    ),
    *(b"\n", b"\r\n", b"\r", b",", b":", b'"', b"\\ud800", b"\\u0000", b"\\x", b"'; DROP TABLE event; --", b"%s"),
]
MUTATIONS: list[Callable[[Rng, bytearray], None]] = [
    *(flip, cut, drop, splice, lines, insert, replace, value, value, members, members),
]


def damaged(rng: Rng, sources: list[Path], folder: Path) -> Path:
    """A copy with one to four things done to it; in a folder beside a sound log every fourth time."""
    source = rng.choice(sources)
    data = bytearray(source.read_bytes())
    for _ in range(rng.randrange(1, 5)):
        if data:
            rng.choice(MUTATIONS)(rng, data)
    target = folder / source.name
    target.write_bytes(data)
    if rng.random() < 0.25:
        shutil.copy(SAMPLES / "healthy-order.ndjson", folder / "beside.ndjson")
        return folder
    return target


def examine(path: Path, rng: Rng) -> None:
    """Audit one input, and check what must hold of every audit."""
    options: dict[str, Any] = {"keep_payloads": rng.random() < 0.2}
    if rng.random() < 0.1:
        options["fields"] = {rng.choice(KEYS): rng.choice(("runId", "eventId", "token", "output", "fence"))}
    if rng.random() < 0.05:
        options["input_format"] = rng.choice(("ndjson", "json", "csv", "parquet", "sqlite"))
    with audit(path, **options) as result:
        report = result.report
        assert result.exit_code in {ExitCode.CLEAN, ExitCode.FOUND, ExitCode.CANNOT_TELL}
        assert [rule for rule in report["rules"] if rule["outcome"] == "failed"] == []
        (row,) = report["inputs"]

        def stored(table: str) -> int:
            return int(result.con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])

        assert stored("event") == row["events"] - row["merged"]
        assert (stored("entity_row"), stored("refusal")) == (row["entities"], row["refusals"])
        assert stored("reject") == row["rejects"]
        if path.suffix == ".ndjson" and not options.get("fields") and row["problem"] is None:
            read = sum(1 for line in path.read_bytes().split(b"\n") if line.strip())
            told = sum(row[name] for name in ("events", "entities", "refusals", "rejects")) + stored("head")
            manifests = path.read_bytes().count(b"manifest")
            assert read - manifests <= told <= read, (read, manifests, told)
        if row["problem"] or row["rejects"]:
            assert result.exit_code != ExitCode.CLEAN
        for render in FORMATS.values():
            render(result).encode()


@pytest.mark.proof
def test_no_damage_to_a_log_crashes_an_audit(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sources = originals(tmp_path)
    started, seed, done = time.monotonic(), int(SEED or time.time_ns() % 10**9), 0
    while done == 0 or (SEED is None and time.monotonic() - started < SECONDS):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = damaged(rng, sources, folder)
        (tmp_path / "trying").write_text(f"AUDITOR_FUZZ_SEED={seed}\n")
        with capfd.disabled():
            faulthandler.dump_traceback_later(HANG, exit=True, file=sys.__stderr__)
            try:
                examine(path, rng)
            except AuditorError:
                pass  # said in our words: that is an answer
            except Exception:  # noqa: BLE001 - anything else is the bug that is looked for
                pytest.fail(f"AUDITOR_FUZZ_SEED={seed}, the input is {path}:\n{traceback.format_exc()}")
            finally:
                faulthandler.cancel_dump_traceback_later()
        shutil.rmtree(folder)
        seed, done = seed + 1, done + 1
    print(f"{done} damaged logs in {time.monotonic() - started:.0f} s")
