"""Our hook for pre-commit, as its users run it: installed from a repository into an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml
from logs import Log, manifest, write

ROOT = Path(__file__).parents[2]
PACKAGED = [
    ".pre-commit-hooks.yaml",
    "LICENSE",
    "README.md",
    "auditor",
    "dashboard",
    "pyproject.toml",
    "rules",
]
IDENTITY = ["AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL"]
CORRUPT = Log().life("wait", 0, "created", "completed", "created", resumeAt="2026-11-22T12:01:00.000Z")
SOUND = Log().life("step", 0, "created", "started", "completed", stepName="charge").add("run_completed")


class Repository:
    """A git repository of a person who has no configuration, and whom no network helps."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        self._env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "PRE_COMMIT_HOME": str(home / "pre-commit"),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}": "me@example.org" for who in IDENTITY},
            # What auditor needs is taken from the environment of these tests.
            "PYTHONPATH": sysconfig.get_path("purelib"),
            "PIP_NO_DEPS": "1",
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
        }
        self.run("git", "init", "--quiet", ".")

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.folder, env=self._env, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def commit(self) -> str:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--no-verify", "--message", "all")
        return self.run("git", "rev-parse", "HEAD").stdout.strip()


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose configuration names ours; the hook is installed once."""
    folder = tmp_path_factory.mktemp("pre-commit")
    ours = Repository(folder / "ours", folder)
    for name in PACKAGED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, ours.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, ours.folder / name)
    revision = ours.commit()
    theirs = Repository(folder / "theirs", folder)
    hooks = {"repo": str(ours.folder), "rev": revision, "hooks": [{"id": "auditor"}]}
    (theirs.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [hooks]}))
    theirs.commit()
    theirs.run("pre-commit", "install-hooks")
    return theirs


def hook(user: Repository, **logs: Log) -> subprocess.CompletedProcess[str]:
    """What the hook says of these logs, staged for a commit."""
    user.run("git", "reset", "--quiet", "--hard")
    for name, log in logs.items():
        write(user.folder / f"{name}.ndjson", manifest(), log.events)
    user.run("git", "add", "--all")
    return user.run("pre-commit", "run", check=False)


def test_a_sound_log_may_be_committed(user: Repository) -> None:
    done = hook(user, sound=SOUND)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout


def test_a_corrupt_log_may_not_and_the_proof_is_shown(user: Repository) -> None:
    done = hook(user, sound=SOUND, corrupt=CORRUPT)
    assert done.returncode == 1
    assert "exit code: 1" in done.stdout
    assert "corrupt.ndjson" in done.stdout


def test_a_log_whose_name_looks_like_an_option_is_a_log(user: Repository) -> None:
    done = hook(user, **{"--help": SOUND})
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_commit_without_a_log_runs_nothing(user: Repository) -> None:
    done = hook(user)
    assert done.returncode == 0
    assert "no files to check" in done.stdout


def test_every_hook_is_a_command_that_exists() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    for entry in (hook["entry"] for hook in hooks):
        command = [str(Path(sys.executable).with_name("auditor")), *entry.split()[1:], "--help"]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0, entry
