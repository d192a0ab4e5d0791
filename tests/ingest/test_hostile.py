"""Hostile input: whatever a file holds, the good rows are kept, the bad ones are named, and it ends soon.

A row is read by one of two readers: DuckDB's, for a file without a bad row, and our own, row by row, for any other
file. Both have to make the same of it.
"""

from __future__ import annotations

import json
import time as clock
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from click.testing import CliRunner
from ingest.reading import Ingested, read, read_each
from ingest.shapes import cli_array, foreign_csv, ndjson, postgres_csv, renamed, world_local
from logs import RUN, Log

from auditor.cli.commands import cli
from auditor.ingest import staging
from auditor.ingest.json_rows import MAX_ROW_BYTES

EVENT = Log().events[1]
GOOD = [json.dumps(event).encode() for event in Log().add("run_completed").events]


def log(path: Path, *lines: bytes) -> Path:
    """Good rows, with these lines between them: the first of them is line 3."""
    path.write_bytes(b"\n".join([*GOOD[:2], *lines, *GOOD[2:]]) + b"\n")
    return path


def logs(folder: Path, files: dict[str, Iterable[bytes]]) -> dict[str, Path]:
    """A `log` for each of these, all in a folder of their own and with a run of its own, to be read at once."""
    paths = {}
    for number, (name, lines) in enumerate(files.items()):
        (folder / str(number)).mkdir()
        paths[name] = of_its_own(log(folder / str(number) / "log.ndjson", *lines), number)
    return paths


def of_its_own(path: Path, number: int) -> Path:
    """The file with a run id that is as long as ours and of no other number."""
    path.write_bytes(path.read_bytes().replace(RUN.encode(), f"wrun_{number:026d}".encode()))
    return path


def changed(**more: Any) -> bytes:
    return json.dumps(EVENT | {"eventId": "evnt_9"} | more).encode()


def with_text(old: str, new: str, **more: Any) -> bytes:
    return changed(**more).replace(old.encode(), new.encode())


ACCEPTED = {
    "NaN in a payload": with_text('"?"', "NaN", eventData={"input": "?"}),
    "infinity in a payload": with_text('"?"', "[Infinity, -Infinity]", eventData={"input": "?"}),
    "a number beyond all numbers": with_text('"?"', "1e400", eventData={"input": "?"}),
    "5,000 digits": with_text('"?"', "9" * 5000, eventData={"input": "?"}),
    "5,000 digits where a number should be": with_text('"?"', "9" * 5000, eventData={"attempt": "?"}),
    "a number where a text should be": changed(correlationId=7),
    "a truth where a text should be": changed(correlationId=True),
    "an empty id": changed(correlationId=""),
    "a nul in a text": changed(correlationId="step_\0x"),
    "a letter beyond the first plane": changed(correlationId="step_\U0001f600"),
    "an escaped letter": with_text("step_", "\\u0073tep_", correlationId="step_1"),
    "a key that we do not know": changed(whatever=[{"a": 1}]),
    "a key of another case": with_text("correlationId", "CORRELATIONID", correlationId="step_1"),
    "spaces around": b" \t" + changed() + b" \r",
    "a form feed before": b"\x0c" + changed(),
    "no data": changed(eventData=None),
    "empty data": changed(eventData={}),
    "a payload 900 deep": with_text('"?"', "[" * 900 + "]" * 900, eventData={"input": "?"}),
    "a status that is an object": changed(status={"a": 1}),
    "a date far away": changed(createdAt="9999-12-31T23:59:59Z"),
    "a payload key twice": with_text('"?"', '{"a":1,"a":2}', eventData={"input": "?"}),
    "an unknown key twice": with_text('"?"', '1,"x":2', x="?"),
}
"""Lines that are events, odd as they may be."""

