"""`auditor replay`: what it prints, what it returns, and how it says no."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from auditor import schemas

HISTORIES = Path(__file__).parents[1] / "runtime_histories"
WROTE = "histories_code"
"""The module in the folder of the test: the code that wrote the histories, and some that did not."""

MORE = """

@workflow(name="workflow//./flows//sequential")
async def renamed(ctx, item, *, gift=None):
    print("the workflow prints")
    return await ctx.step(charge, item)


@workflow(name="workflow//./flows//retries")
async def other_end(ctx, item):
    await ctx.step(fetch, item)
    return "s3cret"


async def undeclared(ctx):
    pass
"""


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The code of the histories as a module of the user's, and the histories beside it."""
    then = (HISTORIES / "flows_then.py").read_text("utf-8")
    (tmp_path / f"{WROTE}.py").write_text(then + MORE, "utf-8")
    for name in ("sequential", "retries", "in-flight", "failed-by-its-own-error"):
        shutil.copy(HISTORIES / f"{name}.ndjson", tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if "." not in name and getattr(sys.modules[name], "__file__", None):
            del sys.modules[name]


@pytest.fixture
def replay(auditor: Any) -> Any:
    def run(*args: object) -> SimpleNamespace:
        places = [f"{WROTE}:{arg[1:]}" if str(arg).startswith(":") else arg for arg in map(str, args)]
        flags = [flag for place in places if ":" in place for flag in ("--workflow", place)]
        done: SimpleNamespace = auditor("replay", *flags, *(place for place in places if ":" not in place))
        assert "Traceback" not in done.stderr + done.stdout
        return done

    return run


def test_histories_are_reproduced_by_the_code_that_wrote_them(replay: Any) -> None:
    done = replay(":sequential", ":retries", "sequential.ndjson", "retries.ndjson")
    assert (done.returncode, done.stdout) == (
        0,
        "2 reproduced, 0 diverged, 0 other terminal, 0 not replayed\nexit code 0: the code reproduces 2 runs\n",
    )


def test_a_divergence_shows_both_sequences(replay: Any) -> None:
    done = replay(":renamed", "sequential.ndjson")
    assert done.returncode == 1
    text = re.sub(r"(step|wait|hook|evnt|wrun)_[0-9A-Z]{26}", r"\1_ID", done.stdout)
    assert text == (
        "DIVERGED  wrun_ID  workflow//./flows//sequential\n"
        "  at #3 (evnt_ID)\n"
        "    the log has   step_created of step_ID (step//./shop//reserve)\n"
        "    the code      has step step_ID (step//./shop//charge)\n"
        "  the log:\n"
        "    #1 run_created \n"
        "    #2 run_started \n"
        "  > #3 step_created step_ID (step//./shop//reserve)\n"
        "    #4 step_started step_ID (step//./shop//reserve)\n"
        "    #5 step_completed step_ID (step//./shop//reserve)\n"
        "    #6 wait_created wait_ID\n"
        "    #7 wait_completed wait_ID\n"
        "    #8 step_created step_ID (step//./shop//charge)\n"
        "  what the code creates:\n"
        "  > 0: step step_ID (step//./shop//charge)\n"
        "    then it waits, while step step_ID (step//./shop//charge) is open\n"
        "\n"
        "0 reproduced, 1 diverged, 0 other terminal, 0 not replayed\n"
        "exit code 1: the code does not reproduce 1 run of 1\n"
    )
    assert "the workflow prints" in done.stderr


def test_another_end_is_told_without_its_value(replay: Any) -> None:
    done = replay(":other_end", "retries.ndjson")
    assert done.returncode == 1
    assert "the log has   run_completed with a number\n" in done.stdout
    assert "the code      returns a text of 6 characters\n" in done.stdout
    assert "s3cret" not in done.stdout + replay(":other_end", "retries.ndjson", "--json").stdout


def test_json_holds_every_run(replay: Any) -> None:
    done = replay(":renamed", ":retries", "sequential.ndjson", "retries.ndjson", "in-flight.ndjson", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["counts"] == {
        "reproduced": 1, "diverged": 1, "other_terminal": 0, "not_replayed": 0, "skipped": 1
    }  # fmt: skip
    (diverged,) = [run for run in found["runs"] if run["outcome"] == "diverged"]
    assert (diverged["position"], [line["marked"] for line in diverged["log"]].index(True)) == (3, 2)
    assert [finding["rule"] for finding in found["findings"]] == ["replay-divergence"]


@pytest.mark.parametrize(
    "asked",
    [
        (":renamed", ":retries", "sequential.ndjson", "retries.ndjson", "in-flight.ndjson"),
        (":other_end", "retries.ndjson"),
        (":sequential", "sequential.ndjson", "broken.ndjson"),
        (":race", "sequential.ndjson"),
    ],
)
def test_json_is_of_its_schema(replay: Any, code: Path, asked: tuple[str, ...]) -> None:
    (code / "broken.ndjson").write_text("{oops\n")
    schema, of_report = (json.loads(schemas.text(name)) for name in ("replay", "report"))
    registry = Registry().with_resource(of_report["$id"], Resource.from_contents(of_report))
    found = json.loads(replay(*asked, "--json").stdout)
    assert [error.message for error in Draft202012Validator(schema, registry=registry).iter_errors(found)] == []


def test_runs_of_other_workflows_are_counted_and_left_alone(replay: Any) -> None:
    done = replay(":sequential", ".")
    assert done.returncode == 0
    assert "3 of other workflows skipped\n" in done.stdout


def test_a_log_with_no_run_of_the_workflow_says_what_it_holds(replay: Any) -> None:
    done = replay(":race", "sequential.ndjson", "in-flight.ndjson")
    assert done.returncode == 3
    assert done.stdout.endswith(
        "exit code 3: no run is of a workflow that was named; the log holds "
        "workflow//./flows//sequential (1 run), workflow//./flows//waiting (1 run)\n"
    )


def test_stdin_is_a_log(replay: Any, monkeypatch: pytest.MonkeyPatch, code: Path) -> None:
    log = (code / "sequential.ndjson").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(log)))
    assert replay(":sequential", "-").returncode == 0


