"""The README is true: its examples run and show what they say, and nothing that a user can name is missing."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from readme import FILE, README, ROOT, accepted, blocks, column, commands, sample_logs, table

from auditor import audit, schemas
from auditor.alerts import signature
from auditor.check import header
from auditor.check.catalogue import choose, find, load
from auditor.config import load as load_config
from auditor.model.judgement import Capability, ExitCode, FindingState, Verdict
from auditor.report import text
from auditor.report.formats import FORMATS
from dashboard.server import check
from dashboard.settings import Auth, Settings

PRINTED = {
    "from auditor import audit": "corrupt 1\nerror ",
    "from auditor import Suppression, audit": "corrupt 0\n",
    "from auditor.runtime import Context, run, step, workflow": "charged for tea\n",
    "import asyncio": "refused: had not seen ['step-1']\n",
}
"""What an example prints, by its first line."""

OUTSIDE = {"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
"""Variables of the system that the sandbox hands on, and that mean nothing to us."""


# What commands say


def test_the_help_of_every_command_stands_in_the_readme_word_for_word() -> None:
    """With AUDITOR_ACCEPT=1 it is written there."""
    wanted = accepted()
    if os.environ.get("AUDITOR_ACCEPT"):
        FILE.write_text(wanted, "utf-8")
    else:
        assert wanted == README, "AUDITOR_ACCEPT=1 pytest tests/cli/test_readme.py writes it anew"


def test_what_stands_there_is_what_the_command_prints(auditor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("check", "world work", "rules"):
        assert auditor(*name.split(), "--help").stdout.strip() in README


def test_every_command_and_every_option_says_what_it_is_for() -> None:
    for name, ctx in commands():
        assert ctx.command.help, name
        for option in ctx.command.params:
            if isinstance(option, click.Option):
                assert option.help, (name, option.name)
                assert not option.hidden, (name, option.name)


def test_every_option_of_check_is_in_the_text_and_not_just_in_the_help() -> None:
    text = re.sub(r"^Usage: .*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    check = dict(commands())["auditor check"].command
    named = {opt for option in check.params if isinstance(option, click.Option) for opt in option.opts}
    assert sorted(opt for opt in named if not re.search(rf"{opt}\b", text)) == []


# What users can name


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("exit code", [str(int(code)) for code in ExitCode]),
        ("verdict", list(Verdict)),
        ("capability", list(Capability)),
        ("report", list(FORMATS)),
        ("state", list(FindingState)),
        ("header key", sorted(header._KEYS)),
        ("input of the action", list(yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["inputs"])),
        ("output of the action", list(yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["outputs"])),
    ],
)
def test_a_table_lists_all_of_them_and_nothing_else(head: str, names: list[str]) -> None:
    assert sorted(column(head)) == sorted(names)


def test_the_rules_are_listed_as_their_files_describe_them() -> None:
    assert table("rule") == [
        [
            rule.id,
            f"{'/'.join(dict.fromkeys(case.severity for case in rule.severity))}, {rule.confidence}",
            ", ".join(rule.needs) or "-",
            rule.title,
        ]
        for rule in sorted(load().values(), key=lambda rule: rule.id)
    ]


def test_every_key_of_the_configuration_is_listed() -> None:
    schema = json.loads(schemas.text("config"))
    assert column("key") == list(_keys(schema["properties"]))


def _keys(properties: dict[str, Any], above: str = "") -> Iterator[str]:
    """`suppressions.rule` in an entry of a list, `workflow.GLOB.severity` below a name that users choose."""
    for key, value in properties.items():
        inner = value.get("items", {}).get("properties", {})
        chosen = value.get("additionalProperties", {})
        chosen = chosen.get("properties", {}) if isinstance(chosen, dict) else {}
        if not inner and not chosen:
            yield above + key
        yield from _keys(inner, f"{above}{key}.")
        yield from _keys(chosen, f"{above}{key}.GLOB.")


def test_every_environment_variable_is_listed() -> None:
    read = set()
    for path in (ROOT / "auditor").rglob("*.py"):
        code = path.read_text("utf-8")
        if "environ" in code or "environment variable" in code:
            words = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
            read |= {word for word in words if re.fullmatch("[A-Z]+(_[A-Z]+)+", str(word))}
    assert "AUDITOR_CONFIG" in read
    assert sorted(column("variable")) == sorted(read - OUTSIDE)


def test_every_contract_is_named() -> None:
    assert [name for name in schemas.NAMES if f"`auditor schema {name}`" not in README] == []


# Examples


@pytest.mark.parametrize("code", [code for code in blocks("python") if "def test_" not in code])
def test_the_python_examples_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample_logs(tmp_path)
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102
    assert out.getvalue().startswith(PRINTED.get(code.splitlines()[0], ""))


def test_the_recipe_of_a_receiver_knows_our_alerts_from_forged_ones() -> None:
    (code,) = [code for code in blocks("python") if "X-Auditor-Signature" in code]
    recipe: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), recipe)  # noqa: S102
    genuine = recipe["genuine"]
    now, old = str(int(time.time())), str(int(time.time()) - 3600)
    headers = {"X-Auditor-Timestamp": now, "X-Auditor-Signature": signature("key", now, b"{}")}
    replayed = {"X-Auditor-Timestamp": old, "X-Auditor-Signature": signature("key", old, b"{}")}
    assert genuine(headers, b"{}", "key")
    assert not genuine(headers, b"{ }", "key")
    assert not genuine(headers, b"{}", "other")
    assert not genuine(replayed, b"{}", "key")


def test_the_pytest_example_passes(tmp_path: Path) -> None:
    (code,) = [code for code in blocks("python") if "def test_" in code]
    sample_logs(tmp_path)
    (tmp_path / "test_logs.py").write_text(code, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("session", blocks("console"))
def test_the_shell_examples_print_what_they_show(session: str, tmp_path: Path) -> None:
    """A line `...` stands for any lines; a session goes on in the folder that its commands leave behind."""
    sample_logs(tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command, shown in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "COLUMNS": "80"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout
        pattern = re.escape(shown).replace(re.escape("...\n"), "(?:.*\n)*?")
        assert re.fullmatch(pattern, done.stdout), done.stdout


SECRETS = [example for example in blocks("toml") if example.startswith("# secrets.toml")]


@pytest.mark.parametrize("example", [example for example in blocks("toml") if example not in SECRETS])
def test_the_configuration_examples_name_what_there_is(example: str, tmp_path: Path) -> None:
    name = "pyproject.toml" if "[tool.auditor" in example else "auditor.toml"
    (tmp_path / name).write_text(example, "utf-8")
    config = load_config(tmp_path / name)
    rules = config.tunings.apply(load())
    assert choose(rules, config.select, config.ignore)
    for suppression in config.suppressions:
        find(rules, suppression.rule)


def test_the_example_of_a_provider_is_enough_to_sign_in(tmp_path: Path) -> None:
    (example,) = SECRETS
    (tmp_path / "secrets.toml").write_text(example, "utf-8")
    check(Settings(tmp_path, auth=Auth.OIDC))


def test_the_workflow_examples_are_the_files_that_are_tested() -> None:
    hooks = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
    examples = {path.read_text("utf-8") for path in (ROOT / ".github/examples").iterdir()}
    (own,) = set(blocks("yaml")) - examples
    assert examples < set(blocks("yaml"))
    assert {hook["id"] for repo in yaml.safe_load(own)["repos"] for hook in repo["hooks"]} == hooks


def test_the_proof_is_that_of_the_sample_log() -> None:
    (sample,) = set(re.findall(r"`(sample_logs/sdk-[^`]*)`", README))
    with audit(ROOT / sample) as result:
        assert blocks("text")[0] in text.render(result)


def test_every_file_that_the_readme_names_is_there() -> None:
    for name in re.findall(r"`((?:sample_logs|rules|\.github)/[^`<*]*)`", README):
        assert (ROOT / name).exists(), name