REFUSED = {
    "no JSON": (b"oops", "not JSON: Expecting value (column 1)"),
    "cut off": (changed()[:-20], "not JSON: "),
    "two objects": (changed() + b" " + changed(), "not JSON: Extra data"),
    "an array": (b"[1]", "not a JSON object but an array"),
    "200,000 deep": (b'{"a":' * 200_000, "nested too deeply"),
    "200,000 deep and closed": (b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
    "half a pair": (with_text("step_", "\\ud800", correlationId="step_1"), "half of a surrogate pair in a string"),
    "half a pair in a key": (with_text("whatever", "\\udfff", whatever=1), "half of a surrogate pair in a string"),
    "no UTF-8": (changed().replace(b"run_", b"run\xff"), "not UTF-8 (byte "),
    "a nul byte": (changed().replace(b"run_", b"run\0"), "not JSON: Invalid control character"),
    "nul bytes, as a crash leaves them": (bytes(512), "not JSON: Expecting value (column 1)"),
    "UTF-16": (changed().decode().encode("utf-16"), "not UTF-8 (byte 1)"),
    "20 MB": (changed(x="x" * 20_000_000), "longer than 16 MiB"),
    "20 MB of nothing": (b"{" + b" " * 20_000_000 + b"}", "longer than 16 MiB"),
    "single quotes": (changed().replace(b'"', b"'"), "not JSON: "),
    "a comment": (b"// " + changed(), "not JSON: "),
    "an id that is an object": (changed(runId={"a": 1}), "runId is an object, not text"),
    "data that is text": (changed(eventData="x"), "eventData is a string, not an object"),
    "a fence that is an array": (changed(fence=[1]), "fence is an array, not an object"),
    "no id": (changed(eventId=None), "eventId is missing"),
    "no type": (changed(eventType=""), "eventType is missing"),
    "a time that is none": (changed(createdAt="soon"), "createdAt is not a time"),
    "a time that is a number": (changed(createdAt=1763812800000), "createdAt is not a time"),
    "a record of the future": (changed(record="tombstone"), "record is tombstone"),
}
"""Lines that are none, and why."""

ONLY_WHERE_A_ROW_IS_BAD = {
    "200,000 deep and closed",
    "an id that is an object",
    "20 MB",
    "20 MB of nothing",
}
"""What DuckDB's reader takes all the same: our own is stricter, which can only raise a doubt."""


@pytest.fixture(scope="module")
def accepted_fast(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ingested]:
    """Each accepted row among good ones, by DuckDB's reader: it refuses none of them, so our own has no work."""
    files = logs(tmp_path_factory.mktemp("fast"), {name: [line] for name, line in ACCEPTED.items()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "_cleaned", None)
        return read_each(files)


@pytest.fixture(scope="module")
def accepted_slow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ingested]:
    """The same by our own reader, as each file has a bad row too."""
    return read_each(
        logs(tmp_path_factory.mktemp("slow"), {name: [line, b"oops"] for name, line in ACCEPTED.items()})
    )


@pytest.fixture(scope="module")
def refused_slow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ingested]:
    """Each refused row among good ones, by our own reader."""
    return read_each(
        logs(
            tmp_path_factory.mktemp("refused"), {name: [line, b"", b"oops"] for name, (line, _) in REFUSED.items()}
        )
    )


