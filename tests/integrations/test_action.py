"""The GitHub action: its shell parts, run as a runner would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from logs import Log, manifest, write

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SCRIPTS = sorted((ROOT / ".github" / "action").glob("*.sh"))
EXAMPLES = sorted((ROOT / ".github" / "examples").glob("*.yml"))


# What the file says -------------------------------------------------------------------------------------------


def test_every_input_goes_through_the_environment_and_none_into_a_script() -> None:
    assert [step["name"] for step in STEPS if "${{" in step.get("run", "")] == []
    named = {name for step in STEPS for name in re.findall(r"inputs\.([\w-]+)", json.dumps(step))}
    assert named == set(ACTION["inputs"])


def test_every_step_is_one_that_github_takes() -> None:
    assert set(ACTION) == {"name", "description", "author", "branding", "inputs", "outputs", "runs"}
    assert ACTION["runs"]["using"] == "composite"
    for step in STEPS:
        assert set(step) <= {"name", "id", "if", "shell", "run", "env", "uses", "with"}
        assert ("run" in step) == ("shell" in step) != ("uses" in step)
    assert all(set(given) <= {"description", "default", "required"} for given in ACTION["inputs"].values())
    assert all(set(output) == {"description", "value"} for output in ACTION["outputs"].values())
    assert len(ACTION["description"]) <= 125


@pytest.mark.parametrize("path", [ROOT / "action.yml", *EXAMPLES], ids=lambda path: path.name)
def test_an_action_of_somebody_else_is_pinned_by_its_commit(path: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", path.read_text("utf-8"))
    foreign = [(name, comment) for name, comment in used if "workflow-auditor" not in name]
    assert [name for name, _ in foreign if not re.search(r"@[0-9a-f]{40}$", name)] == []
    assert [name for name, comment in foreign if not re.fullmatch(r" # v\d+\.\d+\.\d+", comment)] == []


def test_the_findings_are_uploaded_before_the_job_fails() -> None:
    upload, judge = STEPS[-2:]
    assert upload["uses"].startswith("github/codeql-action/upload-sarif@")
    assert "!cancelled()" in upload["if"]
    assert "!cancelled()" in judge["if"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_stops_at_the_first_thing_that_goes_wrong(script: Path) -> None:
    assert "\nset -euo pipefail\n" in script.read_text("utf-8")
    subprocess.run(["bash", "-n", str(script)], check=True)


# What a runner does -------------------------------------------------------------------------------------------


@dataclass
class Job:
    """A runner: it evaluates expressions, runs the shell steps in order and collects their outputs."""

    folder: Path
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""

    def run(self, **inputs: str) -> int:
        """The exit code of the first step that fails, else 0."""
        given = {name: str(what.get("default", "")) for name, what in ACTION["inputs"].items()}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        values = {f"inputs.{name}": value for name, value in given.items()}
        temp = self.folder / "temp"
        temp.mkdir(exist_ok=True)
        for step in STEPS:
            if "run" not in step:
                continue
            out = temp / "output"
            out.write_text("")
            environment = {name: self._value(text, values) for name, text in step["env"].items()}
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.folder,
                env={
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                    "GITHUB_ACTIONS": "true",
                    "GITHUB_ACTION_PATH": str(ROOT),
                    "GITHUB_OUTPUT": str(out),
                    "GITHUB_STEP_SUMMARY": str(temp / "summary.md"),
                    "GITHUB_WORKSPACE": str(self.folder),
                    "RUNNER_TEMP": str(temp),
                    **environment,
                },
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            self.log += done.stdout + done.stderr
            written = _outputs(out.read_text("utf-8"))
            values |= {f"steps.{step.get('id')}.outputs.{name}": value for name, value in written.items()}
            self.outputs |= written
            if done.returncode:
                return done.returncode
        return 0

    @staticmethod
    def _value(text: str, values: dict[str, str]) -> str:
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: values.get(found[1], ""), text)


def _outputs(text: str) -> dict[str, str]:
    """What a step wrote to $GITHUB_OUTPUT: `name=value`, or a value between delimiters."""
    found, rows = {}, iter(text.splitlines())
    for row in rows:
        name, delimiter = re.fullmatch(r"([\w-]+)(?:<<(.+)|=.*)", row).groups()
        if delimiter is None:
            found[name] = row.partition("=")[2]
        else:
            found[name] = "\n".join(iter(rows.__next__, delimiter))
    return found


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A checkout with a sound log, a corrupt one, and one that is none."""
    sound = Log().life("step", 0, "created", "started", "completed", stepName="charge").add("run_completed")
    write(tmp_path / "sound.ndjson", manifest(), sound.events)
    corrupt = Log().life("wait", 0, "created", "completed", "created", resumeAt="2026-11-22T12:01:00.000Z")
    write(tmp_path / "corrupt.ndjson", manifest(), corrupt.events)
    (tmp_path / "unreadable.ndjson").write_text("not a log\n")
    return Job(tmp_path)


def test_a_sound_log_passes(job: Job) -> None:
    assert job.run(paths="sound.ndjson", version="installed") == 0
    assert {name: job.outputs[name] for name in ("exit-code", "verdict", "new", "known")} == {
        "exit-code": "0",
        "verdict": "sound",
        "new": "0",
        "known": "0",
    }


