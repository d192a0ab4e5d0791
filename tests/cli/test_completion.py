"""Shell completion, by the protocol that the shells speak with the installed command."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from auditor.check.catalogue import load

BIN = Path(sys.executable).parent
ENVIRONMENT = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}


def completions(*words: str) -> list[str]:
    """What bash is offered for the last of these words."""
    asked = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [BIN / "auditor"],
        env=ENVIRONMENT | {"_AUDITOR_COMPLETE": "bash_complete"} | asked,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [line.partition(",")[2] for line in done.stdout.split()]


def test_commands_are_completed() -> None:
    assert completions("auditor", "ex") == ["explain"]


def test_a_rule_is_completed_where_one_is_explained() -> None:
    assert completions("auditor", "explain", "orphaned-w") == ["orphaned-wait"]


@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_rules_and_groups_are_completed_where_they_are_chosen(option: str) -> None:
    group = load()["dropped-fence"].group
    assert {"dropped-fence", group} <= set(completions("auditor", "check", option, ""))
    assert completions("auditor", "check", option, "dropped-") == ["dropped-fence"]


def test_of_several_rules_the_last_one_is_completed() -> None:
    assert completions("auditor", "check", "--select", "wait,dropped-") == ["wait,dropped-fence"]


def test_a_folder_of_rules_that_cannot_be_read_completes_nothing() -> None:
    assert completions("auditor", "explain", "--rules", "no-such-folder", "orphaned") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_every_shell_asks_the_command(shell: str) -> None:
    done = subprocess.run(
        [BIN / "auditor", "completion", shell], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert f"_AUDITOR_COMPLETE={shell}_complete" in done.stdout


def test_bash_takes_its_script_and_completes_with_it() -> None:
    script = """
        eval "$(auditor completion bash)"
        complete -p auditor
        COMP_WORDS=(auditor explain orphaned-w) COMP_CWORD=2
        _auditor_completion auditor orphaned-w explain
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert "_auditor_completion auditor" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "orphaned-wait"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    "words",
    [
        ["check", "lo"],
        ["check", "--config", "lo"],
        ["check", "--save", "lo"],
        ["baseline", "check", "lo"],
        ["replay", "lo"],
        ["rules", "coverage", "lo"],
        ["world", "export", "sqlite:///w.db", "-o", "lo"],
    ],
)
def test_where_a_path_stands_the_shell_is_told_to_complete_files(shell: str, words: list[str]) -> None:
    asked = {
        "COMP_WORDS": " ".join(["auditor", *words]),
        "COMP_CWORD": "lo" if shell == "fish" else str(len(words)),
    }
    done = subprocess.run(
        [BIN / "auditor"],
        env=ENVIRONMENT | {"_AUDITOR_COMPLETE": f"{shell}_complete"} | asked,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.replace("\n", ",").startswith("file,lo")


def test_bash_completes_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a-log-that-was-kept.ndjson").touch()
    terminal, of_bash = pty.openpty()
    with subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=of_bash,
        stdout=of_bash,
        stderr=of_bash,
        cwd=tmp_path,
        env=ENVIRONMENT | {"TERM": "dumb"},
        start_new_session=True,
    ) as bash:
        os.close(of_bash)
        os.write(terminal, b'eval "$(auditor completion bash)"; echo rea""dy\n')
        shown(terminal, "ready")
        os.write(terminal, b"auditor check a-lo\t")
        shown(terminal, "auditor check a-log-that-was-kept.ndjson")
        bash.kill()
    os.close(terminal)


def shown(terminal: int, wanted: str) -> None:
    """Wait until a terminal has shown this."""
    text, until = "", time.monotonic() + 60
    while wanted not in text:
        ready, _, _ = select.select([terminal], [], [], until - time.monotonic())
        assert ready, text
        text += os.read(terminal, 4096).decode()