class TestRows:
    """Single rows, among good ones."""

    @pytest.mark.parametrize("name", ACCEPTED)
    def test_an_odd_row_is_the_same_in_both_readers(
        self, name: str, accepted_fast: dict[str, Ingested], accepted_slow: dict[str, Ingested]
    ) -> None:
        fast, slow = accepted_fast[name], accepted_slow[name]
        assert (len(fast.events), fast.rejects) == (4, [])
        assert slow.reasons == [("log.ndjson", 4, "not JSON: Expecting value (column 1)")]
        if name not in ("a number beyond all numbers", "5,000 digits", "a payload key twice"):
            assert fast.content == slow.content
        digests = ("payload_bytes", "payload_sha256")
        assert [{k: v for k, v in row.items() if k not in digests} for row in fast.content] == [
            {k: v for k, v in row.items() if k not in digests} for row in slow.content
        ]

    @pytest.mark.parametrize("name", REFUSED)
    def test_a_bad_row_is_named_with_its_line(
        self, name: str, refused_slow: dict[str, Ingested], tmp_path: Path
    ) -> None:
        line, reason = REFUSED[name]
        fast = read(log(tmp_path / "log.ndjson", line), gaps=name not in ONLY_WHERE_A_ROW_IS_BAD)
        slow = refused_slow[name]
        assert slow.reasons[0][:2] == ("log.ndjson", 3)
        assert slow.reasons[0][2].startswith(reason)
        assert len(slow.rejects) == 2
        if name not in ONLY_WHERE_A_ROW_IS_BAD:
            assert fast.reasons == slow.reasons[:1]
            assert len(fast.events) == len(slow.events) == 3
            assert fast.gaps[RUN] is not None

    def test_ids_of_any_shape_are_ids(self, tmp_path: Path) -> None:
        uuid = "0f8fad5b-d9cb-469f-a165-70867728950e"
        bodies = ["", "x", "\0", uuid, "I" * 26, "Z" * 26, "9" * 26, "é" * 26, "a" * 10_000]
        files = {}
        for number, body in enumerate(bodies):
            log = Log(f"wrun_{number:026d}").life("step", 0, "created", "started").life("wait", 1, "created")
            for event in log.events[2:]:
                event["correlationId"] = f"{event['correlationId'][:5]}{body}"
            files[body] = ndjson(log.events, tmp_path / f"{number}.ndjson")
        for number, (body, found) in enumerate(read_each(files, gaps=True).items()):
            assert len(found.events) == 5, body[:40]
            assert found.gaps == {f"wrun_{number:026d}": None}, body[:40]

    def test_of_a_key_that_stands_twice_the_last_one_counts_in_every_format(self, tmp_path: Path) -> None:
        row = changed(correlationId="step_1")
        twice = row[:-1] + b', "correlationId": "step_2", "eventData": {"attempt": 1, "attempt": 2}}'
        (tmp_path / "a.json").write_bytes(b"[\n" + twice + b"\n]")
        (tmp_path / "w" / "events").mkdir(parents=True)
        (tmp_path / "w" / "events" / f"{RUN}-evnt_9.json").write_bytes(twice)
        for path in (log(tmp_path / "log.ndjson", twice), tmp_path / "a.json", tmp_path / "w"):
            found = read(path)
            last = next(row for row in found.events if row["event_id"] == "evnt_9")
            assert (last["correlation_id"], last["attempt"], found.rejects) == ("step_2", 2, [])

    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_a_row_as_long_as_the_bound_is_read_or_named(self, over: int, tmp_path: Path) -> None:
        row = changed(x="")
        row = row.replace(b'"x": ""', b'"x": "' + b"x" * (MAX_ROW_BYTES - 1 - len(row) + over) + b'"')
        found = read(log(tmp_path / "log.ndjson", row, b"oops"))
        assert [reason for *_, reason in found.reasons] == [
            *(["longer than 16 MiB"] if over == 1 else []),
            "not JSON: Expecting value (column 1)",
        ]
        assert len(found.events) == (3 if over == 1 else 4)

    def test_a_row_that_only_grows_too_long_hides_no_other(self, tmp_path: Path) -> None:
        """Our own reader writes a row anew; it must not become longer than DuckDB reads."""
        row = b'{"x":[' + b"1234567," * (MAX_ROW_BYTES // 8 - 50) + b"1]," + changed().replace(b" ", b"")[1:]
        found = read(log(tmp_path / "log.ndjson", row, b"oops"))
        assert (len(found.events), len(found.rejects), found.problems) == (4, 1, [None])

    def test_a_hundred_thousand_bad_rows_end_soon(self, tmp_path: Path) -> None:
        path = log(tmp_path / "log.ndjson", *[b"oops"] * 100_000)
        started = clock.process_time()
        found = read(path)
        assert clock.process_time() - started < 10
        assert (len(found.events), len(found.rejects)) == (3, 100_000)


NO_LOGS = [
    (b"", "is empty"),
    (b"\xef\xbb\xbf", "is no event log that auditor knows"),
    (b" \n\r\n\t", "is empty"),
    (bytes(1000), "is binary, and no archive or table that auditor reads"),
    (bytes(range(256)) * 20, "is binary, and no archive or table that auditor reads"),
    ("\n".join(map(bytes.decode, GOOD)).encode("utf-16"), "is UTF-16, as PowerShell writes it"),
    (b"\xff" * 100, "is no event log that auditor knows"),
    (b"<?xml version='1.0'?><log/>", "is no event log that auditor knows"),
    (b"a;b;c\n1;2;3\n", "is no event log that auditor knows"),
    (b"x" * 5_000_000, "is no event log that auditor knows"),
    (b"{" * 300_000, "is no event log that auditor knows"),
    (b"[" * 300_000, "is no event log that auditor knows"),
    (b"[{" * 300_000, "not JSON (line 1); the file is cut off"),
]
"""Files that are no log, and what is said of them."""


@pytest.fixture(scope="module")
def no_logs_alone(tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, Ingested]:
    """What is read of each file that is no log."""
    return read_each({c: no_log(c, tmp_path_factory.mktemp("alone")) for c, _ in NO_LOGS})


@pytest.fixture(scope="module")
def no_logs_in_a_folder(tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, Ingested]:
    """What is read of a folder in which such a file lies beside a good one."""
    folders = {}
    for number, (content, _) in enumerate(NO_LOGS):
        folders[content] = no_log(content, tmp_path_factory.mktemp("folder")).parent
        of_its_own(log(folders[content] / "good.ndjson"), number)
    return read_each(folders)


def no_log(content: bytes, folder: Path) -> Path:
    return _bytes(folder / "log.ndjson", content)


class TestFiles:
    """Whole files."""

    @pytest.mark.parametrize(("content", "problem"), NO_LOGS, ids=lambda value: str(value[:24]))
    def test_what_is_no_log_says_so(
        self,
        content: bytes,
        problem: str,
        no_logs_alone: dict[bytes, Ingested],
        no_logs_in_a_folder: dict[bytes, Ingested],
    ) -> None:
        found, inside = no_logs_alone[content], no_logs_in_a_folder[content]
        assert found.events == []
        assert (found.problems[0] or found.reasons[0][2]).startswith(problem)
        assert len(inside.events) == 3
        assert "log.ndjson" in str([*inside.problems, *inside.reasons])

    @pytest.mark.parametrize("ending", [b"\r\n", b"\n", b"\n\n", b"\n \t\r\n"])
    def test_line_endings_of_any_kind_are_read(self, ending: bytes, tmp_path: Path) -> None:
        path = tmp_path / "log.ndjson"
        for last in (b"", ending):
            path.write_bytes(ending.join(GOOD) + last)
            found = read(path)
            assert (len(found.events), found.rejects) == (3, [])
            assert [row["line"] for row in found.events] == [1 + n * ending.count(b"\n") for n in range(3)]

    def test_lines_that_end_in_two_ways_keep_their_numbers(self, tmp_path: Path) -> None:
        path = tmp_path / "log.ndjson"
        path.write_bytes(GOOD[0] + b"\r\n" + b"oops\r\n\r\n" + GOOD[1] + b"\n" + GOOD[2])
        found = read(path)
        assert [row["line"] for row in found.events] == [1, 4, 5]
        assert [line for _, line, _ in found.reasons] == [2]

    def test_a_csv_with_any_line_endings_is_read(self, tmp_path: Path) -> None:
        path = foreign_csv(renamed(Log().events), tmp_path / "log.csv")
        for ending in (b"\n", b"\r\n"):
            path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", ending))
            assert [row["line"] for row in read(path).events] == [2, 3]

    def test_one_line_of_100_mb_is_named_and_no_more_of_it_is_kept(self, tmp_path: Path) -> None:
        path = log(tmp_path / "log.ndjson", b'{"runId": "r", "x": "' + b"x" * 100_000_000)
        found, peak = measured(lambda: read(path))
        assert found.reasons == [("log.ndjson", 3, "longer than 16 MiB")]
        assert len(found.events) == 3
        assert peak < 100 * 1024**2


CELLS = [
    b"",
    b"\xff" * 40,
    b"\x9b" + b"\xff" * 8,
    b"\xbb" + b"\xff" * 8,
    b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x81" * 100_000,
    b"\xd8\x1c\x81\xd8\x1d\x00",
    cbor2.dumps({"input": cbor2.CBORTag(4, [999_999_999, 1])}),
    cbor2.dumps({"input": cbor2.CBORTag(4, [-999_999_999, 1])}),
    cbor2.dumps({"input": cbor2.CBORTag(5, [999_999_999, 3])}),
    cbor2.dumps({"input": cbor2.CBORTag(30, [1, 0])}),
    cbor2.dumps({"input": cbor2.CBORTag(35, "(a+)+$")}),
    cbor2.dumps({"input": cbor2.CBORTag(35, "(")}),
    cbor2.dumps({"resumeAt": cbor2.CBORTag(1, 1e300)}),
    cbor2.dumps({"resumeAt": cbor2.CBORTag(0, "0001-01-01T00:00:00+14:00")}),
    cbor2.dumps({"input": 1 << 80_000}),
    cbor2.dumps({"input": float("nan")}),
    b"\xa1\x61i\x63\xed\xa0\x80",
    cbor2.dumps([1, 2]),
    cbor2.dumps("text"),
    cbor2.dumps({1: {b"k": cbor2.undefined}, None: cbor2.CBORSimpleValue(99)}),
]
"""What a CBOR column may hold."""


def table(folder: Path, run: str = RUN) -> Path:
    return postgres_csv(Log(run).life("step", 0, "created", stepName="s").events, folder) / "workflow_events.csv"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, Ingested]:
    """What is read of a table with each of these cells. None of them may take long, so all of them may not."""
    paths = {}
    for number, data in enumerate(CELLS):
        path = table(tmp_path_factory.mktemp("cells"), f"wrun_{number:026d}")
        lines = path.read_text().splitlines()
        columns = lines[2].split(",")
        columns[6] = "\\x" + data.hex()
        lines[2] = ",".join(columns)
        path.write_text("\n".join(lines))
        paths[data] = path
    started = clock.process_time()
    found = read_each(paths)
    assert clock.process_time() - started < 5
    return found


