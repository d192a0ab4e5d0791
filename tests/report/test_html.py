from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

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
from logs import Log, entity, manifest, time, write

from auditor import Audit, audit
from auditor.report import html
from auditor.report.html import timeline

STALE = "stale-snapshot-write"
VOID = {"meta", "link", "input"}
# fmt: off
TAGS = VOID | {
    "html", "head", "title", "style", "body", "header", "nav", "main", "footer", "section", "h1", "h2", "h3",
    "p", "a", "ul", "li", "dl", "dt", "dd", "div", "span", "strong", "code", "pre", "details", "summary",
    "fieldset", "legend", "label", "table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "g",
    "path", "circle", "rect", "text",
}
# fmt: on


class Page(HTMLParser):
    """A page that closes all that it opens, with its elements and its text."""

    def __init__(self, rendered: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(rendered)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, "only there a slash closes"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag not in ("code", "span", "strong"):
            self.said.append(" ")

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [found for _, found in self.elements if name in (found.get("class") or "").split()]

    @property
    def text(self) -> str:
        return " ".join("".join(self.said).split())


@pytest.fixture(scope="module")
def stale() -> str:
    return of_sample("stale-snapshot-write", html.render)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    """More findings than a page shows, and than a report lists."""
    logs = [restarted(f"s{number}").events for number in range(1_300)]
    with audit(write(tmp_path_factory.mktemp("large") / "log.ndjson", *logs)) as result:
        yield result


@pytest.mark.parametrize("name", ["stale-snapshot-write", "dropped-fence"])
def test_the_html_report_of_a_sample_log(name: str) -> None:
    """Without its style, the name of the audit, and what changes with every rule."""
    page = of_sample(name, html.render)
    for pattern in (
        r"(?<=<style>).*?(?=</style>)",
        r"(?<=sha256-)[^']*",
        r"(?<=<pre>).*?(?=</pre>)",
        r"(?<=<p>Audit <code>)\w+",
        r'(?<=<section id="unjudged" aria-labelledby="h-unjudged">).*?(?=</section>)',
        r'(?<=<section id="rules" aria-labelledby="h-rules">).*?(?=</section>)',
    ):
        page = re.sub(pattern, "...", page, flags=re.DOTALL)
    check_golden(f"{name}.html", page)


def test_the_page_asks_nobody_for_anything_and_runs_nothing(stale: str) -> None:
    page = Page(stale)
    assert not page.all("script")
    links = {attributes["href"] for _, attributes in page.elements if attributes.get("href")}
    assert {link for link in links if link and not link.startswith("#")} == {"data:,"}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("src", "style", "srcset", "action")]
    assert not re.search(r"url\(|@import|https?:", stale)


