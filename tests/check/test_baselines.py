"""A baseline file says what is known, the same way every time; a damaged one says so and is never an empty one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_bugs import RULE, restarted
from logs import write

from auditor import UsageError, audit
from auditor.check.baseline import BY, Baseline, Change, Entry, changes, known_now, read

GOLDEN = Path(__file__).parents[1] / "schemas" / "golden" / "baseline.jsonl"
ONE, TWO, THREE = (digit * 32 for digit in "123")


def entry(fingerprint: str, count: int = 1, *, rule: str = "a-rule", message: str = "so it is") -> Entry:
    return Entry(rule, fingerprint, count, "w", message)


def baseline(*entries: Entry, by: str = "pattern") -> Baseline:
    return Baseline(by, entries)


class TestTheFile:
    def test_the_golden_file_is_read_and_written_byte_for_byte(self) -> None:
        golden = read(GOLDEN)
        assert golden.text().encode() == GOLDEN.read_bytes()
        assert [known.count for known in golden.entries] == [3, 1, 1]
        assert golden.entries[1].workflow is None

    @settings(max_examples=50, deadline=None)
    @given(
        by=st.sampled_from(BY),
        rows=st.dictionaries(
            st.text("0123456789abcdef", min_size=32, max_size=32),
            st.tuples(
                st.sampled_from(["a-rule", "b", "c-3"]),
                st.integers(1, 2**63 - 1),
                st.none() | st.text(),
                st.text(min_size=1),
            ),
            max_size=5,
        ),
    )
    def test_what_is_written_is_read_again(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        by: str,
        rows: dict[str, tuple[str, int, str | None, str]],
    ) -> None:
        entries = [
            Entry(rule, name, count if by == "pattern" else 1, workflow, message)
            for name, (rule, count, workflow, message) in rows.items()
        ]
        written = Baseline(by, tuple(sorted(entries)))
        path = tmp_path_factory.mktemp("b") / "baseline.jsonl"
        path.write_bytes(written.text().encode())
        assert read(path) == written

    def test_no_path_line_or_time_stands_in_it(self) -> None:
        assert set(json.loads(GOLDEN.read_text().splitlines()[1])) == {
            "rule",
            "pattern",
            "count",
            "workflow",
            "message",
        }

    def test_an_occurrence_has_no_count(self) -> None:
        assert "count" not in baseline(entry(ONE), by="instance").text()


HEADER = b'{"schema": "auditor.baseline/v1", "by": "pattern"}\n'


def line(fingerprint: str, rule: str = "b", count: object = 1) -> bytes:
    row = {"rule": rule, "pattern": fingerprint, "count": count, "workflow": None, "message": "x"}
    return json.dumps(row).encode() + b"\n"


WHOLE = HEADER + line(ONE) + line(TWO)

DAMAGED: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 1, "is no header"),
    "only a line end": (b"\n", 1, "is not JSON"),
    "cut off in a line": (WHOLE[:-20], 3, "was cut off"),
    "cut off at the line end": (WHOLE[:-1], 3, "was cut off"),
    "no header": (line(ONE) + line(TWO), 1, "is no header"),
    "header of a later version": (WHOLE.replace(b"/v1", b"/v2"), 1, "is no header"),
    "header by something else": (WHOLE.replace(b'"by": "pattern"', b'"by": "line"'), 1, "is no header"),
    "header twice": (HEADER + WHOLE, 2, "is no patternEntry"),
    "merge conflict": (HEADER + b"<<<<<<< ours\n" + line(ONE) + b"=======\n>>>>>>> theirs\n", 2, "is not JSON"),
    "other order": (HEADER + line(TWO) + line(ONE), 3, "is not in order"),
    "other order of rules": (HEADER + line(ONE, "b") + line(TWO, "a"), 3, "is not in order"),
    "doubled": (HEADER + line(ONE) + line(ONE, count=5), 3, "repeats the fingerprint of line 2"),
    "doubled under another rule": (HEADER + line(ONE, "a") + line(ONE), 3, "repeats the fingerprint of line 2"),
    "blank line": (HEADER + b"\n" + line(ONE), 2, "is not JSON"),
    "byte order mark": (b"\xef\xbb\xbf" + WHOLE, 1, "BOM"),
    "CR": (WHOLE.replace(b"\n", b"\r"), 1, "was cut off"),
    "not UTF-8": (HEADER + line(ONE) + line(TWO).replace(b'"x"', b'"\xff"'), 3, "is not UTF-8"),
    "UTF-16": (WHOLE.decode().encode("utf-16"), 1, "is not UTF-8"),
    "half a surrogate pair": (HEADER + line(ONE).replace(b'"x"', b'"\\ud800"'), 2, "surrogates"),
    "an entry by instance": (HEADER + line(ONE).replace(b"pattern", b"instance"), 2, "is no patternEntry"),
    "no message": (HEADER + line(ONE).replace(b'"x"', b'""'), 2, "is no patternEntry"),
    "count of 0": (HEADER + line(ONE, count=0), 2, "is no patternEntry"),
    "count of half": (HEADER + line(ONE, count=0.5), 2, "is no patternEntry"),
    "count of true": (HEADER + line(ONE, count=True), 2, "is no patternEntry"),
    "endless count": (HEADER + line(ONE, count=2**63), 2, "is no patternEntry"),
    "count that is no number": (HEADER + line(ONE, count=float("nan")), 2, "is not JSON"),
    "short fingerprint": (HEADER + line(ONE[:8]), 2, "is no patternEntry"),
    "deep": (HEADER + b'{"rule": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", 2, "is not JSON"),
    "almost too deep": (HEADER + b'{"rule": ' + b"[" * 880 + b"]" * 880 + b"}\n", 2, "is n"),
}


def test_ends_of_line_that_git_made_of_ours_do_no_damage(tmp_path: Path) -> None:
    (tmp_path / "lf").write_bytes(WHOLE)
    (tmp_path / "crlf").write_bytes(WHOLE.replace(b"\n", b"\r\n"))
    assert read(tmp_path / "crlf") == read(tmp_path / "lf")


class TestADamagedFile:
    @pytest.mark.parametrize("name", DAMAGED)
    def test_it_is_an_error_that_names_file_and_line(self, tmp_path: Path, name: str) -> None:
        content, number, problem = DAMAGED[name]
        path = tmp_path / "b.jsonl"
        path.write_bytes(content)
        with pytest.raises(UsageError) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path}:{number}: this line of the baseline ")
        assert problem in str(raised.value)
        assert len(str(raised.value)) < 600

    @pytest.mark.parametrize("name", ["folder", "missing", "x" * 300])
    def test_what_is_no_file_is_an_error_that_names_it(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "folder").mkdir()
        with pytest.raises(UsageError, match=name):
            read(tmp_path / name)

    def test_it_stops_an_audit(self, tmp_path: Path) -> None:
        log = write(tmp_path / "log.ndjson", restarted(1).events)
        (tmp_path / "b").write_bytes(b"")
        with pytest.raises(UsageError, match="b:1: "):
            audit(log, baseline=tmp_path / "b")

    def test_a_fingerprint_of_the_other_kind_makes_nothing_known(self, tmp_path: Path) -> None:
        log = write(tmp_path / "log.ndjson", restarted(1).events)
        with audit(log, select=[RULE]) as result:
            names = result.findings[0]["fingerprint"]
        for by, other in (BY, BY[::-1]):
            (tmp_path / "b").write_text(baseline(entry(names[other]), by=by).text())
            with audit(log, select=[RULE], baseline=tmp_path / "b") as result:
                assert result.report["counts"]["states"]["known"] == 0


class TestWhatIsKnownNow:
    def test_findings_are_counted_by_fingerprint_and_sorted(self) -> None:
        found = [("b", TWO, "w", "later"), ("a", THREE, None, "x"), ("b", ONE, "w", "y"), ("b", TWO, "w", "again")]
        assert known_now("pattern", found) == baseline(
            Entry("a", THREE, 1, None, "x"), Entry("b", ONE, 1, "w", "y"), Entry("b", TWO, 2, "w", "later")
        )

    def test_an_occurrence_that_is_told_of_twice_is_one(self) -> None:
        found = [("a-rule", ONE, "w", "so it is"), ("a-rule", ONE, "w", "or so")]
        assert known_now("instance", found) == baseline(entry(ONE), by="instance")

    def test_the_words_of_what_was_known_stay(self) -> None:
        old = baseline(entry(ONE, 3, message="as it was said first"))
        new = known_now("pattern", [("a-rule", ONE, "w", "reworded"), ("a-rule", TWO, "w", "so it is")], old)
        assert new == baseline(entry(ONE, 1, message="as it was said first"), entry(TWO))

    def test_what_nobody_looked_for_stays(self) -> None:
        old = baseline(entry(ONE, 3), entry(TWO, 2, rule="b"))
        assert known_now("pattern", [], old, {"b"}) == baseline(entry(TWO, 2, rule="b"))


BASELINES = st.dictionaries(st.sampled_from([ONE, TWO, THREE]), st.integers(1, 3)).map(
    lambda counts: baseline(*(entry(name, count) for name, count in sorted(counts.items())))
)


class TestChanges:
    def test_what_came_went_and_grew_by_rule_and_fingerprint(self) -> None:
        old = baseline(entry(ONE, 2), entry(TWO))
        new = baseline(entry(ONE, 5), entry(THREE))
        assert changes(old, new) == [
            Change(entry(ONE, 5), 2, 5),
            Change(entry(TWO), 1, 0),
            Change(entry(THREE), 0, 1),
        ]

    def test_of_no_baseline_everything_is_new(self) -> None:
        assert changes(None, baseline(entry(ONE, 2))) == [Change(entry(ONE, 2), 0, 2)]

    @given(old=BASELINES, found=BASELINES)
    def test_there_is_no_difference_exactly_where_the_file_stays_the_same(
        self, old: Baseline, found: Baseline
    ) -> None:
        rows = [
            ("a-rule", known.fingerprint, "v", "reworded") for known in found.entries for _ in range(known.count)
        ]
        new = known_now("pattern", rows, old)
        assert (changes(old, new) == []) == (old.text() == new.text())

    @given(old=BASELINES, missing=st.dictionaries(st.sampled_from([ONE, TWO, THREE]), st.integers(1, 3)))
    def test_without_what_is_missing_nothing_is_added_and_the_rest_stays(
        self, old: Baseline, missing: dict[str, int]
    ) -> None:
        left = {known.fingerprint: known.count for known in old.without(missing).entries}
        before = {known.fingerprint: known.count for known in old.entries}
        expected = {name: count - missing.get(name, 0) for name, count in before.items()}
        assert left == {name: count for name, count in expected.items() if count > 0}