class TestTables:
    """CSV tables, ours and the SDK's."""

    @pytest.mark.parametrize("quote", [b'"', b""])
    def test_a_field_of_100_mb_is_named_and_not_kept(self, quote: bytes, tmp_path: Path) -> None:
        path = table(tmp_path)
        lines = path.read_bytes().splitlines()
        lines[2:2] = [b"x," + quote + b"y" * 100_000_000 + quote + b",,,,,,"]
        path.write_bytes(b"\n".join(lines))
        found, peak = measured(lambda: read(path))
        assert found.reasons == [("workflow_events.csv", 3, "a line longer than 64 MiB")]
        assert [row["line"] for row in found.events] == [2, 4, 5]
        assert peak < 200 * 1024**2

    def test_a_field_that_never_ends_is_named_where_it_begins(self, tmp_path: Path) -> None:
        path = table(tmp_path)
        lines = path.read_bytes().splitlines()
        path.write_bytes(b"\n".join([*lines[:3], b'x,"' + b"y\n" * 100_000]))
        found = read(path)
        assert found.reasons == [("workflow_events.csv", 4, "the number of columns is not that of the header")]
        assert len(found.events) == 2

    @pytest.mark.parametrize("where", ["id", "run_id", "type", "header"])
    def test_a_cell_that_is_no_utf8_is_named(self, where: str, tmp_path: Path) -> None:
        path = table(tmp_path)
        lines = path.read_bytes().splitlines()
        if where == "header":
            lines[0] += b",x\xff"
            lines[1:] = [line + b"," for line in lines[1:]]
        else:
            cells = lines[2].split(b",")
            cells[lines[0].decode().split(",").index(where)] += b"\xff"
            lines[2] = b",".join(cells)
        path.write_bytes(b"\n".join(lines))
        found = read(path)
        assert found.reasons == ([] if where == "header" else [("workflow_events.csv", 3, "not UTF-8")])
        assert len(found.events) == (3 if where == "header" else 2)
        foreign = read(path, fields={"run_id": "runId", "id": "eventId", "type": "eventType"})
        assert len(foreign.rejects) == len(found.rejects)

    @pytest.mark.parametrize("data", CELLS, ids=lambda data: data[:12].hex())
    def test_whatever_the_cbor_its_row_is_read_or_named(self, data: bytes, cells: dict[bytes, Ingested]) -> None:
        found = cells[data]
        assert len(found.events) + len(found.rejects) == 3
        assert [line for _, line, _ in found.reasons] in ([], [3])
        assert found.problems == [None]