def test_what_cannot_be_told_is_not_green(replay: Any, code: Path) -> None:
    lines = (code / "sequential.ndjson").read_text("utf-8").splitlines()
    for line in lines:
        assert line.startswith("{")
    records = [json.loads(line) for line in lines]
    cut = [record for record in records if record.get("position") != 4]
    (code / "cut.ndjson").write_text("".join(f"{json.dumps(record)}\n" for record in cut), "utf-8")
    done = replay(":sequential", "cut.ndjson")
    assert done.returncode == 3
    assert "its history is incomplete" in done.stdout
    for record in records:
        record.pop("eventData", None)
        if record.get("eventType") == "run_created":
            record["eventData"] = {"workflowName": "workflow//./flows//sequential"}
    (code / "bare.ndjson").write_text("".join(f"{json.dumps(record)}\n" for record in records), "utf-8")
    done = replay(":sequential", "bare.ndjson")
    assert done.returncode == 3
    assert "its payloads are not in the log" in done.stdout
    (code / "broken.ndjson").write_text("\n".join([*lines, "oops"]), "utf-8")
    assert replay(":sequential", "broken.ndjson").returncode == 3
    (code / "empty.ndjson").touch()
    done = replay(":sequential", "empty.ndjson")
    assert done.returncode == 3
    assert "is empty" in done.stdout
    done = replay(":failing", "failed-by-its-own-error.ndjson", "empty.ndjson")
    assert (done.returncode, "1 reproduced" in done.stdout) == (3, True)


def test_a_workflow_that_is_none_is_said_in_one_line(replay: Any, code: Path) -> None:
    (code / "raises.py").write_text("raise RuntimeError('no database\\n\\x1b[31mhere')", "utf-8")
    (code / "leaves.py").write_text("import sys; print('on its way'); sys.exit(0)", "utf-8")
    (code / "typo.py").write_text("def order(:", "utf-8")
    (code / "lacks.py").write_text("import a_package_that_nobody_has", "utf-8")
    for place, words in {
        "raises:order": "RuntimeError: no database \ufffd[31mhere",
        "leaves:order": "cannot import leaves: it ends its process, SystemExit: 0",
        "typo:order": "SyntaxError",
        "lacks:order": "cannot import lacks",
        "nowhere:order": "cannot import nowhere",
        f"{WROTE}:nobody": f"{WROTE} has no nobody",
        f"{WROTE}:charge": "charge is no workflow; write @workflow above it",
        f"{WROTE}:undeclared": "undeclared is no workflow",
        f"{WROTE}:": "name a workflow as module:function",
        "..x:y": "cannot import ..x",
    }.items():
        done = replay(place, "sequential.ndjson")
        assert (done.returncode, done.stdout) == (2, ""), place
        (line,) = [line for line in done.stderr.splitlines() if line != "on its way"]
        assert line.startswith("auditor: ")
        assert words in line


def test_misuse_is_said(replay: Any, auditor: Any) -> None:
    assert replay(":sequential", "missing.ndjson").returncode == 2
    assert auditor("replay", "sequential.ndjson").returncode == 2
    assert auditor("replay", "--workflow", f"{WROTE}:sequential").returncode == 2
    assert replay(":sequential", "sequential.ndjson", "--save", "nowhere/a.duckdb").returncode == 2


def test_the_saved_audit_can_be_read(replay: Any, code: Path) -> None:
    from auditor import Audit  # noqa: PLC0415 - beside what it opens

    assert replay(":renamed", "sequential.ndjson", "--save", "audit.duckdb").returncode == 1
    with Audit.open(code / "audit.duckdb") as saved:
        assert int(saved.exit_code) == 1
        assert saved.con.execute("SELECT outcome FROM replayed").fetchall() == [("diverged",)]
