from __future__ import annotations

import re
from pathlib import Path

import pytest
from audited import (
    RESTARTED,
    check_golden,
    is_inert,
    nasty_texts,
    of_sample,
    poisoned,
    restarted,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import Log, write

from auditor import Audit, audit
from auditor.report import markdown
from auditor.report.words import plain


def spoken(rendered: str) -> str:
    """What is neither code nor markup of ours, escapes included."""
    prose = re.sub(r"^(`{3,})text\n.*?^\1$", "", rendered, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^<summary>.*</summary>$|^</?details>$", "", prose, flags=re.MULTILINE)
    return re.sub(r"(?<![\\`])(`+)(?!`).+?(?<!`)\1(?!`)", "", prose)


@pytest.mark.parametrize("name", ["stale-snapshot-write", "dropped-fence"])
def test_the_markdown_report_of_a_sample_log(name: str) -> None:
    """Without the list of the rules that were not evaluated, which changes with every rule."""
    lines = of_sample(name, markdown.render).splitlines(keepends=True)
    check_golden(f"{name}.md", "".join(line for line in lines if not line.startswith("- not evaluated: ")))


def test_the_verdict_is_the_first_line(of_every_state: Audit) -> None:
    first = markdown.render(of_every_state).splitlines()[0]
    assert first == f"**corrupt**, exit code 1: {markdown.text(of_every_state.report['exit_because'])}"


def test_the_findings_of_a_rule_are_counted_by_state(of_every_state: Audit) -> None:
    shown = markdown.render(of_every_state)
    assert f"| `{RESTARTED}` | error | 1 | 1 | 1 | 0 |\n" in shown
    assert "| `runtime-corruption-verdict` | error | 0 | 0 | 0 | 3 |\n" in shown


def test_a_suppressed_finding_is_counted_and_not_shown(of_every_state: Audit) -> None:
    shown = markdown.render(of_every_state)
    assert "<summary>new <b>error</b>" in shown
    assert "<summary>known <b>error</b>" in shown
    assert "wrun_suppressed" not in shown
    assert "1 more finding not shown here" in shown


def test_what_is_resolved_and_what_suppresses_nothing_is_said(of_every_state: Audit) -> None:
    shown = markdown.render(of_every_state)
    assert f"### Resolved since the baseline\n\n- `{RESTARTED}` 1 less: it was so" in shown
    assert f"### Suppressions that suppress nothing\n\n- unused: `{RESTARTED}` of another time\n" in shown


def test_what_could_not_be_judged_is_said_with_its_reason(in_doubt: Audit) -> None:
    shown = markdown.render(in_doubt)
    assert "- `empty.ndjson` could not be read: " in shown
    (reject,) = in_doubt.report["rejects"]
    assert f"- `log.ndjson:{reject['line']}`: not JSON" in shown
    assert "`dropped-fence`" in next(line for line in shown.splitlines() if "does not record fences" in line)


def test_a_sound_log_has_no_findings(tmp_path: Path) -> None:
    with audit(write(tmp_path / "log.ndjson", Log().events)) as result:
        shown = markdown.render(result)
    assert shown.startswith("**sound**, exit code 0: ")
    assert "<details>" not in shown
    assert "None" not in shown


def test_a_few_findings_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    logs = [restarted(f"s{number}").events for number in range(markdown.SHOWN + 3)]
    with audit(write(tmp_path / "log.ndjson", *logs)) as result:
        shown = markdown.render(result)
    assert shown.count("<details>") == markdown.SHOWN
    assert "\n3 more findings not shown here" in shown


@pytest.mark.parametrize("limit", [3_000, 1_500, 700, 0])
def test_a_limit_cuts_between_paragraphs_and_says_so(of_every_state: Audit, limit: int) -> None:
    whole = markdown.render(of_every_state)
    cut = markdown.render(of_every_state, limit=limit)
    assert len(cut.encode()) <= limit
    assert cut.count("<details>") == cut.count("</details>")
    if cut:
        kept, said = cut.rsplit("*Cut here: ", 1)
        assert whole.startswith(kept)
        assert said.endswith(f" would not fit in {limit:,} bytes.*\n")


def test_a_limit_that_is_kept_cuts_nothing(of_every_state: Audit) -> None:
    whole = markdown.render(of_every_state)
    assert markdown.render(of_every_state, limit=len(whole.encode())) == whole


@given(text=st.text())
def test_prose_says_what_it_was_given_and_marks_nothing_up(text: str) -> None:
    written = markdown.text(text)
    assert re.sub(r"\\(.)", r"\1", written.replace("&#8203;", "")) == plain(text)
    assert not re.search(r"(?<!\\)[][`*_<>#|~@$!{}]", re.sub(r"\\\\", "", written.replace("&#8203;", "")))


@pytest.mark.parametrize(
    "text", ["@octo", "#12", "o/r#12", "https://x.io", "www.x.io", "a@b.io", "GH-7", ":tada:"]
)
def test_nothing_in_prose_becomes_a_link_or_calls_somebody(text: str) -> None:
    assert "&#8203;" in markdown.text(text)


@given(text=st.text(min_size=1) | st.text(alphabet="`` a", min_size=1))
def test_a_code_span_holds_its_text_as_it_is(text: str) -> None:
    written = markdown.code(text)
    fence = re.match("`+", written.replace(" ", "x"))
    assert fence is not None
    inside = written[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in re.findall("`+", inside)
    assert plain(text) in (inside, inside[1:-1])
    assert inside[:1] != "`"
    assert inside[-1:] != "`"


@given(lines=st.lists(st.text() | st.text(alphabet="`~ ")))
def test_a_code_block_ends_where_we_end_it(lines: list[str]) -> None:
    first, *inside, last = markdown.block(lines).split("\n")
    assert first == f"{last}text"
    assert inside == [plain(line) for line in lines]
    assert all(last not in line for line in inside)


@settings(max_examples=25, deadline=None)
@given(texts=nasty_texts)
def test_whatever_a_log_says_the_markup_is_ours(in_doubt: Audit, texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_doubt, "report", poisoned(in_doubt.report, texts))
        rendered = markdown.render(in_doubt)
    assert is_inert(rendered)
    summaries = re.findall("^<summary>(.*)</summary>$", rendered, re.MULTILINE)
    tags = {tag for line in summaries for tag in re.findall("<[^>]*>?", line)}
    assert tags <= {"<b>", "</b>", "<code>", "</code>"}
    assert not re.search(r"(?<!\\)[<@\[]", spoken(rendered))
