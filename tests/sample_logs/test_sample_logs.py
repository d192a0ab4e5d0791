"""The sample logs, a newcomer's first sight: each tells the story that its README promises, and only that."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from auditor import audit, schemas

FOLDER = Path(__file__).parents[2] / "sample_logs"
README = FOLDER / "README.md"

# File -> the verdicts of its runs in the order of their ids, and the rules that stand, as error or warning.
EXPECTED: dict[str, tuple[list[str], set[str]]] = {
    "healthy-order.ndjson": (["sound"], set()),
    "stale-snapshot-write.ndjson": (["corrupt"], {"stale-snapshot-write"}),
    "orphaned-wait.ndjson": (["corrupt"], {"swallowed-conflict"}),
    "dropped-fence.ndjson": (["sound", "sound", "sound"], {"dropped-fence"}),
    "sdk-4.2.4-two-ticks-one-ordinal.tar.gz": (["corrupt"], {"ordinal-collision"}),
    "sdk-4.6.0-step-restarted.tar.gz": (["corrupt"], {"step-restarted-after-outcome"}),
    "sdk-4.8.9-wait-created-twice.tar.gz": (["corrupt"], {"duplicate-wait-created"}),
    "sdk-4.8.9-postgres-healthy": (["sound", "sound"], set()),
    "sdk-5.0.0-beta.55-healthy.tar.gz": (["sound"], set()),
}
HAND_MADE = sorted(name for name in EXPECTED if name.endswith(".ndjson"))
ARCHIVES = sorted(name for name in EXPECTED if name.endswith(".tar.gz"))


def report(path: Path) -> dict[str, Any]:
    """The report on one sample, or on the folder; every sample can be read to its end."""
    with audit(path) as result:
        read = result.report
    assert read["rejects"] == []
    assert [row["problem"] for row in read["inputs"]] == [None]
    return read


def standing(read: dict[str, Any]) -> list[dict[str, Any]]:
    return [f for f in read["findings"] if f["folded_under"] is None and f["severity"] != "info"]


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, Any]]:
    """The report on each sample by itself."""
    return {name: report(FOLDER / name) for name in EXPECTED}


@pytest.fixture(scope="module")
def together() -> dict[str, Any]:
    """The report on the folder, as `make demo` shows it."""
    return report(FOLDER)


def test_every_sample_is_expected_and_explained() -> None:
    there = {path.name for path in FOLDER.iterdir()} - {README.name}
    assert there == set(EXPECTED)
    text = README.read_text("utf-8")
    for name, (verdicts, rules) in EXPECTED.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` "))
        assert all(f"`{word}`" in row for word in {*verdicts, *rules})


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_tells_its_story(name: str, alone: dict[str, dict[str, Any]]) -> None:
    verdicts, rules = EXPECTED[name]
    runs = sorted(alone[name]["runs"], key=lambda run: run["run_id"])
    assert [run["log_verdict"] for run in runs] == verdicts
    assert {finding["rule"] for finding in standing(alone[name])} == rules


def test_the_folder_at_once_gives_the_same_verdicts(
    alone: dict[str, dict[str, Any]], together: dict[str, Any]
) -> None:
    each = [(run["run_id"], run["log_verdict"]) for read in alone.values() for run in read["runs"]]
    assert len(dict(each)) == len(each)
    assert sorted((run["run_id"], run["log_verdict"]) for run in together["runs"]) == sorted(each)


def test_the_folder_at_once_gives_the_same_findings(
    alone: dict[str, dict[str, Any]], together: dict[str, Any]
) -> None:
    each = [(f["rule"], f["because"]) for read in alone.values() for f in standing(read)]
    assert sorted((f["rule"], f["because"]) for f in standing(together)) == sorted(each)


@pytest.mark.parametrize("name", HAND_MADE)
def test_a_hand_made_log_fits_the_schema(name: str) -> None:
    schema = Draft202012Validator(json.loads(schemas.text("log")))
    lines = [json.loads(line) for line in (FOLDER / name).read_text("utf-8").splitlines()]
    for line in lines:
        schema.validate(line)
    assert lines[0]["record"] == "manifest"
    assert lines[-1]["record"] == "head"


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_holds_nothing_of_the_machine_that_packed_it(name: str) -> None:
    assert (FOLDER / name).read_bytes()[4:8] == bytes(4)  # gzip's own time
    with tarfile.open(FOLDER / name) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {
        (0, 0, 0, "", "")
    }


def test_the_samples_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 300_000