class TestFolders:
    """Folders of many files, as worlds are."""

    def test_two_thousand_files_and_what_a_killed_process_left(self, tmp_path: Path) -> None:
        logs = [Log(f"wrun_{n:026d}", slots=True, spec=7).add("run_completed") for n in range(660)]
        path = world_local([event for one in logs for event in one.events], tmp_path / "world")
        for number in range(20):
            name = f"wrun_{number:026d}-evnt_00000000000000000000000004.json.tmp.01KAP2D{number:03d}"
            (path / "events" / name).write_bytes(GOOD[0][: number * 10])
        found, peak = measured(lambda: read(path))
        assert len(found.events) == 1980
        assert found.inputs[0]["skipped"] == 20 + 2
        assert (found.rejects, found.problems) == ([], [None])
        assert peak < 50 * 1024**2

    def test_a_file_of_a_world_that_is_no_record_is_named(self, tmp_path: Path) -> None:
        reasons = {
            "empty": (b"", "an empty file"),
            "blank": (b"\n", "an empty file"),
            "cut": (GOOD[1][:30], "not JSON: "),
            "twice": (GOOD[1] * 2, "not JSON: Extra data"),
            "number": (b"3", "not a JSON object but a number"),
            "utf-16": (GOOD[1].decode().encode("utf-16"), "not UTF-8 (byte 1)"),
            "nul": (bytes(100), "not JSON: "),
            "long": (b"{" + b" " * 20_000_000 + b"}", "longer than 16 MiB"),
        }
        worlds, names = {}, {}
        for number, (name, (content, _)) in enumerate(reasons.items()):
            run = f"wrun_{number:026d}"
            worlds[name] = world_local(Log(run).events, tmp_path / name)
            names[name] = f"events/{run}-evnt_01M81J1AEG0000000000000000.json"
            (worlds[name] / names[name]).write_bytes(content.replace(RUN.encode(), run.encode()))
        for name, found in read_each(worlds, gaps=True).items():
            assert [(source, line) for source, line, _ in found.reasons] == [(names[name], None)]
            assert found.reasons[0][2].startswith(reasons[name][1])
            assert None not in found.gaps.values(), name
            assert len(found.events) == len(found.gaps) == 1, name