def test_the_policy_of_the_page_allows_its_style_and_nothing_else(stale: str) -> None:
    style = stale[stale.index("<style>") + len("<style>") : stale.index("</style>")]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = (m["content"] for m in Page(stale).all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_the_page_has_landmarks_headings_and_names_for_what_is_no_text(stale: str) -> None:
    page = Page(stale)
    assert page.all("html") == [{"lang": "en"}]
    assert [len(page.all(tag)) for tag in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    assert all(picture["role"] == "img" and picture["aria-label"] for picture in page.all("svg"))
    assert all(head["scope"] == "col" for head in page.all("th"))
    assert all(region["aria-label"] and region["tabindex"] == "0" for region in page.of_class("scroll"))


def test_ids_are_unique_and_every_link_leads_somewhere(stale: str, of_every_state: Audit) -> None:
    for rendered in (stale, html.render(of_every_state)):
        page = Page(rendered)
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert {link["href"] for link in page.all("a")} <= {f"#{name}" for name in ids}
        assert {name for _, found in page.elements if (name := found.get("aria-labelledby"))} <= set(ids)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_that_wcag_aa_asks_for(stale: str, theme: int) -> None:
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", re.findall(r":root \{(.*?)\}", stale, re.DOTALL)[theme]))
    words = ("error", "warning", "info", "good", "dim", "unsure")
    pairs = [(word, f"{word}-soft") for word in words] + [("error", "page"), ("text", "error-soft")]
    pairs += [(word, ground) for word in ("text", "soft", "link") for ground in ("page", "raised")]
    for word, ground in pairs:
        low, high = sorted((luminance(colours[word]), luminance(colours[ground])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (word, ground)


def test_the_verdict_and_the_exit_code_come_first_with_their_reason(of_every_state: Audit) -> None:
    text = Page(html.render(of_every_state)).text
    because = of_every_state.report["exit_because"]
    assert text.index("Corrupt an error is proven") < text.index(f"Exit code 1: {because}") < text.index("Causes")


def test_findings_stand_under_their_rule_with_their_state(of_every_state: Audit) -> None:
    rendered = html.render(of_every_state)
    page = Page(rendered)
    states = [found["class"] for found in page.all("details") if "finding" in (found["class"] or "")]
    assert states[:3] == [f"finding error {state}" for state in ("new", "known", "suppressed")]
    assert "Suppressed: we pay twice (ops)" in page.text
    assert "Explains 1 more finding: runtime-corruption-verdict." in page.text
    assert [box["id"] for box in page.all("input")] == ["show-new", "show-known", "show-suppressed"]
    assert "What it means" in rendered[rendered.index("<pre>") :]


def test_decisions_and_the_baseline_are_on_the_page(of_every_state: Audit) -> None:
    text = Page(html.render(of_every_state)).text
    assert "of another time run wrun_elsewhere" in text
    assert "baseline.jsonl, by pattern:" in text
    assert "1 entry resolved" in text
    assert "it was so" in text


def test_what_could_not_be_judged_is_said_with_its_reason(in_doubt: Audit) -> None:
    text = Page(html.render(in_doubt)).text
    assert "cannot tell empty.ndjson could not be read:" in text
    assert "dropped-fence, " in text
    assert "the log does not record fences" in text
    assert "Unreadable rows where run reason log.ndjson:" in text


def test_an_audit_of_nothing_is_a_page(tmp_path: Path) -> None:
    path = tmp_path / "empty.ndjson"
    path.write_text("")
    with audit(path) as result:
        page = Page(html.render(result))
    assert "Cannot tell" in page.text
    assert "Exit code 3: 1 input could not be read" in page.text
    assert "None" not in page.text


def test_the_timeline_points_from_the_write_to_what_its_fence_names(stale: str) -> None:
    picture = stale[stale.index("<svg") : stale.index("</svg>")]
    page = Page(picture + "</svg>")
    assert len(page.of_class("halo")) == 6, "the witnesses"
    assert len(page.of_class("arrow")) == len(page.of_class("head")) == len(page.of_class("band")) == 1
    assert "2 events not seen by #10" in page.text
    assert "#10 wait_completed, wait#2, 2026-11-18 09:41:10.934, tail #7, stale write" in page.text
    lanes = re.findall(r'<text class="name"[^>]*>([^<]*)', picture)
    assert lanes == ["run", "step#0", "hook#1", "wait#2", "step#3", "wait#3", "wait#4"]


def test_a_finding_that_is_about_no_missed_event_has_no_arrow(stale: str) -> None:
    page = Page(stale)
    assert len(page.all("svg")) == 2
    assert len(page.of_class("arrow")) == 1


def test_a_fence_on_the_empty_log_has_its_arrow_to_the_edge(tmp_path: Path) -> None:
    fence = {"kind": "tail", "value": "none"}
    log = Log().add("hook_created", entity("hook", 0), data={"token": "t"}).add("hook_received", entity("hook", 0))
    log.add("run_completed", fence=fence)
    with audit(write(tmp_path / "log.ndjson", manifest("fence"), log.events), select=[STALE]) as result:
        page = Page(html.render(result))
    assert len(page.of_class("arrow")) == 1
    assert "4 events not seen by #5" in page.text


def test_a_window_elides_what_is_far_from_every_witness(tmp_path: Path) -> None:
    log = Log().life("step", 0, "created", "started", "completed", stepName="s")
    for ordinal in range(1, 21):
        log.life("step", ordinal, "created", "started", "completed", stepName="t")
    log.add("step_started", entity("step", 0))
    with audit(write(tmp_path / "log.ndjson", log.events), select=[RESTARTED]) as result:
        page = Page(html.render(result))
    assert len(page.of_class("gap")) == 2, "before it and between them"
    (picture,) = page.all("svg")
    assert (picture["aria-label"] or "").startswith("Events #2 to #8, #63 to #66 of the run in log order")


def test_a_proof_of_many_witnesses_has_a_picture_of_a_few(tmp_path: Path) -> None:
    log = Log().add("hook_created", entity("hook", 0), data={"token": "t"}).add("hook_received", entity("hook", 0))
    fence = {"kind": "tail", "value": log.events[2]["eventId"]}
    for ordinal in range(1, 101):
        log.add("wait_created", entity("wait", ordinal), data={"resumeAt": time(9)}, fence=fence, requestId="req")
    with audit(write(tmp_path / "log.ndjson", manifest("fence"), log.events), select=[STALE]) as result:
        (finding,) = result.findings
        page = Page(html.render(result))
    assert len(finding["witness"]) > html.WITNESSES
    assert 1 < len(page.of_class("halo")) <= timeline.MARKS
    assert f"{len(finding['witness']) - html.WITNESSES} more records left out of this page" in page.text
    assert "1 event not seen by #5" in page.text


def test_every_standing_finding_is_on_the_page_or_counted(large: Audit) -> None:
    page = Page(html.render(large))
    states = large.report["counts"]["states"]
    ids = [name for _, found in page.elements if (name := found.get("id") or "").startswith("f-")]
    left = re.search(r"([\d,]+) findings left out of this page", page.text)
    assert left is not None
    assert len(set(ids)) + int(left[1].replace(",", "")) == states["new"] + states["known"] + states["suppressed"]
    assert len([f for f in page.all("details") if "finding" in (f["class"] or "")]) == html.DETAILED


def test_the_page_stays_within_its_bound(large: Audit) -> None:
    assert len(html.render(large).encode()) <= html.MAX_BYTES
    texts = ['&"<\U0001f600' * 5_000, "\x1b" * 20_000]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "report", poisoned(large.report, texts))
        rendered = html.render(large)
    assert len(rendered.encode()) <= html.MAX_BYTES
    Page(rendered)


def test_the_same_audit_gives_the_same_bytes(of_every_state: Audit) -> None:
    assert html.render(of_every_state) == html.render(of_every_state)


@settings(max_examples=15, deadline=None)
@given(texts=nasty_texts)
def test_whatever_a_log_says_the_elements_are_ours(in_doubt: Audit, texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_doubt, "report", poisoned(in_doubt.report, texts))
        rendered = html.render(in_doubt)
    assert_ours(rendered)


ATTACKS = ['"><script>alert(1)</script>', "</title></svg><img src=x>", "a\u202eb\x1b[2J\n]]>"]
hostile = st.sampled_from(ATTACKS) | st.text()


@settings(max_examples=5, deadline=None)
@given(names=st.tuples(hostile, hostile, hostile, hostile))
def test_a_hostile_log_is_only_text_in_its_timeline(
    tmp_path_factory: pytest.TempPathFactory, names: tuple[str, str, str, str]
) -> None:
    run, workflow, step, kind = (name.encode("utf-8", "replace").decode() for name in names)
    log = Log(f"wrun_{run}", workflow=workflow).life("step", 0, "created", "started", "completed", stepName=step)
    log.add(f"x{kind}").add("step_started", f"step_{run}").add("step_started", entity("step", 0))
    folder = tmp_path_factory.mktemp("hostile")
    with audit(write(folder / "<b>@x.ndjson", log.events), select=[RESTARTED]) as result:
        found: dict[str, Any] = Counter(finding["rule"] for finding in result.findings)
        rendered = html.render(result)
    assert found
    assert "<svg" in rendered
    assert_ours(rendered)


def assert_ours(rendered: str) -> None:
    page = Page(rendered)
    assert is_inert(rendered)
    assert {tag for tag, _ in page.elements} <= TAGS
    assert not [name for _, found in page.elements for name in found if name.startswith("on") or name == "src"]
    assert not re.search(r"https?:|javascript:", " ".join(link["href"] or "" for link in page.all("a")))
