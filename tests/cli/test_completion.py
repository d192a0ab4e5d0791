"""Shell completion, by the protocol that the shells speak with the installed command."""

from __future__ import annotations

import os
import subprocess
import sys
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