class TestTheCommand:
    """What a user sees: no traceback, and the exit code of what could not be read."""

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda folder: log(folder / "x.ndjson", b"oops"), "x.ndjson"),
            (lambda folder: _bytes(folder / "x.bin", bytes(100)), "is binary"),
            (lambda folder: _bytes(folder / "x.json", b"[{" * 100_000), "x.json"),
            (lambda folder: _bytes(folder / "x.gz", b"\x1f\x8b\x08oops"), "damaged or cut off"),
            (lambda folder: _bytes(folder / "x.ndjson", GOOD[0].decode().encode("utf-16")), "UTF-16"),
            (lambda folder: cli_array(Log().events[1:] * 20, folder / "x.json"), "cuts off without a word"),
        ],
    )
    def test_it_says_what_is_wrong_and_exits_with_three(
        self, make: Callable[[Path], Path], said: str, tmp_path: Path
    ) -> None:
        path = make(tmp_path)
        done = CliRunner().invoke(
            cli, ["check", str(path), "--select", "incomplete-export"], standalone_mode=False
        )
        assert done.exception is None
        assert done.return_value == 3
        assert said in " ".join(done.output.split())
        assert "Traceback" not in done.output


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def measured(work: Callable[[], Ingested]) -> tuple[Ingested, int]:
    """What was read, and the most memory of Python's that it took."""
    tracemalloc.start()
    try:
        found = work()
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
