"""The README's examples run and show what they say."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from auditor import audit
from auditor.report import text

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


PRINTED = {
    "from auditor import audit": "corrupt 1\nerror ",
    "from auditor.runtime import Context, run, step, workflow": "charged for tea\n",
    "import asyncio": "refused: had not seen ['step-1']\n",
}
"""What an example prints, by its first line."""


@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_examples_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sample_logs").symlink_to(ROOT / "sample_logs")
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102
    assert out.getvalue().startswith(PRINTED[code.splitlines()[0]])


def test_the_proof_is_that_of_the_sample_log() -> None:
    (sample,) = set(re.findall(r"`(sample_logs/sdk-[^`]*)`", README))
    with audit(ROOT / sample) as result:
        assert blocks("text")[0] in text.render(result)


def test_every_file_that_the_readme_names_is_there() -> None:
    for name in re.findall(r"`((?:sample_logs|rules)/[^`<*]*)`", README):
        assert (ROOT / name).exists(), name