def test_a_corrupt_log_fails_the_job_after_everything_was_written(job: Job) -> None:
    assert job.run(paths="sound.ndjson\r\n\n  corrupt.ndjson  \n", version="installed") == 1
    assert (job.outputs["exit-code"], job.outputs["verdict"]) == ("1", "corrupt")
    assert int(job.outputs["new"]) > 0
    sarif = json.loads(Path(job.outputs["sarif-file"]).read_text("utf-8"))
    assert sarif["runs"][0]["results"]
    assert "::error" in job.log
    assert "corrupt" in (job.folder / "temp" / "summary.md").read_text("utf-8")


def test_a_log_that_cannot_be_judged_is_never_green(job: Job) -> None:
    assert job.run(paths="unreadable.ndjson", version="installed", fail_on="never") == 3
    assert job.outputs["verdict"] == "cannot_tell"


def test_options_reach_the_command(job: Job) -> None:
    ended = job.run(
        paths="corrupt.ndjson",
        version="installed",
        fail_on="never",
        args="--ignore=hook\n--max-rejects=3",
        working_directory=".",
        sarif_file="out put.sarif",
    )
    assert ended == 0
    assert job.outputs["sarif-file"] == str(job.folder / "out put.sarif")


def test_without_sarif_there_is_no_file_to_upload(job: Job) -> None:
    assert job.run(paths="sound.ndjson", version="installed", sarif="false") == 0
    assert "sarif-file" not in job.outputs


def test_an_old_sarif_file_does_not_pass_for_a_new_one(job: Job) -> None:
    (job.folder / "old.sarif").write_text("{}")
    assert job.run(paths="no-such-log", version="installed", sarif_file="old.sarif") == 2
    assert "sarif-file" not in job.outputs


@pytest.mark.parametrize("paths", ["", "\n \r\n"])
def test_no_path_is_misuse_and_not_success(job: Job, paths: str) -> None:
    assert job.run(paths=paths, version="installed") == 2


def test_an_option_that_audits_nothing_is_not_success(job: Job) -> None:
    assert job.run(paths="sound.ndjson", version="installed", args="--help") == 2


HOSTILE = {
    "a command behind a path": {"paths": "sound.ndjson; touch pwned"},
    "a substitution": {"paths": "$(touch pwned)`touch pwned`"},
    "a path that looks like an option": {"paths": "--save=pwned"},
    "a second output": {"sarif_file": "x\nverdict=sound\nnew<<x"},
    "a command in an option": {"args": "--ignore=$(touch pwned)"},
    "a severity": {"fail_on": 'error" ; touch pwned; "'},
    "a configuration": {"config": "x; touch pwned"},
    "a folder": {"working_directory": "$(touch pwned)"},
    "a folder that looks like an option": {"working_directory": "-P"},
    "a version": {"version": "1.0.0; touch pwned"},
    "a package": {"version": "1.0.0 evil-package"},
    "a version of two lines": {"version": "1.0.0\nevil"},
    "an index": {"version": "--index-url=https://evil.example"},
}


@pytest.mark.parametrize("inputs", HOSTILE.values(), ids=HOSTILE)
def test_an_input_is_never_more_than_a_value(job: Job, inputs: dict[str, str]) -> None:
    ended = job.run(**{"paths": "corrupt.ndjson", "version": "installed"} | inputs)
    assert ended != 0
    assert not list(job.folder.rglob("pwned"))
    assert job.outputs.get("verdict") in (None, "corrupt")


def test_a_module_in_the_checkout_does_not_pass_for_one_of_python(job: Job) -> None:
    (job.folder / "json.py").write_text("raise SystemExit('hijacked')")
    assert job.run(paths="sound.ndjson", version="installed") == 0
    assert job.outputs["verdict"] == "sound"


def test_what_is_installed_is_one_package_of_one_version(job: Job) -> None:
    """`pip` is a script that writes down what it was asked for."""
    python = job.folder / "python3"
    python.write_text(
        '#!/bin/sh\nif [ "$3" = venv ]; then mkdir -p "$5/bin" && cp "$0" "$5/bin/python"; '
        'else echo "$@" >> pip.txt; fi\n'
    )
    python.chmod(0o755)
    for version in ("", "latest", "1.2.3"):
        (job.folder / "output").write_text("")
        subprocess.run(
            ["bash", str(ROOT / ".github/action/install.sh")],
            cwd=job.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHON": str(python),
                "VERSION": version,
                "GITHUB_ACTION_PATH": "/the/action",
                "GITHUB_OUTPUT": str(job.folder / "output"),
                "RUNNER_TEMP": str(job.folder),
            },
            check=True,
        )
        assert (job.folder / "output").read_text() == f"auditor={job.folder}/auditor-venv/bin/auditor\n"
    asked = [line.rpartition(" -- ")[2] for line in (job.folder / "pip.txt").read_text().splitlines()]
    assert asked == ["/the/action", "workflow-auditor", "workflow-auditor==1.2.3"]
