"""An hour of damaged logs: whatever is done to a real file, an audit ends with a verdict and counts every row.

`make proof` runs it for AUDITOR_FUZZ_SECONDS (3,600). A failure prints its seed; AUDITOR_FUZZ_SEED replays one.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import shutil
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from ingest import shapes, worlds

from auditor import AuditorError, ExitCode, audit

SECONDS = float(os.environ.get("AUDITOR_FUZZ_SECONDS", "3600"))
SEED = os.environ.get("AUDITOR_FUZZ_SEED")
SAMPLES = Path(__file__).parents[2] / "sample_logs"
HANG = 120
"""Seconds after which one audit counts as hanging; the process then ends with a traceback of where it is."""

Rng = random.Random


def events() -> list[dict]:
    lines = (SAMPLES / "healthy-order.ndjson").read_text("utf-8").splitlines()
    return [row for row in map(json.loads, lines) if "eventType" in row and "record" not in row]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Real logs, and the same log in every shape."""
    folder = tmp_path_factory.mktemp("fuzz-corpus")
    log = events()
    made = [
        shapes.ndjson(log, folder / "log.ndjson"),
        shapes.cli_array(log, folder / "events.json"),
        shapes.cli_page(log, folder / "page.json"),
        shapes.parquet(log, folder / "events.parquet"),
        shapes.postgres_csv(log, folder / "csv") / "workflow_events.csv",
        shapes.zipped(shapes.world_local(log, folder / "world"), folder / "world.zip"),
        shapes.tar_gz(folder / "world", folder / "world.tar.gz"),
        shapes.tar(folder / "world", folder / "world.tar"),
        worlds.sqlite(worlds.golden(), folder / "world.sqlite"),
    ]
    shapes.compressed(folder / "log.ndjson", folder / "log.ndjson.zst")
    return [
        *made,
        folder / "log.ndjson.zst",
        *(path for path in sorted(SAMPLES.iterdir()) if path.is_file() and path.suffix != ".md"),
    ]


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
    rows = bytes(data).split(b"\n")
    rng.shuffle(rows)
    data[:] = b"\n".join([*rows, *rows[: rng.randrange(3)]])


def insert(rng: Rng, data: bytearray) -> None:
    at = rng.randrange(len(data))
    data[at:at] = rng.choice(TOKENS)


def replace(rng: Rng, data: bytearray) -> None:
    old, new = rng.sample(TOKENS, 2)
    data[:] = bytes(data).replace(old, new, rng.randrange(1, 4))


TOKENS = [
    *(
        b'"runId"',
        b'"eventId"',
        b'"eventType"',
        b'"record"',
        b'"fence"',
        b'"eventData"',
        b'"position"',
        b'"createdAt"',
    ),
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
    *(b"\n", b"\r\n", b",", b":", b'"', b"\\ud800", b"'; DROP TABLE event; --", b"{{7*7}}", b"<script>", b"%s"),
]
MUTATIONS: list[Callable[[Rng, bytearray], None]] = [flip, cut, drop, splice, lines, insert, replace]


def damaged(rng: Rng, source: Path, folder: Path) -> Path:
    """A copy with one to four things done to it; in a folder beside a sound log every fourth time."""
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


def check(path: Path) -> None:
    with audit(path, keep_payloads=path.is_dir()) as result:
        report = result.report
        assert result.exit_code in {ExitCode.CLEAN, ExitCode.FOUND, ExitCode.CANNOT_TELL}
        assert [rule for rule in report["rules"] if rule["outcome"] == "failed"] == []
        kept = result.con.execute("SELECT count(*) FROM event_core").fetchall()
        (row,) = report["inputs"]
        assert kept == [(row["events"] - row["merged"],)]
        if row["problem"] or report["counts"]["rejects"]:
            assert result.exit_code != ExitCode.CLEAN


@pytest.mark.proof
def test_no_damage_to_a_log_crashes_an_audit(corpus: list[Path], tmp_path: Path) -> None:
    started, seed, done = time.monotonic(), int(SEED or time.time_ns() % 10**9), 0
    while done == 0 or (SEED is None and time.monotonic() - started < SECONDS):
        rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
        source = rng.choice(corpus)
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = damaged(rng, source, folder)
        faulthandler.dump_traceback_later(HANG, exit=True)
        try:
            check(path)
        except AuditorError:
            pass  # said in our words: that is an answer
        except Exception:  # noqa: BLE001 - anything else is the bug that is looked for
            pytest.fail(f"AUDITOR_FUZZ_SEED={seed} ({source.name}, left in {folder}):\n{traceback.format_exc()}")
        finally:
            faulthandler.cancel_dump_traceback_later()
        shutil.rmtree(folder)
        seed, done = seed + 1, done + 1
    print(f"{done} damaged logs in {time.monotonic() - started:.0f} s")
